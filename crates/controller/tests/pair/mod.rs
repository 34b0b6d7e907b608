//! A cluster whose decisions are taken twice.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod events;

use crate::cluster::{CLUSTER_ID, Cluster};
use crate::oracle::{Answer, Oracle};
use ottla_controller::Outcome;
use ottla_controller::format::FormatOptions;
use ottla_metadata::{MetadataImage, VersionedRecord};
use ottla_protocol::Message;
use ottla_protocol::metadata_records::{MetadataRecord, PartitionChangeRecord};
use ottla_types::{MetadataVersion, NodeId, Offset, PartitionIndex, Uuid};
use std::collections::BTreeMap;

/// How often which kind of question was compared, and how many records.
#[derive(Default)]
pub(crate) struct Compared {
    kinds: BTreeMap<String, usize>,
    refused: usize,
    records: usize,
    /// What was not the same.
    differences: Vec<String>,
}

impl Compared {
    pub(crate) fn add(&mut self, other: &Self) {
        for (kind, count) in &other.kinds {
            *self.kinds.entry(kind.clone()).or_insert(0) += count;
        }
        self.refused += other.refused;
        self.records += other.records;
        self.differences.extend_from_slice(&other.differences);
    }

    pub(crate) fn check(&self, clusters: u64) {
        let shown: Vec<_> = self.differences.iter().take(DIFFERENCES_SHOWN).collect();
        assert!(shown.is_empty(), "{} differences\n{}", self.differences.len(), join(&shown));
        let clusters = usize::try_from(clusters).unwrap();
        let summary = format!("{:?}, {} refused, {} records", self.kinds, self.refused, self.records);
        assert!(self.records > 100 * clusters && self.refused > 5 * clusters, "{summary}");
        assert!(self.kinds.len() >= 11, "{summary}");
    }
}

/// The error of the whole in a response, and what makes it independent of orders of hash maps.
type Reading<R> = (fn(&R) -> i16, fn(&mut R));

const DIFFERENCES_SHOWN: usize = 20;

fn join(lines: &[&String]) -> String {
    lines.iter().map(|line| line.as_str()).collect::<Vec<_>>().join("\n")
}

/// A broker's process.
struct Process {
    directories: Vec<Uuid>,
    offline: Vec<Uuid>,
    /// Whether it has begun to shut down: then it goes on with that.
    leaving: bool,
    /// Whether the controller has let it go.
    was_let_go: bool,
}

pub(crate) struct Pair {
    cluster: Cluster,
    oracle: Oracle,
    state: u64,
    processes: BTreeMap<i32, Process>,
    incarnations: u128,
    pub(crate) at: String,
    /// The broker that registers or is struck out: only its partitions are compared.
    concerned: Option<NodeId>,
    counts: Compared,
}

impl Pair {
    pub(crate) fn new(seed: u64, mut oracle: Oracle) -> Self {
        let level = [33, 33, 25, 23, 17][usize::try_from(seed % 5).unwrap()];
        let mut options = FormatOptions { metadata_version: Some(MetadataVersion(level)), ..Default::default() };
        if level >= 23 {
            let elr = i16::from(seed % 4 != 3);
            options.feature_levels.insert("eligible.leader.replicas.version".to_owned(), elr);
        }
        let cluster = Cluster::formatted_with("", &options);
        oracle.ask(&format!("reset {CLUSTER_ID} 9000"));
        let mut pair = Self {
            cluster,
            oracle,
            state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d,
            processes: BTreeMap::new(),
            incarnations: 0,
            at: format!("seed {seed}, start"),
            concerned: None,
            counts: Compared::default(),
        };
        pair.replay_from(0);
        pair.set_clock();
        // Not the controller's own node: of that broker it knows more than Kafka's does.
        for id in 2..6 + i32::try_from(seed % 3).unwrap() {
            pair.start(id, true);
            pair.beat(id, false, false);
        }
        pair
    }

