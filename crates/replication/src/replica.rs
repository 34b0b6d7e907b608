use crate::leader::{
    ConsumerFetch, FetchRead, FetchRefusal, Leader, LeaderSettings, LogOffsets, Progress, check_leader_epoch,
    read_position,
};
use crate::log_view::LogView;
use crate::partition_state::PartitionState;
use ottla_types::{BrokerEpoch, BrokerId, LeaderEpoch, Offset};
use std::time::Duration;

/// One replica of a partition, in the role that the metadata gives it.
///
/// Invariant: leader epoch and partition epoch never fall.
#[derive(Clone, Debug, PartialEq)]
pub struct Replica {
    settings: LeaderSettings,
    role: Role,
}

/// What a replica is.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "most replicas of a broker lead or follow for long, and none is moved often"
)]
pub enum Role {
    /// The metadata has not said yet.
    Unassigned,
    /// The leader.
    Leader(Leader),
    /// It follows.
    Follower(Follower),
}

/// Whom a replica follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Follower {
    /// The leader; nobody while there is none.
    pub leader: Option<BrokerId>,
    /// The leader epoch.
    pub leader_epoch: LeaderEpoch,
    /// The partition epoch.
    pub partition_epoch: i32,
}

/// What a change of metadata demands, to be done in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoleEffect {
    /// Take the partition out of its fetcher. What an answer still under way says of it is dropped.
    StopFetching,
    /// The epoch starts there: the log notes it before anything is appended or told in this epoch.
    BeginEpoch {
        /// The leader epoch.
        epoch: LeaderEpoch,
        /// Where the log ends.
        start: Offset,
    },
    /// What follows from the change for a leader.
    Progressed(Progress),
    /// Whatever waits for this replica as leader is to look again: it does not lead any more (NOT_LEADER_OR_FOLLOWER).
    GiveUpWaiting,
    /// Fetch from that leader, anew, in that epoch. The first fetch says that all of the log is as durable as the topic's
    /// `flush.messages` demands: what was appended as a leader, or recovered at a start, may have to be synced first.
    Follow {
        /// The leader.
        leader: BrokerId,
        /// The leader epoch.
        leader_epoch: LeaderEpoch,
    },
}

impl Replica {
    /// A replica of which the metadata has not been read yet.
    pub fn new(settings: LeaderSettings) -> Self {
        Self { settings, role: Role::Unassigned }
    }

    /// What the replica is now.
    pub fn role(&self) -> &Role {
        &self.role
    }

    /// The leader, if it is this replica.
    pub fn leader(&self) -> Option<&Leader> {
        if let Role::Leader(leader) = &self.role { Some(leader) } else { None }
    }

    /// The leader, if it is this replica.
    pub fn leader_mut(&mut self) -> Option<&mut Leader> {
        if let Role::Leader(leader) = &mut self.role { Some(leader) } else { None }
    }

    /// The leader epoch that the replica knows.
    pub fn leader_epoch(&self) -> Option<LeaderEpoch> {
        match &self.role {
            Role::Unassigned => None,
            Role::Leader(leader) => Some(leader.leader_epoch()),
            Role::Follower(follower) => Some(follower.leader_epoch),
        }
    }

    /// The topic demands another number of replicas in sync.
    pub fn set_min_in_sync(&mut self, min_in_sync: usize, now: Duration) -> Progress {
        self.settings.min_in_sync = min_in_sync;
        self.leader_mut().map(|leader| leader.set_min_in_sync(min_in_sync, now)).unwrap_or_default()
    }

    /// The broker has registered anew.
    pub fn set_local_epoch(&mut self, epoch: BrokerEpoch) {
        self.settings.local_epoch = epoch;
        if let Some(leader) = self.leader_mut() {
            leader.set_local_epoch(epoch);
        }
    }

