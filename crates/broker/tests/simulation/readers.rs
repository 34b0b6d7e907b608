//! Consumers without a group: they read every partition from its beginning, and what they see is what there is for ever.

use super::client::{Answer, Client, Outcome};
use super::harness::asking::batches;
use super::history::Value;
use super::routes::{Place, Route};
use super::said;
use super::scene::{Scene, code, is_retriable};
use ottla_env::Monotonic;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::FetchRequest;
use ottla_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use ottla_protocol::messages::fetch_response::PartitionData;
use ottla_records::{Batches, RecordBatchView};
use std::collections::{BTreeMap, BTreeSet};

/// What a consumer wants to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isolation {
    ReadUncommitted,
    ReadCommitted,
}

pub(crate) struct Reader {
    client: Client,
    isolation: Isolation,
    positions: BTreeMap<Place, i64>,
    /// The highest marks that a leader has told in an epoch of it: high watermark, last stable offset, log start.
    marks: BTreeMap<(Place, i32), [i64; 3]>,
    asking: Option<(Place, Route, Answer<FetchRequest>)>,
    again_at: Monotonic,
    /// Which partition is next.
    turn: usize,
}

impl Reader {
    pub(crate) fn new(client: Client, isolation: Isolation) -> Self {
        Self {
            client,
            isolation,
            positions: BTreeMap::new(),
            marks: BTreeMap::new(),
            asking: None,
            again_at: Monotonic::default(),
            turn: 0,
        }
    }

    pub(crate) fn position(&self, place: &Place) -> i64 {
        self.positions.get(place).copied().unwrap_or(0)
    }

    pub(crate) fn advance(&mut self, scene: &mut Scene<'_>) {
        let Some((place, route, asking)) = self.asking.take() else {
            if self.again_at <= scene.now {
                self.ask(scene);
            }
            return;
        };
        match asking.take() {
            Outcome::Waiting => self.asking = Some((place, route, asking)),
            Outcome::Lost => self.again_at = scene.retry_at(),
            Outcome::Answered(answer) => {
                let is_whole = answer.error_code == 0;
                let partition = answer.responses.into_iter().flat_map(|topic| topic.partitions).next();
                match partition.filter(|_| is_whole) {
                    Some(partition) => self.take(scene, place, route, &partition),
                    None => self.again_at = scene.retry_at(),
                }
            }
        }
    }

    fn ask(&mut self, scene: &Scene<'_>) {
        let mut places = scene.routes.places("r-");
        places.extend(scene.routes.places("t-"));
        self.turn += 1;
        let Some(place) = places.get(self.turn % places.len().max(1)).copied() else { return };
        let Some(route) = scene.routes.leader(&place) else { return };
        let partition = FetchPartition {
            partition: place.1,
            current_leader_epoch: route.epoch,
            fetch_offset: self.position(&place),
            partition_max_bytes: 4_000,
            ..Default::default()
        };
        let topic = FetchTopic { topic_id: place.0, partitions: vec![partition], ..Default::default() };
        let request = FetchRequest {
            max_wait_ms: 50,
            min_bytes: 1,
            isolation_level: i8::from(self.isolation == Isolation::ReadCommitted),
            topics: vec![topic],
            ..Default::default()
        };
        self.asking = Some((place, route, self.client.ask(route.leader, &request)));
    }

    fn take(&mut self, scene: &mut Scene<'_>, place: Place, route: Route, told: &PartitionData) {
        match code(told.error_code) {
            ErrorCode::None => {}
            // Retention may have taken what was to be read.
            ErrorCode::OffsetOutOfRange => {
                let (position, name) = (self.position(&place), scene.routes.name(place.0).unwrap_or_default());
                assert!(
                    name.contains("short") || scene.history.is_doomed(place.0),
                    "truncation below what was read: {name}-{} at {position} is out of range for {route:?}, logs end at {:?}",
                    place.1,
                    ends(scene, &format!("{name}-{}", place.1))
                );
                let log = scene.cluster.log_of(route.leader, &format!("{name}-{}", place.1));
                let log = batches(scene.cluster, route.leader, &log);
                let start = log.keys().next().map_or(0, |base| base.0);
                self.again_at = scene.retry_at();
                self.positions.insert(place, position.max(start));
                return;
            }
            other if is_retriable(other) => {
                self.again_at = scene.retry_at();
                return;
            }
            other => panic!("{other:?} to a consumer of {place:?}"),
        }
        self.check_marks(place, route, told);
        let mut ended = aborted(told);
        said::say(|| {
            let (isolation, position) = (self.isolation, self.position(&place));
            format!("-- {isolation:?} of {place:?} at {position} from {}: aborted {ended:?}", route.leader)
        });
        let bytes = told.records.as_bytes().cloned().unwrap_or_default();
        let mut active = BTreeSet::new();
        for batch in Batches::new(&bytes).map_while(Result::ok) {
            self.take_batch(scene, place, told, (&batch, &mut ended, &mut active));
        }
    }

