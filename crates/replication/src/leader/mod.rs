mod acknowledgement;
mod alter_partition;
mod delete_records;
mod epochs;
mod fetching;
mod figures;
mod follower_progress;
mod in_sync;
mod read_replica;
mod watermarks;

pub use acknowledgement::{Acknowledgement, NotEnoughReplicas};
pub use alter_partition::{AlterPartition, AlterPartitionAnswer, AlterPartitionError, InSyncMember, IsrChange};
pub use delete_records::DeleteRecordsRefusal;
pub use epochs::{EpochRefusal, check_leader_epoch, end_offset_for_leader_epoch};
pub use fetching::{ConsumerFetch, FetchPosition, FetchRead, FetchRefusal, FollowerFetch, read_position};
pub use figures::LeaderFigures;
pub use follower_progress::{FetcherEpoch, FollowerProgress};
pub use read_replica::{Candidate, ReadFrom, ReplicaSelector};

use crate::partition_state::PartitionState;
use in_sync::InSync;
use ottla_types::{BrokerEpoch, BrokerId, LeaderEpoch, Offset};
use std::collections::BTreeMap;
use std::time::Duration;

/// What a leader is told about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaderSettings {
    /// The broker.
    pub local: BrokerId,
    /// The epoch of its registration, for its proposals.
    pub local_epoch: BrokerEpoch,
    /// `replica.lag.time.max.ms`: how long a follower may lag and stay in sync.
    pub lag_max: Duration,
    /// The topic's `min.insync.replicas`.
    pub min_in_sync: usize,
}

/// Where the local log stands when a leadership begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogOffsets {
    /// The log start offset.
    pub start: Offset,
    /// The log end offset.
    pub end: Offset,
    /// Up to where the log may be acknowledged: its end, or what is durable where `flush.messages` waits for a sync.
    pub acknowledgeable: Offset,
    /// The high watermark, from its checkpoint when the broker has just started.
    pub high_watermark: Offset,
}

/// What follows from an event.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
#[must_use]
pub struct Progress {
    /// The high watermark is here now: complete waiting produces and fetches.
    pub high_watermark: Option<Offset>,
    /// Every live replica's log starts here now or later: complete waiting DeleteRecords.
    pub low_watermark: Option<Offset>,
    /// Ask the controller for these replicas in sync.
    pub proposal: Option<AlterPartition>,
    /// What became of the last proposal, for metrics.
    pub isr_change: Option<IsrChange>,
}

/// The leader of one partition, in one leader epoch after the other.
///
/// Invariants: the high watermark never goes back; it never passes the end of a replica that is in sync or that may join,
/// nor what of the local log may be acknowledged; it does not move while fewer replicas are in sync than the topic demands
/// (KIP-966). At most one proposal is under way.
#[derive(Clone, Debug, PartialEq)]
pub struct Leader {
    settings: LeaderSettings,
    leader_epoch: LeaderEpoch,
    partition_epoch: i32,
    epoch_start: Offset,
    log_start: Offset,
    log_end: Offset,
    acknowledgeable: Offset,
    high_watermark: Offset,
    low_watermark: Offset,
    replication_factor: usize,
    is_reassigning: bool,
    followers: BTreeMap<BrokerId, FollowerProgress>,
    in_sync: InSync,
    proposals: u64,
}

impl Leader {
    /// Begins a leadership. The first record of its epoch gets the offset at which the log ends now.
    pub fn begin(settings: LeaderSettings, state: &PartitionState, log: LogOffsets, now: Duration) -> (Self, Progress) {
        let mut leader = Self {
            settings,
            leader_epoch: state.leader_epoch,
            partition_epoch: state.partition_epoch,
            epoch_start: log.end,
            log_start: log.start,
            log_end: log.end,
            acknowledgeable: log.acknowledgeable.min(log.end),
            high_watermark: log.high_watermark.max(log.start).min(log.end),
            low_watermark: Offset(-1),
            replication_factor: state.replication_factor(),
            is_reassigning: state.is_reassigning(),
            followers: BTreeMap::new(),
            in_sync: InSync::new(state.in_sync.iter().copied()),
            proposals: 0,
        };
        leader.set_followers(state, now);
        let progress = leader.progress(now);
        (leader, progress)
    }