    /// Takes over what the metadata says. An older state than the one that is known changes nothing.
    pub fn apply(
        &mut self,
        state: &PartitionState,
        log: &impl LogView,
        acknowledgeable: Offset,
        now: Duration,
    ) -> Vec<RoleEffect> {
        let known = match &self.role {
            Role::Unassigned => (LeaderEpoch::NONE, -1),
            Role::Leader(leader) => (leader.leader_epoch(), leader.partition_epoch()),
            Role::Follower(follower) => (follower.leader_epoch, follower.partition_epoch),
        };
        if state.leader_epoch < known.0 || state.partition_epoch < known.1 {
            return Vec::new();
        }
        if state.leader == Some(self.settings.local) {
            self.lead(state, log, acknowledgeable, now)
        } else {
            self.follow(state)
        }
    }

    fn lead(
        &mut self,
        state: &PartitionState,
        log: &impl LogView,
        acknowledgeable: Offset,
        now: Duration,
    ) -> Vec<RoleEffect> {
        if let Role::Leader(leader) = &mut self.role {
            let is_new_epoch = state.leader_epoch > leader.leader_epoch();
            let progress = leader.apply(state, now);
            let begin = RoleEffect::BeginEpoch { epoch: leader.leader_epoch(), start: leader.epoch_start() };
            return is_new_epoch.then_some(begin).into_iter().chain([RoleEffect::Progressed(progress)]).collect();
        }
        let offsets = LogOffsets {
            start: log.log_start(),
            end: log.log_end(),
            acknowledgeable,
            high_watermark: log.high_watermark(),
        };
        let (leader, progress) = Leader::begin(self.settings, state, offsets, now);
        let begin = RoleEffect::BeginEpoch { epoch: leader.leader_epoch(), start: leader.epoch_start() };
        self.role = Role::Leader(leader);
        vec![RoleEffect::StopFetching, begin, RoleEffect::Progressed(progress)]
    }

    /// Any later epoch begins the fetching anew, also from the same leader: an epoch may have been missed in between, and what
    /// was asked in the old one must not be taken for an answer in the new one.
    fn follow(&mut self, state: &PartitionState) -> Vec<RoleEffect> {
        let PartitionState { leader, leader_epoch, partition_epoch, .. } = *state;
        let before =
            std::mem::replace(&mut self.role, Role::Follower(Follower { leader, leader_epoch, partition_epoch }));
        let mut effects = Vec::new();
        let is_restart = match before {
            Role::Follower(before) => before.leader_epoch < leader_epoch,
            Role::Leader(_) => {
                effects.push(RoleEffect::GiveUpWaiting);
                true
            }
            Role::Unassigned => true,
        };
        if is_restart {
            effects.push(RoleEffect::StopFetching);
            effects.extend(leader.map(|leader| RoleEffect::Follow { leader, leader_epoch }));
        }
        effects
    }

    /// The leader, for a request that expects it in a leader epoch: a follower's Fetch, ListOffsets. Whoever has missed an
    /// election is told so first, also by a replica that does not lead.
    ///
    /// # Errors
    /// When it expects another leader epoch, or this replica does not lead.
    pub fn leader_for(&mut self, expected: Option<LeaderEpoch>) -> Result<&mut Leader, FetchRefusal> {
        let current = self.leader_epoch().ok_or(FetchRefusal::NotLeader)?;
        check_leader_epoch(expected, current)?;
        self.leader_mut().ok_or(FetchRefusal::NotLeader)
    }

    /// A consumer fetches. It may read from a follower, up to the high watermark that is known there.
    ///
    /// # Errors
    /// When it expects another leader epoch, when only the leader may answer, or when the offset is not in the log.
    pub fn consumer_fetched(&self, fetch: ConsumerFetch, log: &impl LogView) -> Result<FetchRead, FetchRefusal> {
        let current = self.leader_epoch().ok_or(FetchRefusal::NotLeader)?;
        check_leader_epoch(fetch.position.leader_epoch, current)?;
        if fetch.is_leader_only && self.leader().is_none() {
            return Err(FetchRefusal::NotLeader);
        }
        read_position(log, fetch.position)
    }
}

#[cfg(test)]
mod tests;
