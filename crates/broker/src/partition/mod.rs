//! The partitions that this broker hosts.

mod append;
mod append_error;
mod leadership;
mod read;
mod registry;
mod topic_rules;

pub(crate) use append::{Acknowledgement, Append};
pub(crate) use append_error::PartitionAppendError;
pub(crate) use leadership::Leadership;
pub(crate) use read::{PartitionRead, ReadOrder};
pub(crate) use registry::PartitionRegistry;
pub(crate) use topic_rules::{TopicRules, log_config};

use crate::metrics::TopicMetrics;
use crate::waiters::Waiters;
use ottla_log::Log;
use ottla_protocol::ErrorCode;
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
    /// Held while the high watermark moves: it must not go back when two appends end at the same time.
    high_watermark: Mutex<()>,
    /// The last offsets and lengths of appends that the high watermark has not passed. Bounded by what is in flight.
    unannounced: Mutex<VecDeque<(Offset, u64)>>,
    /// Whether the partition was deleted.
    is_gone: AtomicBool,
}

impl Partition {
    pub(crate) fn new(
        topic: Arc<str>,
        topic_id: TopicId,
        index: PartitionIndex,
        log: Arc<Log>,
        leadership: Leadership,
        rules: Arc<TopicRules>,
        metrics: TopicMetrics,
    ) -> Self {
        let partition = Self {
            topic,
            topic_id,
            index,
            log,
            waiters: Waiters::default(),
            metrics,
            leadership: RwLock::new(leadership),
            rules: RwLock::new(rules),
            high_watermark: Mutex::new(()),
            unannounced: Mutex::default(),
            is_gone: AtomicBool::new(false),
        };
        partition.leadership_began();
        partition
    }

    /// The same partition with its log in another place.
    pub(crate) fn with_log(&self, log: Arc<Log>) -> Self {
        let metrics = self.metrics.clone();
        Self::new(self.topic.clone(), self.topic_id, self.index, log, self.leadership(), self.rules(), metrics)
    }

    /// Who leads the partition now.
    pub(crate) fn leadership(&self) -> Leadership {
        self.leadership.read().clone()
    }

    /// Takes over a change that the metadata log brought, and lets everyone who waits look again.
    pub(crate) fn set_leadership(&self, leadership: Leadership) {
        *self.leadership.write() = leadership;
        self.leadership_began();
        self.waiters.partition_changed();
    }

    fn leadership_began(&self) {
        let leadership = self.leadership();
        if leadership.is_leader {
            self.log.begin_leader_epoch(leadership.leader_epoch);
        }
        self.advance_high_watermark();
    }

    /// What the topic demands of records.
    pub(crate) fn rules(&self) -> Arc<TopicRules> {
        self.rules.read().clone()
    }

    /// Takes over a changed topic configuration.
    pub(crate) fn set_rules(&self, rules: Arc<TopicRules>) {
        *self.rules.write() = rules;
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

    /// Notes that the partition was deleted, and tells whoever waits.
    pub(crate) fn set_gone(&self) {
        self.is_gone.store(true, Ordering::Release);
        self.waiters.partition_changed();
    }

    /// Whether the partition was deleted.
    pub(crate) fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::Acquire)
    }

    /// Moves the high watermark to where all in-sync replicas are. With this broker alone in sync that is the log's end, or
    /// where `flush.messages` has it wait for a sync.
    pub(crate) fn advance_high_watermark(&self) -> Offset {
        if !self.leadership.read().advances_alone() {
            return self.log.high_watermark();
        }
        let _moving = self.high_watermark.lock();
        self.log.set_high_watermark(self.log.acknowledgeable_offset())
    }
}
