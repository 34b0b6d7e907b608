use crate::follower::FollowerProgress;
use crate::in_sync::{InSync, IsrAnswer, IsrProposal};
use ottla_types::{BrokerEpoch, BrokerId, LeaderEpoch, Offset};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use thiserror::Error;

/// What a leader is told about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaderSettings {
    /// The broker.
    pub local: BrokerId,
    /// `replica.lag.time.max.ms`: how long a follower may lag and stay in sync.
    pub lag_max: Duration,
    /// The topic's `min.insync.replicas`.
    pub min_in_sync: usize,
}

/// A partition as the metadata has it, with this broker as its leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionState {
    /// Grows with each election.
    pub leader_epoch: LeaderEpoch,
    /// Grows with each change.
    pub partition_epoch: i32,
    /// All replicas, this broker among them.
    pub replicas: Vec<BrokerId>,
    /// The replicas in sync.
    pub in_sync: Vec<BrokerId>,
    /// The brokers that are registered, unfenced and not shutting down.
    pub eligible: BTreeSet<BrokerId>,
}

/// Where the local log stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogOffsets {
    /// The log start offset.
    pub start: Offset,
    /// The log end offset.
    pub end: Offset,
    /// The high watermark, from its checkpoint when the broker has just started.
    pub high_watermark: Offset,
}

/// A follower asks for what comes after what it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowerFetch {
    /// Who asks.
    pub replica: BrokerId,
    /// The epoch of its registration; `None` from versions that do not say.
    pub broker_epoch: Option<BrokerEpoch>,
    /// The end of its log.
    pub offset: Offset,
    /// The start of its log.
    pub log_start: Offset,
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
    pub proposal: Option<IsrProposal>,
}

/// Whether an append with `acks=all` is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledgement {
    /// The records are on all replicas in sync, and those are enough.
    Done,
    /// Not yet.
    Waiting,
    /// The records are on all replicas in sync, but those have become too few: NOT_ENOUGH_REPLICAS_AFTER_APPEND.
    TooFewReplicas,
}

/// Fewer replicas are in sync than the topic demands: NOT_ENOUGH_REPLICAS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{in_sync} replicas are in sync, {needed} are needed")]
pub struct NotEnoughReplicas {
    /// How many are in sync.
    pub in_sync: usize,
    /// How many must be.
    pub needed: usize,
}

/// A fetch that is not from a replica of this partition: UNKNOWN_LEADER_EPOCH, so that the follower looks again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("broker {0} holds no replica of this partition")]
pub struct FetchRefusal(pub BrokerId);

