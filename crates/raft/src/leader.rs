use crate::voter_change::PendingChange;
use crate::{ReplicaKey, VoterSet};
use core::time::Duration;
use ottla_types::{LeaderEpoch, NodeId, Offset};
use std::collections::{BTreeMap, BTreeSet};

/// How long an observer is listed after its last fetch. Kafka's figure.
const OBSERVER_SESSION: Duration = Duration::from_secs(300);
/// How many observers are kept in mind; the one that is silent the longest makes room.
const OBSERVERS_MAX: usize = 4_096;
/// A replica can be added if it has fetched within this time. Kafka's figure.
const CAUGHT_UP_WITHIN: Duration = Duration::from_secs(3_600);

/// How far a replica has come, as its leader sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReplicaProgress {
    /// The end of its log; -1 before its first fetch.
    pub end_offset: Offset,
    /// When it fetched last.
    pub last_fetch: Option<Duration>,
    /// When it had all that the leader had.
    pub last_caught_up: Option<Duration>,
    /// The end of the leader's log at its last fetch.
    leader_end_at_last_fetch: Offset,
}

impl ReplicaProgress {
    const UNKNOWN: Self =
        Self { end_offset: Offset(-1), last_fetch: None, last_caught_up: None, leader_end_at_last_fetch: Offset(-1) };

    /// A replica is caught up now if it fetches at the leader's end, and was caught up at its last fetch if it now fetches
    /// at what was the leader's end then.
    fn fetched(&mut self, now: Duration, offset: Offset, leader_end: Offset) {
        if offset >= leader_end {
            self.last_caught_up = self.last_caught_up.max(Some(now));
        } else if self.leader_end_at_last_fetch > Offset(0) && offset >= self.leader_end_at_last_fetch {
            self.last_caught_up = self.last_fetch.max(self.last_caught_up);
        }
        self.last_fetch = self.last_fetch.max(Some(now));
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
    local_durable: Offset,
    voters: BTreeMap<ReplicaKey, ReplicaProgress>,
    observers: BTreeMap<ReplicaKey, ReplicaProgress>,
    /// When those that are silent are looked for next.
    observers_seen_through: Duration,
    /// Voters that have fetched since a majority last had.
    fetched: BTreeSet<NodeId>,
    check_quorum: Duration,
    /// When too few voters have fetched for too long.
    pub(crate) check_quorum_deadline: Duration,
    /// When voters that do not fetch are told again who leads.
    pub(crate) begin_epoch_deadline: Duration,
    /// The change of the voters that is under way.
    pub(crate) pending: Option<PendingChange>,
    /// With static voters: what the voters have said of themselves, for the day on which the log gets to know them.
    pub(crate) volatile_voters: Option<VoterSet>,
    /// Somebody wants this replica to lead no more, or it is no voter any more.
    pub(crate) resign_requested: bool,
}

impl LeaderState {
    /// The leader `local` of an epoch whose first record has the offset `epoch_start_offset`, at the time `now`. It gives
    /// up when for `check_quorum` no majority fetches.
    pub fn new(
        (epoch, epoch_start_offset): (LeaderEpoch, Offset),
        local: ReplicaKey,
        voters: &VoterSet,
        now: Duration,
        check_quorum: Duration,
    ) -> Self {
        Self {
            epoch,
            local,
            epoch_start_offset,
            high_watermark: None,
            local_durable: Offset(-1),
            voters: voters.iter().map(|voter| (voter.key, ReplicaProgress::UNKNOWN)).collect(),
            observers: BTreeMap::new(),
            observers_seen_through: now,
            fetched: BTreeSet::new(),
            check_quorum,
            check_quorum_deadline: now.saturating_add(check_quorum),
            begin_epoch_deadline: now,
            pending: None,
            volatile_voters: None,
            resign_requested: false,
        }
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
        self.local_durable = end.max(self.local_durable);
        self.advance()
    }

