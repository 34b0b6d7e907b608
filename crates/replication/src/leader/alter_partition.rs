use super::follower_progress::FetcherEpoch;
use super::in_sync::InSync;
use super::{Leader, Progress};
use ottla_types::{BrokerEpoch, BrokerId, LeaderEpoch};
use std::collections::BTreeSet;
use std::time::Duration;

/// A set of replicas that the leader wants the controller to make the in-sync ones. The request says RECOVERED with it: a leader
/// that was elected uncleanly has, by leading, become the truth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlterPartition {
    /// Counts the leader's proposals; the answer is given back with it.
    pub number: u64,
    /// The leader epoch.
    pub leader_epoch: LeaderEpoch,
    /// The partition epoch that the proposal rests on.
    pub partition_epoch: i32,
    /// The members, ascending, the leader among them.
    pub in_sync: Vec<InSyncMember>,
}

/// A member of a proposed set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InSyncMember {
    /// Who.
    pub broker: BrokerId,
    /// The broker epoch of its last fetch, which the controller compares with its registration (KIP-903); `-1` for one
    /// that has not fetched in this leader epoch.
    pub epoch: BrokerEpoch,
}

/// What the controller says of one partition of an AlterPartition request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlterPartitionAnswer {
    /// It is so now, or was already.
    Accepted {
        /// The leader epoch.
        leader_epoch: LeaderEpoch,
        /// The partition epoch after the change.
        partition_epoch: i32,
        /// The replicas in sync.
        in_sync: Vec<BrokerId>,
    },
    /// It is not so.
    Refused(AlterPartitionError),
}

/// Why the controller does not do as proposed, by what follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlterPartitionError {
    /// INELIGIBLE_REPLICA, or OPERATION_NOT_ATTEMPTED: the partition epoch is right, and the proposal was not and will not be
    /// applied, by no controller.
    NotApplied,
    /// FENCED_LEADER_EPOCH, INVALID_UPDATE_VERSION, INVALID_REQUEST, UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID or
    /// NEW_LEADER_ELECTED: the partition is not what the leader believes, or will not be for long. Whether an earlier try of
    /// the same proposal was applied is not known, so it stays until the metadata tells.
    Outdated,
    /// Anything else: the same proposal is made again.
    Retriable,
}

/// What became of a proposal, for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IsrChange {
    /// `IsrExpandsPerSec`.
    Expanded,
    /// `IsrShrinksPerSec`.
    Shrunk,
    /// `FailedIsrUpdatesPerSec`.
    Failed,
}

impl Leader {
    /// The controller has answered the proposal of that number. An answer to another than the one under way is ignored: newer
    /// metadata has overtaken it.
    pub fn answered(&mut self, number: u64, answer: &AlterPartitionAnswer, now: Duration) -> Progress {
        let Some(proposed) = self.in_sync.proposed().filter(|proposed| proposed.request.number == number) else {
            return Progress::default();
        };
        let failed = Progress { isr_change: Some(IsrChange::Failed), ..Progress::default() };
        match answer {
            AlterPartitionAnswer::Accepted { leader_epoch, partition_epoch, in_sync } => {
                if *leader_epoch != self.leader_epoch || *partition_epoch < self.partition_epoch {
                    return failed;
                }
                let is_expansion = proposed.replicas.len() > self.in_sync.committed().len();
                self.in_sync = InSync::new(in_sync.iter().copied());
                self.partition_epoch = *partition_epoch;
                let change = if is_expansion { IsrChange::Expanded } else { IsrChange::Shrunk };
                Progress { isr_change: Some(change), ..self.progress(now) }
            }
            AlterPartitionAnswer::Refused(AlterPartitionError::NotApplied) => {
                self.in_sync.withdraw();
                Progress { isr_change: Some(IsrChange::Failed), ..self.progress(now) }
            }
            AlterPartitionAnswer::Refused(AlterPartitionError::Outdated) => failed,
            AlterPartitionAnswer::Refused(AlterPartitionError::Retriable) => {
                Progress { proposal: Some(proposed.request.clone()), ..failed }
            }
        }
    }

    /// The proposal that waits for an answer, as it was made: for a queue that has lost it.
    pub fn pending_proposal(&self) -> Option<&AlterPartition> {
        self.in_sync.proposed().map(|proposed| &proposed.request)
    }

    /// The members that have lagged too long leave. While a proposal is under way nothing is proposed.
    pub(super) fn shrinking(&mut self, now: Duration) -> Option<AlterPartition> {
        if self.in_sync.is_proposing() {
            return None;
        }
        let lags = |id: &BrokerId| {
            let follower = self.followers.get(id);
            *id != self.settings.local
                && follower.is_none_or(|f| !f.is_caught_up(now, self.log_end, self.settings.lag_max))
        };
        let remaining: BTreeSet<_> = self.in_sync.committed().iter().copied().filter(|id| !lags(id)).collect();
        (remaining.len() < self.in_sync.committed().len()).then(|| self.propose(remaining))
    }

    /// A follower joins when it has everything committed, and everything of earlier epochs: what is between this leader's high
    /// watermark and the start of its epoch may have been committed by an earlier one.
    pub(super) fn expansion(&mut self, id: BrokerId) -> Option<AlterPartition> {
        if self.in_sync.is_proposing() || self.in_sync.committed().contains(&id) {
            return None;
        }
        let follower = self.followers.get(&id)?;
        let has_all = follower.log_end.is_some_and(|end| end >= self.high_watermark && end >= self.epoch_start);
        if !has_all || !follower.is_eligible() {
            return None;
        }
        let mut replicas = self.in_sync.committed().clone();
        replicas.insert(id);
        Some(self.propose(replicas))
    }

    fn propose(&mut self, replicas: BTreeSet<BrokerId>) -> AlterPartition {
        self.proposals += 1;
        let member = |broker: &BrokerId| InSyncMember { broker: *broker, epoch: self.epoch_of(*broker) };
        let request = AlterPartition {
            number: self.proposals,
            leader_epoch: self.leader_epoch,
            partition_epoch: self.partition_epoch,
            in_sync: replicas.iter().map(member).collect(),
        };
        self.in_sync.propose(replicas, request.clone());
        request
    }

    /// A member that has not fetched yet is not vouched for, which is safe: if its broker starts anew, the controller takes it
    /// out, and the partition epoch of the proposal is outdated.
    fn epoch_of(&self, broker: BrokerId) -> BrokerEpoch {
        if broker == self.settings.local {
            return self.settings.local_epoch;
        }
        match self.followers.get(&broker).and_then(|follower| follower.broker_epoch) {
            Some(FetcherEpoch::Said(epoch)) => epoch,
            Some(FetcherEpoch::Unsaid) | None => BrokerEpoch(-1),
        }
    }
}
