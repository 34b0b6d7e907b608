//! Transaction markers into the logs of partitions.

use crate::broker::Broker;
use crate::internal_topics::CONSUMER_OFFSETS;
use crate::partition::{Acknowledgement, Append, Partition};
use crate::waiters::Waiter;
use ottla_coordinator::MarkerEpoch;
use ottla_log::{AppendOrigin, TransactionVersion as LogVersion};
use ottla_protocol::ErrorCode;
use ottla_records::{BatchBuilder, BatchOptions, EndTransactionMarker};
use ottla_transactions::TransactionVersion;
use ottla_types::{Offset, ProducerEpoch, ProducerId, TopicPartition};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the markers of one transaction say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MarkerOrder {
    pub(crate) producer_id: ProducerId,
    pub(crate) producer_epoch: ProducerEpoch,
    pub(crate) commit: bool,
    pub(crate) coordinator_epoch: i32,
    pub(crate) version: TransactionVersion,
}

impl MarkerOrder {
    fn marker(&self) -> EndTransactionMarker {
        EndTransactionMarker { is_commit: self.commit, coordinator_epoch: self.coordinator_epoch }
    }
}

/// What became of the markers, by partition.
pub(crate) type MarkerResults = BTreeMap<TopicPartition, ErrorCode>;

/// Writes markers into partitions that this broker leads, and goes on when each of them is as safe as an acknowledged
/// record, or can't be written: only then may the transaction be complete.
pub(crate) fn write_markers(
    broker: &Broker,
    order: &MarkerOrder,
    partitions: impl IntoIterator<Item = TopicPartition>,
    then: Box<dyn FnOnce(MarkerResults) + Send>,
) {
    let mut results = MarkerResults::new();
    let mut waiting = Vec::new();
    for name in partitions {
        match write_marker(broker, order, &name) {
            Ok((partition, offset)) => waiting.push(Waiting { name, partition, offset }),
            Err(code) => {
                results.insert(name, code);
            }
        }
    }
    DelayedMarkers::wait(Work { results, waiting, then });
}

/// Writes a marker. In `__consumer_offsets` the group coordinator does, since the offsets of the transaction come into
/// force with it.
fn write_marker(
    broker: &Broker,
    order: &MarkerOrder,
    name: &TopicPartition,
) -> Result<(Arc<Partition>, Offset), ErrorCode> {
    let partition = broker.partition(&name.topic, name.partition)?;
    let bumps_epoch = order.version.bumps_epoch();
    if *name.topic == *CONSUMER_OFFSETS {
        let epoch = if bumps_epoch { MarkerEpoch::Bumped } else { MarkerEpoch::Same };
        let producer = (order.producer_id, order.producer_epoch);
        let written = broker.groups.end_transaction(name.partition, producer, order.marker(), epoch);
        return written.map(|offset| (partition, offset)).map_err(as_of_a_partition);
    }
    let options = BatchOptions {
        producer_id: order.producer_id,
        producer_epoch: order.producer_epoch,
        ..BatchOptions::default()
    };
    let now = broker.clock.wall();
    let batch =
        BatchBuilder::end_transaction(options, now, order.marker()).map_err(|_| ErrorCode::UnknownServerError)?;
    let transaction_version = if bumps_epoch { LogVersion::EpochBump } else { LogVersion::Classic };
    let append = Append {
        origin: AppendOrigin::Coordinator { transaction_version },
        acknowledgement: Acknowledgement::All,
        now,
        codecs: &broker.codecs,
    };
    let info = partition.append(&mut batch.to_vec(), append).map_err(|error| error.code)?;
    Ok((partition, info.last_offset))
}

/// What a transaction coordinator understands of a group coordinator that is not ready.
fn as_of_a_partition(code: ErrorCode) -> ErrorCode {
    match code {
        ErrorCode::CoordinatorNotAvailable | ErrorCode::CoordinatorLoadInProgress | ErrorCode::NotCoordinator => {
            ErrorCode::NotLeaderOrFollower
        }
        other => other,
    }
}

/// A marker that is in the log.
struct Waiting {
    name: TopicPartition,
    partition: Arc<Partition>,
    offset: Offset,
}

impl Waiting {
    /// What became of it; `None` while it is not known.
    fn fate(&self) -> Option<ErrorCode> {
        if self.partition.log.high_watermark() > self.offset {
            Some(ErrorCode::None)
        } else if self.partition.log.is_offline() {
            Some(ErrorCode::KafkaStorageError)
        } else if self.partition.is_gone() {
            Some(ErrorCode::UnknownTopicOrPartition)
        } else if !self.partition.leadership().is_leader {
            Some(ErrorCode::NotLeaderOrFollower)
        } else {
            None
        }
    }
}

struct Work {
    results: MarkerResults,
    waiting: Vec<Waiting>,
    then: Box<dyn FnOnce(MarkerResults) + Send>,
}

impl Work {
    /// Takes out what is decided.
    fn look(&mut self) {
        let Self { results, waiting, .. } = self;
        waiting.retain(|marker| match marker.fate() {
            None => true,
            Some(code) => {
                results.insert(marker.name.clone(), code);
                false
            }
        });
    }
}

/// Markers of one transaction that wait for a sync. Whoever takes the work out goes on with it.
struct DelayedMarkers {
    work: Mutex<Option<Work>>,
    watched: Vec<Arc<Partition>>,
}

impl DelayedMarkers {
    fn wait(mut work: Work) {
        work.look();
        if work.waiting.is_empty() {
            return (work.then)(work.results);
        }
        let watched: Vec<_> = work.waiting.iter().map(|marker| marker.partition.clone()).collect();
        let delayed = Arc::new(Self { work: Mutex::new(Some(work)), watched });
        for partition in &delayed.watched {
            partition.waiters.add(delayed.clone());
        }
        // A sync that came between the append and the entry at the waiters has told nobody: look once more.
        delayed.look();
    }

    fn look(self: &Arc<Self>) {
        let done = {
            let mut parked = self.work.lock();
            let Some(work) = parked.as_mut() else { return };
            work.look();
            if work.waiting.is_empty() { parked.take() } else { None }
        };
        let Some(work) = done else { return };
        let waiter: Arc<dyn Waiter> = self.clone();
        for partition in &self.watched {
            partition.waiters.remove(&waiter);
        }
        (work.then)(work.results);
    }
}

impl Waiter for DelayedMarkers {
    fn high_watermark_advanced(self: Arc<Self>, _bytes: u64) {
        self.look();
    }

    fn partition_changed(self: Arc<Self>) {
        self.look();
    }
}