    /// Another replica fetches from `offset`, so it has everything below, durably. Returns the high watermark if it moved.
    pub fn replica_fetched(
        &mut self,
        now: Duration,
        replica: ReplicaKey,
        offset: Offset,
        leader_end: Offset,
    ) -> Option<Offset> {
        if replica.id == self.local.id || replica.id < NodeId(0) {
            return None;
        }
        if let Some((_, progress)) = self.voters.iter_mut().find(|(key, _)| key.matches(&replica)) {
            progress.fetched(now, offset, leader_end);
            self.is_followed_by(&replica, now);
            return self.advance();
        }
        if !self.observers.contains_key(&replica) {
            self.forget_silent_observers(now);
        }
        self.observers.entry(replica).or_insert(ReplicaProgress::UNKNOWN).fetched(now, offset, leader_end);
        None
    }

    /// A replica shows that it follows. When a majority has, the leader is one for another while.
    pub(crate) fn is_followed_by(&mut self, replica: &ReplicaKey, now: Duration) {
        if self.voters.keys().any(|key| key.matches(replica)) && replica.id != self.local.id {
            self.fetched.insert(replica.id);
        }
        let majority = self.voters.len() / 2 + 1;
        let needed = majority - usize::from(self.is_local_a_voter());
        if self.fetched.len() >= needed {
            self.fetched.clear();
            self.check_quorum_deadline = now.saturating_add(self.check_quorum);
        }
    }

    /// Whether other voters must follow for this one to lead.
    pub(crate) fn needs_followers(&self) -> bool {
        !(self.voters.len() == 1 && self.is_local_a_voter())
    }

    fn is_local_a_voter(&self) -> bool {
        self.voters.keys().any(|key| key.matches(&self.local))
    }

    /// Looks through them once in a second, or when there is no room for another.
    fn forget_silent_observers(&mut self, now: Duration) {
        if now < self.observers_seen_through && self.observers.len() < OBSERVERS_MAX {
            return;
        }
        self.observers_seen_through = now.saturating_add(Duration::from_secs(1));
        let is_silent = |progress: &ReplicaProgress| {
            progress.last_fetch.is_none_or(|last| now.saturating_sub(last) >= OBSERVER_SESSION)
        };
        self.observers.retain(|_, progress| !is_silent(progress));
        if self.observers.len() >= OBSERVERS_MAX {
            let oldest = self.observers.iter().min_by_key(|(_, progress)| progress.last_fetch).map(|(key, _)| *key);
            oldest.map(|key| self.observers.remove(&key));
        }
    }

    /// The voters and how far they have come. The leader itself has no times: it does not fetch.
    pub fn voters(&self) -> &BTreeMap<ReplicaKey, ReplicaProgress> {
        &self.voters
    }

    /// The observers heard of lately.
    pub fn observers(&self) -> &BTreeMap<ReplicaKey, ReplicaProgress> {
        &self.observers
    }

    /// Whether these are the voters that it goes by.
    pub(crate) fn leads(&self, voters: &VoterSet) -> bool {
        self.voters.keys().eq(voters.iter().map(|voter| &voter.key))
    }

    /// The voters are others now: who stays or comes keeps what is known of it, who goes is an observer. Who is needed now
    /// may not have been asked to fetch so far, and gets the time for it.
    pub(crate) fn voters_changed(&mut self, voters: &VoterSet, now: Duration) {
        self.check_quorum_deadline = now.saturating_add(self.check_quorum);
        self.begin_epoch_deadline = now;
        let mut old = core::mem::take(&mut self.voters);
        for voter in voters.iter() {
            let was = old.keys().find(|key| key.matches(&voter.key)).copied();
            let known = was.and_then(|key| old.remove(&key)).or_else(|| self.observers.remove(&voter.key));
            self.voters.insert(voter.key, known.unwrap_or(ReplicaProgress::UNKNOWN));
        }
        for (key, progress) in old {
            self.fetched.remove(&key.id);
            if key.id != self.local.id {
                self.observers.entry(key).or_insert(progress);
            }
        }
    }

    /// Whether an observer is near enough to the end to become a voter.
    pub(crate) fn is_caught_up(&self, replica: &ReplicaKey, now: Duration) -> bool {
        self.observers.get(replica).is_some_and(|progress| {
            let is_recent = progress.last_fetch.is_some_and(|last| now.saturating_sub(last) < CAUGHT_UP_WITHIN);
            is_recent && progress.last_caught_up.is_some()
        })
    }

