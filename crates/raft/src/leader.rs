use crate::{ReplicaKey, VoterSet};
use ottla_types::{LeaderEpoch, Offset, Timestamp};
use std::collections::BTreeMap;

/// How long an observer is listed after its last fetch. Kafka's figure.
const OBSERVER_SESSION_MS: i64 = 300_000;

/// How far a replica has come, as its leader sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReplicaProgress {
    /// The end of its log; -1 before its first fetch.
    pub end_offset: Offset,
    /// When it fetched last; -1 for never.
    pub last_fetch: Timestamp,
    /// When it had all that the leader had; -1 for never.
    pub last_caught_up: Timestamp,
    /// The end of the leader's log at its last fetch.
    leader_end_at_last_fetch: Offset,
}

impl ReplicaProgress {
    const UNKNOWN: Self = Self {
        end_offset: Offset(-1),
        last_fetch: Timestamp::NONE,
        last_caught_up: Timestamp::NONE,
        leader_end_at_last_fetch: Offset(-1),
    };

    /// A replica is caught up now if it fetches at the leader's end, and was caught up at its last fetch if it now fetches
    /// at what was the leader's end then.
    fn fetched(&mut self, now: Timestamp, offset: Offset, leader_end: Offset) {
        if offset >= leader_end {
            self.last_caught_up = now.max(self.last_caught_up);
        } else if self.leader_end_at_last_fetch >= Offset(0) && offset >= self.leader_end_at_last_fetch {
            self.last_caught_up = self.last_fetch.max(self.last_caught_up);
        }
        self.last_fetch = now.max(self.last_fetch);
        self.end_offset = offset;
        self.leader_end_at_last_fetch = leader_end;
    }
}

/// What the leader of an epoch knows.
///
/// The high watermark never goes back within an epoch, and is unknown until a record of this epoch is on a majority:
/// before that, records of earlier epochs could still be replaced.
#[derive(Clone, PartialEq, Debug)]
pub struct LeaderState {
    epoch: LeaderEpoch,
    local: ReplicaKey,
    epoch_start_offset: Offset,
    high_watermark: Option<Offset>,
    voters: BTreeMap<ReplicaKey, ReplicaProgress>,
    observers: BTreeMap<ReplicaKey, ReplicaProgress>,
}

impl LeaderState {
    /// The leader `local` of an epoch whose first record has the offset `epoch_start_offset`.
    pub fn new(epoch: LeaderEpoch, local: ReplicaKey, epoch_start_offset: Offset, voters: &VoterSet) -> Self {
        let voters = voters.iter().map(|voter| (voter.key, ReplicaProgress::UNKNOWN)).collect();
        Self { epoch, local, epoch_start_offset, high_watermark: None, voters, observers: BTreeMap::new() }
    }

    /// The epoch.
    pub fn epoch(&self) -> LeaderEpoch {
        self.epoch
    }

    /// The offset of the epoch's first record.
    pub fn epoch_start_offset(&self) -> Offset {
        self.epoch_start_offset
    }

    /// The offset below which every record is committed.
    pub fn high_watermark(&self) -> Option<Offset> {
        self.high_watermark
    }

    /// The leader's own log is durable up to `end`. Returns the high watermark if it moved.
    pub fn local_flushed(&mut self, end: Offset) -> Option<Offset> {
        let local = self.local;
        if let Some((_, progress)) = self.voters.iter_mut().find(|(key, _)| key.matches(&local)) {
            progress.end_offset = end.max(progress.end_offset);
        }
        self.advance()
    }

    /// Another replica fetches from `offset`, so it has everything below. Returns the high watermark if it moved.
    pub fn replica_fetched(
        &mut self,
        now: Timestamp,
        replica: ReplicaKey,
        offset: Offset,
        leader_end: Offset,
    ) -> Option<Offset> {
        if let Some((_, progress)) = self.voters.iter_mut().find(|(key, _)| key.matches(&replica)) {
            progress.fetched(now, offset, leader_end);
            return self.advance();
        }
        self.observers.retain(|_, progress| now.0.saturating_sub(progress.last_fetch.0) < OBSERVER_SESSION_MS);
        self.observers.entry(replica).or_insert(ReplicaProgress::UNKNOWN).fetched(now, offset, leader_end);
        None
    }