    pub(crate) fn end(self) -> (Oracle, Compared) {
        (self.oracle, self.counts)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.state >> 33) % u64::try_from(bound).unwrap()).unwrap()
    }

    fn image(&self) -> &MetadataImage {
        self.cluster.controller.image()
    }

    fn set_clock(&mut self) {
        let ms = self.cluster.now.as_millis();
        self.oracle.ask(&format!("time {ms}"));
    }

    fn next_offset(&self) -> Offset {
        Offset(i64::try_from(self.cluster.log.len()).unwrap())
    }

    /// Tells Kafka of the records from there on.
    fn replay_from(&mut self, start: usize) {
        for (at, record) in self.cluster.log.iter().enumerate().skip(start) {
            self.oracle.replay(Offset(i64::try_from(at).unwrap()), record);
        }
    }

    /// Takes a decision that only one of both can take, such as one with randomness.
    fn decide_alone<R>(&mut self, outcome: Outcome<R>) -> R {
        let start = self.cluster.log.len();
        let response = self.cluster.commit(outcome);
        self.replay_from(start);
        response
    }

    /// Takes a decision beside Kafka.
    fn compare<M: Message, R: Message>(
        &mut self,
        kind: &str,
        version: i16,
        request: &M,
        ours: Outcome<R>,
        (code, normal): Reading<R>,
    ) -> R {
        *self.counts.kinds.entry(kind.to_owned()).or_insert(0) += 1;
        let next = self.next_offset();
        match self.oracle.request(kind, version, request, next) {
            Answer::Error { code: theirs, message } => {
                self.counts.refused += 1;
                let mine = code(&ours.response);
                if mine != theirs || !ours.records.is_empty() {
                    self.differ(&format!("{mine} instead of {theirs} {message}"), &format!("{request:?}"));
                }
            }
            Answer::Fault => {}
            Answer::Ok { response, records } => {
                let mut theirs = R::decode(&response, version).unwrap();
                let bytes = ours.response.to_bytes(version).unwrap();
                let mut mine = R::decode(&bytes, version).unwrap();
                normal(&mut theirs);
                normal(&mut mine);
                if mine != theirs {
                    self.differ(&format!("{mine:?}\n  instead of {theirs:?}"), &format!("{request:?}"));
                }
                self.compare_records(&ours.records, &records, &format!("{request:?}"));
            }
        }
        self.decide_alone(ours)
    }

    /// The same for periodic work, which has no request.
    fn compare_periodic<R>(&mut self, kind: &str, ours: Outcome<R>) -> R {
        *self.counts.kinds.entry(kind.to_owned()).or_insert(0) += 1;
        let Answer::Ok { records, .. } = self.oracle.ask(kind) else { panic!("{kind}: {}", self.at) };
        // Kafka fences a fenced broker again when it falls silent.
        let is_fenced_again = |record: &VersionedRecord| match &record.record {
            MetadataRecord::BrokerRegistrationChange(change) => {
                self.image().cluster.broker(NodeId(change.broker_id)).is_some_and(|broker| broker.fenced)
            }
            _ => false,
        };
        if !records.iter().any(is_fenced_again) {
            self.compare_records(&ours.records, &records, kind);
        }
        self.decide_alone(ours)
    }

    fn compare_records(&mut self, ours: &[VersionedRecord], theirs: &[VersionedRecord], what: &str) {
        self.counts.records += theirs.len();
        let theirs = theirs.iter().filter(|record| self.is_concerned(record));
        let theirs: Vec<_> = theirs.map(|record| self.without_leaving(record)).collect();
        let (mine, theirs) = (ordered(ours), ordered(&theirs));
        if mine != theirs {
            let before = mine.0.iter().chain(&theirs.0).map(|change| {
                self.image().topics.partition(change.topic_id, PartitionIndex(change.partition_id)).cloned()
            });
            let before: Vec<_> = before.collect();
            self.differ(&format!("{mine:?}\n  instead of {theirs:?}\n  where was {before:?}"), what);
        }
    }

    /// Kafka's index keeps who was eligible before the minimum of replicas in sync was changed, and looks at partitions that
    /// have nothing to do with the broker.
    fn is_concerned(&self, record: &VersionedRecord) -> bool {
        let (MetadataRecord::PartitionChange(change), Some(id)) = (&record.record, self.concerned) else { return true };
        let partition = self.image().topics.partition(change.topic_id, PartitionIndex(change.partition_id)).unwrap();
        partition.in_sync_replicas.contains(&id) || partition.eligible_leader_replicas.contains(&id)
    }

    fn differ(&mut self, difference: &str, what: &str) {
        self.counts.differences.push(format!("{}: {what}\n  {difference}", self.at));
    }

    /// Kafka keeps replicas as eligible that leave with a completed move.
    fn without_leaving(&self, record: &VersionedRecord) -> VersionedRecord {
        let mut record = record.clone();
        let MetadataRecord::PartitionChange(change) = &mut record.record else { return record };
        let before = self.image().topics.partition(change.topic_id, PartitionIndex(change.partition_id)).unwrap();
        if let Some(replicas) = &change.replicas {
            let before: Vec<i32> = before.eligible_leader_replicas.iter().map(|id| id.0).collect();
            let mut eligible = change.eligible_leader_replicas.clone().unwrap_or_else(|| before.clone());
            eligible.retain(|id| replicas.contains(id));
            change.eligible_leader_replicas = (eligible != before).then_some(eligible);
        }
        record
    }
}

/// Changes of partitions by their partitions, since Kafka has them in the order of hash maps; the rest as it is.
fn ordered(records: &[VersionedRecord]) -> (Vec<PartitionChangeRecord>, Vec<VersionedRecord>) {
    let mut changes = Vec::new();
    let mut others = Vec::new();
    for record in records {
        match &record.record {
            MetadataRecord::PartitionChange(change) => changes.push(change.clone()),
            _ => others.push(record.clone()),
        }
    }
    changes.sort_by_key(|change| (change.topic_id, change.partition_id));
    // For the same reason Kafka says some things twice.
    changes.dedup();
    (changes, others)
}