    /// The other voters that have not fetched for that long: they may not know who leads.
    pub(crate) fn silent_voters(&self, now: Duration, since: Duration) -> Vec<ReplicaKey> {
        let is_silent =
            |progress: &ReplicaProgress| progress.last_fetch.is_none_or(|last| now.saturating_sub(last) >= since);
        let others = self.voters.iter().filter(|(key, _)| key.id != self.local.id);
        others.filter(|(_, progress)| is_silent(progress)).map(|(key, _)| *key).collect()
    }

    /// The other voters, those that have the most first: in this order they are to stand for election.
    pub(crate) fn successors(&self) -> Vec<ReplicaKey> {
        let mut others: Vec<_> = self.voters.iter().filter(|(key, _)| key.id != self.local.id).collect();
        others.sort_by_key(|(key, progress)| (core::cmp::Reverse(progress.end_offset), **key));
        others.into_iter().map(|(key, _)| *key).collect()
    }

    /// The voters may have changed, and with them what a majority has. Returns the high watermark if it moved.
    pub(crate) fn advance(&mut self) -> Option<Offset> {
        let local = self.local;
        let durable = |(key, progress): (&ReplicaKey, &ReplicaProgress)| {
            if key.matches(&local) { self.local_durable } else { progress.end_offset }
        };
        let mut ends: Vec<Offset> = self.voters.iter().map(durable).collect();
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
    use ottla_types::DirectoryId;

    fn key(id: i32) -> ReplicaKey {
        ReplicaKey { id: NodeId(id), directory: None }
    }

    fn set(voters: &[i32]) -> VoterSet {
        VoterSet::new(voters.iter().map(|id| Voter::new(key(*id), Vec::new())))
    }

    fn leader_of(voters: &[i32], start: i64) -> LeaderState {
        LeaderState::new((LeaderEpoch(5), Offset(start)), key(1), &set(voters), Duration::ZERO, Duration::from_secs(3))
    }

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn with_one_voter_the_high_watermark_is_its_own_durable_end() {
        let mut leader = leader_of(&[1], 10);
        assert_eq!(leader.local_flushed(Offset(10)), None);
        assert_eq!(leader.local_flushed(Offset(11)), Some(Offset(11)));
        assert_eq!(leader.local_flushed(Offset(11)), None);
        assert_eq!(leader.local_flushed(Offset(9)), None);
        assert_eq!(leader.high_watermark(), Some(Offset(11)));
        assert!(!leader.needs_followers());
    }

    #[test]
    fn with_three_voters_a_record_is_committed_when_two_have_it() {
        let mut leader = leader_of(&[1, 2, 3], 10);
        assert_eq!(leader.local_flushed(Offset(20)), None);
        assert_eq!(leader.replica_fetched(ms(1), key(2), Offset(5), Offset(20)), None);
        assert_eq!(leader.replica_fetched(ms(2), key(2), Offset(15), Offset(20)), Some(Offset(15)));
        assert_eq!(leader.replica_fetched(ms(3), key(3), Offset(20), Offset(20)), Some(Offset(20)));
    }

    #[test]
    fn records_of_earlier_epochs_are_not_committed_before_one_of_this_epoch_is() {
        let mut leader = leader_of(&[1, 2, 3], 10);
        leader.local_flushed(Offset(11));
        assert_eq!(leader.replica_fetched(ms(1), key(2), Offset(10), Offset(11)), None);
        assert_eq!(leader.replica_fetched(ms(2), key(2), Offset(11), Offset(11)), Some(Offset(11)));
    }

    #[test]
    fn a_leader_that_is_no_voter_any_more_does_not_count_itself() {
        let mut leader = leader_of(&[1, 2, 3], 0);
        leader.local_flushed(Offset(9));
        leader.replica_fetched(ms(1), key(2), Offset(5), Offset(9));
        assert_eq!(leader.high_watermark(), Some(Offset(5)));
        leader.voters_changed(&set(&[2, 3]), ms(2));
        assert_eq!(leader.replica_fetched(ms(2), key(2), Offset(9), Offset(9)), None);
        assert_eq!(leader.replica_fetched(ms(3), key(3), Offset(9), Offset(9)), Some(Offset(9)));
    }

    #[test]
    fn an_observer_that_becomes_a_voter_brings_what_it_has() {
        let mut leader = leader_of(&[1, 2, 3], 0);
        leader.local_flushed(Offset(9));
        leader.replica_fetched(ms(1), key(4), Offset(9), Offset(9));
        leader.replica_fetched(ms(1), key(3), Offset(9), Offset(9));
        assert!(leader.is_caught_up(&key(4), ms(1)) && !leader.is_caught_up(&key(5), ms(1)));
        leader.voters_changed(&set(&[1, 2, 3, 4]), ms(2));
        assert_eq!(leader.voters()[&key(4)].end_offset, Offset(9));
        assert!(leader.observers().is_empty());
    }

    #[test]
    fn static_voters_that_get_directories_keep_their_progress() {
        let mut leader = leader_of(&[1, 2, 3], 0);
        leader.replica_fetched(ms(1), key(2), Offset(9), Offset(9));
        let named = |id: i32| Voter::new(ReplicaKey::new(NodeId(id), DirectoryId::from_u128(7)), Vec::new());
        leader.voters_changed(&VoterSet::new([1, 2, 3].map(named)), ms(2));
        assert_eq!(leader.voters()[&named(2).key].end_offset, Offset(9));
    }

    #[test]
    fn a_majority_that_fetches_keeps_the_leader_leading() {
        let mut leader = leader_of(&[1, 2, 3, 4, 5], 0);
        leader.replica_fetched(ms(100), key(2), Offset(0), Offset(0));
        leader.replica_fetched(ms(200), key(2), Offset(0), Offset(0));
        assert_eq!(leader.check_quorum_deadline, ms(3_000));
        leader.replica_fetched(ms(300), key(3), Offset(0), Offset(0));
        assert_eq!(leader.check_quorum_deadline, ms(3_300));
        leader.replica_fetched(ms(400), key(9), Offset(0), Offset(0));
        assert_eq!(leader.check_quorum_deadline, ms(3_300));
    }

    #[test]
    fn a_leader_that_was_alone_is_not_given_up_with_the_first_voter_that_joins() {
        let mut leader = leader_of(&[1], 0);
        leader.voters_changed(&set(&[1, 2]), ms(60_000));
        assert!(leader.needs_followers());
        assert_eq!(leader.check_quorum_deadline, ms(63_000));
    }

    #[test]
    fn an_observer_commits_nothing_and_is_forgotten_when_it_stops_fetching() {
        let mut leader = leader_of(&[1, 2, 3], 0);
        leader.local_flushed(Offset(5));
        assert_eq!(leader.replica_fetched(ms(0), key(9), Offset(5), Offset(5)), None);
        leader.replica_fetched(ms(300_000), key(8), Offset(3), Offset(5));
        assert_eq!(leader.observers().keys().collect::<Vec<_>>(), [&key(8)]);
    }

    #[test]
    fn observers_take_a_bounded_amount_of_memory() {
        let mut leader = leader_of(&[1, 2, 3], 0);
        for id in 10..4_200 {
            leader.replica_fetched(ms(id as u64), key(id), Offset(5), Offset(5));
        }
        assert_eq!(leader.observers().len(), OBSERVERS_MAX);
    }

    #[test]
    fn a_replica_was_caught_up_when_it_last_fetched_what_was_then_the_end() {
        let mut leader = leader_of(&[1, 2, 3], 0);
        leader.replica_fetched(ms(10), key(2), Offset(3), Offset(5));
        leader.replica_fetched(ms(20), key(2), Offset(5), Offset(8));
        let progress = leader.voters()[&key(2)];
        assert_eq!((progress.last_fetch, progress.last_caught_up), (Some(ms(20)), Some(ms(10))));
        assert_eq!(leader.successors(), [key(2), key(3)]);
    }
}
