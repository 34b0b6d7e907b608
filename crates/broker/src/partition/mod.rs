//! The partitions that this broker hosts.

mod append;
mod append_error;
mod delete_records;
mod leadership;
mod read;
mod registry;
mod replica;
mod topic_rules;

pub(crate) use append::{Acknowledgement, Append};
pub(crate) use append_error::PartitionAppendError;
pub(crate) use leadership::Leadership;
pub(crate) use read::{PartitionRead, ReadOrder};
pub(crate) use registry::PartitionRegistry;
pub(crate) use replica::FetchChange;
pub(crate) use topic_rules::{TopicRules, log_config};

use crate::metrics::TopicMetrics;
use crate::replication::ReplicationContext;
use crate::waiters::Waiters;
use ottla_log::Log;
use ottla_protocol::ErrorCode;
use ottla_replication::Replica;
use ottla_types::{LeaderEpoch, Offset, PartitionIndex, TopicId};
use parking_lot::{Mutex, RwLock};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A partition with a replica on this broker: its log, who leads it, and who waits for it.
pub(crate) struct Partition {
    pub(crate) topic: Arc<str>,
    pub(crate) topic_id: TopicId,
    pub(crate) index: PartitionIndex,
    pub(crate) log: Arc<Log>,
    pub(crate) waiters: Waiters,
    pub(crate) metrics: TopicMetrics,
    /// Read-locked during an append, so that no append of an old epoch is under way once a change has taken the lock.
    leadership: RwLock<Leadership>,
    rules: RwLock<Arc<TopicRules>>,
    /// What it is to the other brokers. Locked after `leadership`, and held while the high watermark moves: it must not go back
    /// when two appends end at the same time.
    replica: Mutex<Replica>,
    /// The last offsets and lengths of appends that the high watermark has not passed. Bounded: the last stands for all that
    /// come too many.
    unannounced: Mutex<VecDeque<(Offset, u64)>>,
    /// Whether the partition was deleted.
    is_gone: AtomicBool,
    context: Arc<ReplicationContext>,
}

impl Partition {
    pub(crate) fn new(
        topic: Arc<str>,
        topic_id: TopicId,
        index: PartitionIndex,
        log: Arc<Log>,
        rules: Arc<TopicRules>,
        metrics: TopicMetrics,
        context: Arc<ReplicationContext>,
    ) -> Self {
        let min_in_sync = usize::try_from(rules.config.min_insync_replicas).unwrap_or(0);
        let replica = Replica::new(context.settings(min_in_sync));
        context.throttles().set_topic(topic_id, &rules.config);
        Self {
            topic,
            topic_id,
            index,
            log,
            waiters: Waiters::default(),
            metrics,
            leadership: RwLock::new(Leadership::unknown()),
            replica: Mutex::new(replica),
            rules: RwLock::new(rules),
            unannounced: Mutex::default(),
            is_gone: AtomicBool::new(false),
            context,
        }
    }

    /// The same partition with its log in another place.
    pub(crate) fn with_log(&self, log: Arc<Log>) -> Self {
        let (metrics, context) = (self.metrics.clone(), self.context.clone());
        let new = Self::new(self.topic.clone(), self.topic_id, self.index, log, self.rules(), metrics, context);
        *new.leadership.write() = self.leadership();
        *new.replica.lock() = self.replica.lock().clone();
        new
    }

    /// Who leads the partition now.
    pub(crate) fn leadership(&self) -> Leadership {
        self.leadership.read().clone()
    }

    /// What the topic demands of records.
    pub(crate) fn rules(&self) -> Arc<TopicRules> {
        self.rules.read().clone()
    }

    /// Takes over a changed topic configuration.
    pub(crate) fn set_rules(&self, rules: Arc<TopicRules>) {
        let min_in_sync = usize::try_from(rules.config.min_insync_replicas).unwrap_or(0);
        self.context.throttles().set_topic(self.topic_id, &rules.config);
        *self.rules.write() = rules;
        self.set_min_in_sync(min_in_sync);
    }

    /// Refuses whoever asks a broker that does not lead, whose log directory is offline, or asks with another idea of the
    /// leader epoch.
    pub(crate) fn check_leader(&self, expected: LeaderEpoch) -> Result<(), ErrorCode> {
        if self.log.is_offline() {
            return Err(ErrorCode::KafkaStorageError);
        }
        let leadership = self.leadership.read();
        leadership.check_epoch(expected)?;
        if leadership.is_leader { Ok(()) } else { Err(ErrorCode::NotLeaderOrFollower) }
    }

    /// Refuses whoever asks a broker that has no replica's role in the partition, or asks with another idea of the leader epoch:
    /// consumers may read from followers too (KIP-392).
    pub(crate) fn check_replica(&self, expected: LeaderEpoch) -> Result<(), ErrorCode> {
        if self.log.is_offline() {
            return Err(ErrorCode::KafkaStorageError);
        }
        let leadership = self.leadership.read();
        leadership.check_epoch(expected)?;
        if leadership.leader_epoch == LeaderEpoch::NONE { Err(ErrorCode::NotLeaderOrFollower) } else { Ok(()) }
    }

    /// Notes that the partition was deleted, and tells whoever waits.
    pub(crate) fn set_gone(&self) {
        self.is_gone.store(true, Ordering::Release);
        self.waiters.partition_changed();
    }

    /// Whether the partition was deleted.
    pub(crate) fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::Acquire)
    }
}