/// The leader of one partition.
///
/// Invariants: the high watermark never goes back; it never passes the end of a replica that is in sync or that may join;
/// it does not move while fewer replicas are in sync than the topic demands (KIP-966).
#[derive(Clone, Debug, PartialEq)]
pub struct Leader {
    settings: LeaderSettings,
    leader_epoch: LeaderEpoch,
    partition_epoch: i32,
    epoch_start: Offset,
    log_start: Offset,
    log_end: Offset,
    high_watermark: Offset,
    low_watermark: Offset,
    followers: BTreeMap<BrokerId, FollowerProgress>,
    in_sync: InSync,
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
            high_watermark: log.high_watermark.max(log.start).min(log.end),
            low_watermark: Offset(-1),
            followers: BTreeMap::new(),
            in_sync: InSync::new(state.in_sync.iter().copied()),
        };
        leader.set_followers(state, now);
        let progress = leader.progress(now);
        (leader, progress)
    }

    /// Takes a later state of the partition from the metadata, in which this broker still leads. An older state is
    /// ignored; a new leader epoch begins the leadership anew.
    pub fn apply(&mut self, state: &PartitionState, now: Duration) -> Progress {
        if state.partition_epoch < self.partition_epoch || state.leader_epoch < self.leader_epoch {
            return Progress::default();
        }
        if state.leader_epoch > self.leader_epoch {
            self.leader_epoch = state.leader_epoch;
            self.epoch_start = self.log_end;
            self.followers.clear();
        }
        self.partition_epoch = state.partition_epoch;
        self.in_sync = InSync::new(state.in_sync.iter().copied());
        self.set_followers(state, now);
        self.progress(now)
    }

    fn set_followers(&mut self, state: &PartitionState, now: Duration) {
        let mut known = std::mem::take(&mut self.followers);
        for id in state.replicas.iter().copied().filter(|id| *id != self.settings.local) {
            let is_eligible = state.eligible.contains(&id);
            let begin = || FollowerProgress::begin(now, state.in_sync.contains(&id), self.log_end, is_eligible);
            let mut follower = known.remove(&id).unwrap_or_else(begin);
            follower.is_eligible = is_eligible;
            self.followers.insert(id, follower);
        }
    }

    /// The local log was appended to.
    pub fn appended(&mut self, end: Offset, now: Duration) -> Progress {
        self.log_end = end.max(self.log_end);
        if self.followers.is_empty() {
            // The common case of one replica, on the way of every record.
            return Progress { high_watermark: self.advance_high_watermark(now), ..Progress::default() };
        }
        self.progress(now)
    }

    /// The local log starts later: by retention, or because records were deleted.
    pub fn log_start_moved(&mut self, start: Offset, now: Duration) -> Progress {
        self.log_start = start.max(self.log_start);
        self.high_watermark = self.high_watermark.max(self.log_start);
        self.progress(now)
    }

    /// A follower fetches.
    ///
    /// # Errors
    /// When the broker holds no replica of this partition.
    pub fn follower_fetched(&mut self, fetch: FollowerFetch, now: Duration) -> Result<Progress, FetchRefusal> {
        let follower = self.followers.get_mut(&fetch.replica).ok_or(FetchRefusal(fetch.replica))?;
        follower.fetched(now, fetch.offset, fetch.log_start, self.log_end);
        follower.broker_epoch = fetch.broker_epoch;
        let mut progress = self.progress(now);
        progress.proposal = self.expansion(fetch.replica);
        Ok(progress)
    }

    /// Looks for replicas in sync that have lagged too long. Call it every half of the allowed lag.
    pub fn check_lag(&mut self, now: Duration) -> Progress {
        let mut progress = self.progress(now);
        if self.in_sync.is_proposing() {
            return progress;
        }
        let lags = |id: &BrokerId| {
            let follower = self.followers.get(id);
            *id != self.settings.local
                && follower.is_none_or(|f| !f.is_caught_up(now, self.log_end, self.settings.lag_max))
        };
        let remaining: BTreeSet<_> = self.in_sync.committed().iter().copied().filter(|id| !lags(id)).collect();
        if remaining.len() < self.in_sync.committed().len() {
            progress.proposal = Some(self.propose(remaining));
        }
        progress
    }

    /// The controller has answered a proposal.
    pub fn answered(&mut self, answer: IsrAnswer, now: Duration) -> Progress {
        match answer {
            IsrAnswer::Accepted { partition_epoch } if partition_epoch >= self.partition_epoch => {
                self.in_sync.accept();
                self.partition_epoch = partition_epoch;
            }
            IsrAnswer::Accepted { .. } | IsrAnswer::Refused => self.in_sync.withdraw(),
        }
        self.progress(now)
    }

    /// The topic demands another number of replicas in sync.
    pub fn set_min_in_sync(&mut self, min_in_sync: usize, now: Duration) -> Progress {
        self.settings.min_in_sync = min_in_sync;
        self.progress(now)
    }

    /// Whether records with `acks=all` may be appended at all.
    ///
    /// # Errors
    /// When too few replicas are in sync.
    pub fn check_append_with_all_acks(&self) -> Result<(), NotEnoughReplicas> {
        let (in_sync, needed) = (self.in_sync.committed().len(), self.needed());
        if in_sync < needed { Err(NotEnoughReplicas { in_sync, needed }) } else { Ok(()) }
    }

    /// Whether records up to `offset` (the one after the last of them) can be acknowledged to a producer that waits for
    /// all replicas.
    pub fn acknowledgement(&self, offset: Offset) -> Acknowledgement {
        if self.high_watermark < offset {
            Acknowledgement::Waiting
        } else if self.in_sync.len_max() < self.needed() {
            Acknowledgement::TooFewReplicas
        } else {
            Acknowledgement::Done
        }
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

    /// Where the leader epoch begins in the log.
    pub fn epoch_start(&self) -> Offset {
        self.epoch_start
    }

    /// The replicas in sync, ascending, as far as the controller has confirmed them.
    pub fn in_sync(&self) -> impl Iterator<Item = BrokerId> {
        self.in_sync.committed().iter().copied()
    }

    /// The followers and how far they have come.
    pub fn followers(&self) -> &BTreeMap<BrokerId, FollowerProgress> {
        &self.followers
    }

    /// A topic can demand more replicas than it has; then all of them are enough.
    fn needed(&self) -> usize {
        self.settings.min_in_sync.min(self.followers.len() + 1)
    }

    fn progress(&mut self, now: Duration) -> Progress {
        Progress {
            high_watermark: self.advance_high_watermark(now),
            low_watermark: self.advance_low_watermark(),
            proposal: None,
        }
    }

    fn advance_high_watermark(&mut self, now: Duration) -> Option<Offset> {
        if self.in_sync.committed().len() < self.needed() {
            return None;
        }
        let mut committed = self.log_end;
        for (id, follower) in &self.followers {
            // A follower that keeps up will ask to join; if the high watermark ran ahead of it, it never could.
            let may_join = follower.is_eligible && follower.is_caught_up(now, self.log_end, self.settings.lag_max);
            if self.in_sync.may_contain(*id) || may_join {
                committed = committed.min(follower.log_end.unwrap_or(Offset(-1)));
            }
        }
        let moved = committed > self.high_watermark;
        if moved {
            self.high_watermark = committed;
        }
        moved.then_some(committed)
    }

    fn advance_low_watermark(&mut self) -> Option<Offset> {
        let live = self.followers.values().filter(|follower| follower.is_eligible);
        let starts = live.map(|follower| follower.log_start.unwrap_or(Offset(-1)));
        let low = starts.min().map_or(self.log_start, |start| start.min(self.log_start));
        let moved = low > self.low_watermark;
        if moved {
            self.low_watermark = low;
        }
        moved.then_some(low)
    }

    /// A follower joins when it has everything committed, and everything of earlier epochs: then its log agrees.
    fn expansion(&mut self, id: BrokerId) -> Option<IsrProposal> {
        let follower = self.followers.get(&id)?;
        let has_all = follower.log_end.is_some_and(|end| end >= self.high_watermark && end >= self.epoch_start);
        if self.in_sync.is_proposing() || self.in_sync.committed().contains(&id) || !follower.is_eligible || !has_all {
            return None;
        }
        let mut replicas = self.in_sync.committed().clone();
        replicas.insert(id);
        Some(self.propose(replicas))
    }

    fn propose(&mut self, replicas: BTreeSet<BrokerId>) -> IsrProposal {
        let proposal =
            IsrProposal { replicas: replicas.iter().copied().collect(), partition_epoch: self.partition_epoch };
        self.in_sync.propose(replicas);
        proposal
    }
}

#[cfg(test)]
mod tests;