    /// **Order of marks**, and **monotone marks** within a leader epoch.
    fn check_marks(&mut self, place: Place, route: Route, told: &PartitionData) {
        let marks = [told.high_watermark, told.last_stable_offset, told.log_start_offset];
        let [high_watermark, stable, start] = marks;
        assert!(start <= stable && stable <= high_watermark, "order of marks: {marks:?} of {place:?}");
        let known = self.marks.entry((place, route.epoch)).or_insert(marks);
        for (known, told) in known.iter_mut().zip(marks) {
            assert!(told >= *known, "monotone marks: {told} after {known} of {place:?} in one epoch, {route:?}");
            *known = told;
        }
    }

    fn take_batch(
        &mut self,
        scene: &mut Scene<'_>,
        place: Place,
        told: &PartitionData,
        (batch, ended, active): (&RecordBatchView<'_>, &mut BTreeMap<i64, BTreeSet<i64>>, &mut BTreeSet<i64>),
    ) {
        assert!(batch.is_checksum_valid(), "checksum honesty: {place:?} at {:?}", batch.base_offset());
        let end = match self.isolation {
            Isolation::ReadUncommitted => told.high_watermark,
            Isolation::ReadCommitted => told.last_stable_offset,
        };
        assert!(batch.last_offset().0 < end, "visibility: {place:?} shows {:?} beyond {end}", batch.last_offset());
        let producer = batch.producer_id().0;
        if let Some(firsts) = ended.get_mut(&producer) {
            let later = firsts.split_off(&batch.next_offset().0);
            if !std::mem::replace(firsts, later).is_empty() {
                active.insert(producer);
            }
        }
        if batch.is_control() {
            active.remove(&producer);
        } else {
            let is_hidden = batch.is_transactional() && active.contains(&producer);
            for (offset, value) in values_of(batch) {
                scene.history.name(place, offset, value, "a fetch");
                if offset >= self.position(&place) && !(is_hidden && self.isolation == Isolation::ReadCommitted) {
                    self.seen(scene, value);
                }
            }
        }
        self.positions.insert(place, self.position(&place).max(batch.next_offset().0));
    }

    fn seen(&self, scene: &mut Scene<'_>, value: Value) {
        scene.history.count("read");
        if self.isolation == Isolation::ReadCommitted {
            scene.history.read_committed.insert(value);
        }
    }
}

/// Where the logs of a partition end on all nodes.
fn ends(scene: &Scene<'_>, partition: &str) -> BTreeMap<i32, i64> {
    let cluster = scene.cluster;
    let ids = (1..).take(cluster.nodes.len());
    let end = |id| {
        let log = batches(cluster, id, &cluster.log_of(id, partition));
        log.values().next_back().map_or(0, |batch| batch.0.0 + 1)
    };
    ids.map(|id| (id, end(id))).collect()
}

/// From where on batches of which producers are aborted.
fn aborted(told: &PartitionData) -> BTreeMap<i64, BTreeSet<i64>> {
    let mut ended: BTreeMap<i64, BTreeSet<i64>> = BTreeMap::new();
    for transaction in told.aborted_transactions.iter().flatten() {
        ended.entry(transaction.producer_id).or_default().insert(transaction.first_offset);
    }
    ended
}

/// Offsets and values of a batch's records.
pub(crate) fn values_of(batch: &RecordBatchView<'_>) -> Vec<(i64, Value)> {
    let records = batch.uncompressed_records().unwrap().unwrap();
    records
        .map(|record| {
            let record = record.unwrap();
            (record.offset.0, Value::from_be_bytes(record.value.unwrap().try_into().unwrap()))
        })
        .collect()
}