    /// The voters and how far they have come. The leader itself has no times: it does not fetch.
    pub fn voters(&self) -> &BTreeMap<ReplicaKey, ReplicaProgress> {
        &self.voters
    }

    /// The observers heard of lately.
    pub fn observers(&self) -> &BTreeMap<ReplicaKey, ReplicaProgress> {
        &self.observers
    }

    fn advance(&mut self) -> Option<Offset> {
        let mut ends: Vec<Offset> = self.voters.values().map(|progress| progress.end_offset).collect();
        ends.sort_unstable_by(|a, b| b.cmp(a));
        let on_majority = *ends.get(ends.len() / 2)?;
        let moved = on_majority > self.epoch_start_offset && self.high_watermark.is_none_or(|old| on_majority > old);
        if moved {
            self.high_watermark = Some(on_majority);
        }
        moved.then_some(on_majority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Voter;
    use ottla_types::NodeId;

    fn key(id: i32) -> ReplicaKey {
        ReplicaKey { id: NodeId(id), directory: None }
    }

    fn leader_of(voters: &[i32], start: i64) -> LeaderState {
        let voters = voters.iter().map(|id| Voter { key: key(*id), endpoints: Vec::new() });
        LeaderState::new(LeaderEpoch(5), key(1), Offset(start), &VoterSet::new(voters))
    }

    #[test]
    fn with_one_voter_the_high_watermark_is_its_own_durable_end() {
        let mut leader = leader_of(&[1], 10);
        assert_eq!(leader.local_flushed(Offset(10)), None);
        assert_eq!(leader.local_flushed(Offset(11)), Some(Offset(11)));
        assert_eq!(leader.local_flushed(Offset(11)), None);
        assert_eq!(leader.local_flushed(Offset(9)), None);
        assert_eq!(leader.high_watermark(), Some(Offset(11)));
    }

    #[test]
    fn with_three_voters_a_record_is_committed_when_two_have_it() {
        let mut leader = leader_of(&[1, 2, 3], 10);
        assert_eq!(leader.local_flushed(Offset(20)), None);
        assert_eq!(leader.replica_fetched(Timestamp(1), key(2), Offset(5), Offset(20)), None);
        assert_eq!(leader.replica_fetched(Timestamp(2), key(2), Offset(15), Offset(20)), Some(Offset(15)));
        assert_eq!(leader.replica_fetched(Timestamp(3), key(3), Offset(20), Offset(20)), Some(Offset(20)));
    }

    #[test]
    fn records_of_earlier_epochs_are_not_committed_before_one_of_this_epoch_is() {
        let mut leader = leader_of(&[1, 2, 3], 10);
        leader.local_flushed(Offset(11));
        assert_eq!(leader.replica_fetched(Timestamp(1), key(2), Offset(10), Offset(11)), None);
        assert_eq!(leader.replica_fetched(Timestamp(2), key(2), Offset(11), Offset(11)), Some(Offset(11)));
    }

    #[test]
    fn an_observer_commits_nothing_and_is_forgotten_when_it_stops_fetching() {
        let mut leader = leader_of(&[1, 2, 3], 0);
        leader.local_flushed(Offset(5));
        assert_eq!(leader.replica_fetched(Timestamp(0), key(9), Offset(5), Offset(5)), None);
        leader.replica_fetched(Timestamp(300_000), key(8), Offset(3), Offset(5));
        assert_eq!(leader.observers().keys().collect::<Vec<_>>(), [&key(8)]);
    }

    #[test]
    fn a_replica_was_caught_up_when_it_last_fetched_what_was_then_the_end() {
        let mut leader = leader_of(&[1, 2, 3], 0);
        leader.replica_fetched(Timestamp(10), key(2), Offset(3), Offset(5));
        leader.replica_fetched(Timestamp(20), key(2), Offset(5), Offset(8));
        let progress = leader.voters()[&key(2)];
        assert_eq!((progress.last_fetch, progress.last_caught_up), (Timestamp(20), Timestamp(10)));
    }
}
