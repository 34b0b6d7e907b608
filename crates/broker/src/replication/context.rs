use super::Throttles;
use core::time::Duration;
use ottla_env::Clock;
use ottla_metrics::Counter;
use ottla_replication::{AlterPartition, AlterPartitionQueue, LeaderSettings};
use ottla_types::{BrokerEpoch, BrokerId, PartitionIndex, TopicIdPartition};
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};

/// Is told when the high watermark of a partition of an internal topic has moved by what followers have fetched.
type Moved = Box<dyn Fn(&str, PartitionIndex) + Send + Sync>;

/// What is counted of replication.
#[derive(Debug, Default)]
pub(crate) struct ReplicationCounters {
    pub(crate) bytes_in: Counter,
    pub(crate) bytes_out: Counter,
    pub(crate) isr_shrinks: Counter,
    pub(crate) isr_expands: Counter,
}

/// What the partitions of a broker share for being replicated.
pub(crate) struct ReplicationContext {
    pub(crate) broker: BrokerId,
    pub(crate) lag_max: Duration,
    pub(crate) counters: ReplicationCounters,
    clock: Arc<dyn Clock>,
    wake: Arc<dyn Fn() + Send + Sync>,
    broker_epoch: AtomicI64,
    proposals: Mutex<AlterPartitionQueue>,
    moved: OnceLock<Moved>,
    throttles: Throttles,
    /// Brokers that say nothing, while most voters do not either; empty when this broker is not cut off.
    unreached: RwLock<BTreeSet<BrokerId>>,
}

impl ReplicationContext {
    pub(crate) fn new(
        broker: BrokerId,
        lag_max: Duration,
        clock: Arc<dyn Clock>,
        wake: Arc<dyn Fn() + Send + Sync>,
        throttles: Throttles,
    ) -> Self {
        let (broker_epoch, proposals) = (AtomicI64::new(-1), Mutex::default());
        let counters = ReplicationCounters::default();
        let (moved, unreached) = (OnceLock::new(), RwLock::default());
        Self { broker, lag_max, counters, clock, wake, broker_epoch, proposals, moved, throttles, unreached }
    }

    /// What is throttled.
    pub(crate) fn throttles(&self) -> &Throttles {
        &self.throttles
    }

    /// Takes note of the brokers that this one is cut off from; says which, if that is news.
    pub(crate) fn set_unreached(&self, brokers: BTreeSet<BrokerId>) -> Option<BTreeSet<BrokerId>> {
        let mut unreached = self.unreached.write();
        (*unreached != brokers).then(|| {
            unreached.clone_from(&brokers);
            brokers
        })
    }

    /// Whether this broker is cut off from any of these.
    pub(crate) fn is_cut_off_from(&self, brokers: &[BrokerId]) -> bool {
        let unreached = self.unreached.read();
        !unreached.is_empty() && brokers.iter().any(|broker| unreached.contains(broker))
    }

    /// The monotonic clock.
    pub(crate) fn now(&self) -> Duration {
        Duration::from_nanos(self.clock.monotonic().0)
    }

    /// The epoch of this broker's registration; -1 before it.
    pub(crate) fn broker_epoch(&self) -> BrokerEpoch {
        BrokerEpoch(self.broker_epoch.load(Ordering::Acquire))
    }

    /// Takes note of a registration; says whether it is news.
    pub(crate) fn set_broker_epoch(&self, epoch: BrokerEpoch) -> bool {
        self.broker_epoch.swap(epoch.0, Ordering::AcqRel) != epoch.0
    }

    pub(crate) fn settings(&self, min_in_sync: usize) -> LeaderSettings {
        LeaderSettings { local: self.broker, local_epoch: self.broker_epoch(), lag_max: self.lag_max, min_in_sync }
    }

    /// Who is told of high watermarks. Set once, before anybody is served.
    pub(crate) fn tell(&self, moved: Moved) {
        let _ = self.moved.set(moved);
    }

    pub(crate) fn moved(&self, topic: &str, partition: PartitionIndex) {
        if let Some(moved) = self.moved.get() {
            moved(topic, partition);
        }
    }

    /// Has the controller be asked for other replicas in sync.
    pub(crate) fn propose(&self, partition: TopicIdPartition, proposal: AlterPartition) {
        self.proposals.lock().submit(partition, proposal);
        (self.wake)();
    }

    /// The proposals of all partitions that this broker leads.
    pub(crate) fn proposals(&self) -> &Mutex<AlterPartitionQueue> {
        &self.proposals
    }

    pub(crate) fn wake(&self) {
        (self.wake)();
    }
}