    /// Takes a later state of the partition from the metadata, in which this broker still leads. An older state is
    /// ignored; a new leader epoch begins the leadership anew.
    ///
    /// A new epoch forgets how far followers were, even though the leader is the same: it may have missed an epoch of
    /// another leader, for which they have cut their logs.
    pub fn apply(&mut self, state: &PartitionState, now: Duration) -> Progress {
        if state.partition_epoch < self.partition_epoch || state.leader_epoch < self.leader_epoch {
            return Progress::default();
        }
        if state.leader_epoch > self.leader_epoch {
            self.leader_epoch = state.leader_epoch;
            self.epoch_start = self.log_end;
            self.followers.clear();
        }
        // The same epoch is news of brokers only; a proposal may rest on it, and the controller may yet accept it.
        if state.partition_epoch > self.partition_epoch {
            self.partition_epoch = state.partition_epoch;
            self.in_sync = InSync::new(state.in_sync.iter().copied());
        }
        self.replication_factor = state.replication_factor();
        self.is_reassigning = state.is_reassigning();
        self.set_followers(state, now);
        self.progress(now)
    }

    fn set_followers(&mut self, state: &PartitionState, now: Duration) {
        let mut known = std::mem::take(&mut self.followers);
        for id in state.replicas.iter().copied().filter(|id| *id != self.settings.local) {
            let broker = state.brokers.get(&id).copied();
            let begin = || FollowerProgress::begin(now, state.in_sync.contains(&id), broker);
            let mut follower = known.remove(&id).unwrap_or_else(begin);
            follower.broker = broker;
            self.followers.insert(id, follower);
        }
    }

    /// The local log was appended to. `acknowledgeable` is how much of it may be acknowledged, when every replica has it:
    /// its end, unless `flush.messages` has it wait for a sync.
    pub fn appended(&mut self, end: Offset, acknowledgeable: Offset, now: Duration) -> Progress {
        self.log_end = end.max(self.log_end);
        self.synced(acknowledgeable, now)
    }

    /// A sync has returned: more of the local log may be acknowledged.
    pub fn synced(&mut self, acknowledgeable: Offset, now: Duration) -> Progress {
        self.acknowledgeable = acknowledgeable.min(self.log_end).max(self.acknowledgeable);
        if self.followers.is_empty() {
            // The common case of one replica, on the way of every record.
            return Progress { high_watermark: self.advance_high_watermark(now), ..Progress::default() };
        }
        self.progress(now)
    }

    /// The local log starts later: by retention, or because records were deleted.
    pub fn log_start_moved(&mut self, start: Offset, now: Duration) -> Progress {
        self.log_start = start.max(self.log_start);
        let moved = self.log_start > self.high_watermark;
        self.high_watermark = self.high_watermark.max(self.log_start);
        let mut progress = self.progress(now);
        if moved && progress.high_watermark.is_none() {
            progress.high_watermark = Some(self.high_watermark);
        }
        progress
    }

    /// Looks for replicas in sync that have lagged too long. Call it every half of the allowed lag.
    pub fn check_lag(&mut self, now: Duration) -> Progress {
        let mut progress = self.progress(now);
        progress.proposal = self.shrinking(now);
        progress
    }

    /// The topic demands another number of replicas in sync.
    pub fn set_min_in_sync(&mut self, min_in_sync: usize, now: Duration) -> Progress {
        self.settings.min_in_sync = min_in_sync;
        self.progress(now)
    }

    /// `replica.lag.time.max.ms` has changed.
    pub fn set_lag_max(&mut self, lag_max: Duration) {
        self.settings.lag_max = lag_max;
    }

    /// The broker has registered anew.
    pub fn set_local_epoch(&mut self, epoch: BrokerEpoch) {
        self.settings.local_epoch = epoch;
    }

    /// The offset below which every record is committed.
    pub fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    /// The earliest offset that a live replica still has.
    pub fn low_watermark(&self) -> Offset {
        self.low_watermark
    }

    /// The leader epoch.
    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.leader_epoch
    }

    /// The partition epoch: of the metadata, or of an answer of the controller that came before it.
    pub fn partition_epoch(&self) -> i32 {
        self.partition_epoch
    }

    /// Where the leader epoch begins in the log.
    pub fn epoch_start(&self) -> Offset {
        self.epoch_start
    }

    /// The replicas in sync, ascending, as far as the controller has confirmed them.
    pub fn in_sync(&self) -> impl Iterator<Item = BrokerId> {
        self.in_sync.committed().iter().copied()
    }

    /// Whether the controller has confirmed that the replica is in sync.
    pub fn is_in_sync(&self, replica: BrokerId) -> bool {
        self.in_sync.committed().contains(&replica)
    }

    /// Whether records are committed only when the replica has them: it is in sync, or may be so already.
    pub fn may_be_in_sync(&self, replica: BrokerId) -> bool {
        self.in_sync.may_contain(replica)
    }

    /// The followers and how far they have come.
    pub fn followers(&self) -> &BTreeMap<BrokerId, FollowerProgress> {
        &self.followers
    }
}

#[cfg(test)]
mod tests;
