use ottla_types::{BrokerEpoch, BrokerId, Offset};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What is known of one broker from its heartbeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BrokerState {
    pub(crate) fenced: bool,
    /// How far it has replayed the metadata; -1 when unknown.
    pub(crate) metadata_offset: Offset,
    /// Where the log ended when it began to shut down.
    pub(crate) controlled_shutdown_offset: Option<Offset>,
}

impl BrokerState {
    /// Of a broker that was not heard of yet.
    pub(crate) const UNKNOWN: Self =
        Self { fenced: true, metadata_offset: Offset(-1), controlled_shutdown_offset: None };

    /// Whether its progress counts: the others wait for its news of moved leaders.
    fn is_active(&self) -> bool {
        !self.fenced && self.controlled_shutdown_offset.is_none()
    }
}

/// Who was heard of when. Not replicated: a controller that takes over gives everybody a whole session.
#[derive(Clone, Debug)]
pub(crate) struct Heartbeats {
    session_timeout: Duration,
    brokers: BTreeMap<BrokerId, BrokerState>,
    /// The last contact of each broker's present registration.
    contacts: BTreeMap<BrokerId, (BrokerEpoch, Duration)>,
    /// Those whose connection has ended since they were heard of, or who were let go: they may be dead.
    lost: BTreeSet<BrokerId>,
    /// When it was looked last for sessions that have ended.
    looked: Duration,
}

impl Heartbeats {
    pub(crate) fn new(session_timeout: Duration) -> Self {
        Self {
            session_timeout,
            brokers: BTreeMap::new(),
            contacts: BTreeMap::new(),
            lost: BTreeSet::new(),
            looked: Duration::ZERO,
        }
    }

    /// Forgets everything, and begins to count at `now`.
    pub(crate) fn start(&mut self, now: Duration) {
        self.brokers.clear();
        self.contacts.clear();
        self.lost.clear();
        self.looked = now;
    }

    pub(crate) fn contact(&mut self, id: BrokerId, epoch: BrokerEpoch, now: Duration) {
        self.contacts.insert(id, (epoch, now));
        self.lost.remove(&id);
    }

    /// The connection to a broker has ended, or the broker was let go.
    pub(crate) fn lose(&mut self, id: BrokerId) {
        self.lost.insert(id);
    }

    /// Whether a broker's connection has ended, or it was let go, and it was not heard of since.
    pub(crate) fn is_lost(&self, id: BrokerId) -> bool {
        self.lost.contains(&id)
    }

    /// Ends a session: the broker is dead.
    pub(crate) fn end(&mut self, id: BrokerId) {
        self.contacts.remove(&id);
    }

    pub(crate) fn has_valid_session(&self, id: BrokerId, epoch: BrokerEpoch, now: Duration) -> bool {
        self.contacts.get(&id).is_some_and(|(known, at)| *known == epoch && !self.is_expired(*at, now))
    }

    fn is_expired(&self, at: Duration, now: Duration) -> bool {
        now.saturating_sub(at) > self.session_timeout
    }

    /// How often to look for sessions that have ended. Kafka's figure.
    fn period(&self) -> Duration {
        self.session_timeout / 4
    }

    /// Has to be called before sessions are ended. If it comes twice as late as it was to come, then the controller itself
    /// stood still, and nothing that brokers sent could reach it: that time counts for nobody.
    pub(crate) fn look(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.looked);
        if passed > self.period() * 2 {
            for (_, at) in self.contacts.values_mut() {
                *at = at.saturating_add(passed).min(now);
            }
        }
        self.looked = now;
    }

    /// Takes out the session that ended first, if one has ended: the broker that has been silent for longest.
    pub(crate) fn take_expired(&mut self, now: Duration) -> Option<(BrokerId, BrokerEpoch)> {
        let (id, (epoch, at)) = self.contacts.iter().min_by_key(|(_, (_, at))| *at).map(|(id, last)| (*id, *last))?;
        if !self.is_expired(at, now) {
            return None;
        }
        self.contacts.remove(&id);
        Some((id, epoch))
    }

    /// When to look next: when the next session ends if nobody is heard of until then, but not too late to notice when the
    /// controller stood still.
    pub(crate) fn next_look(&self) -> Duration {
        let routine = self.looked.saturating_add(self.period());
        let oldest = self.contacts.values().map(|(_, at)| *at).min();
        // A session has run out only when more than its time has passed.
        let end = oldest.map(|at| at.saturating_add(self.session_timeout).saturating_add(Duration::from_millis(1)));
        end.map_or(routine, |end| end.min(routine))
    }

    /// A registration was written: the contacts of the one before no longer count.
    pub(crate) fn replace(&mut self, id: BrokerId, epoch: BrokerEpoch) {
        self.brokers.remove(&id);
        self.lost.remove(&id);
        if self.contacts.get(&id).is_some_and(|(known, _)| *known != epoch) {
            self.contacts.remove(&id);
        }
    }

    pub(crate) fn register(&mut self, id: BrokerId, fenced: bool) {
        let metadata_offset = match self.brokers.get(&id) {
            Some(state) if state.fenced != fenced => state.metadata_offset,
            _ => Offset(-1),
        };
        self.touch(id, fenced, metadata_offset);
    }

    pub(crate) fn touch(&mut self, id: BrokerId, fenced: bool, metadata_offset: Offset) {
        let shutdown = self.brokers.get(&id).and_then(|state| state.controlled_shutdown_offset);
        let controlled_shutdown_offset = if fenced { None } else { shutdown };
        self.brokers.insert(id, BrokerState { fenced, metadata_offset, controlled_shutdown_offset });
    }

    pub(crate) fn begin_controlled_shutdown(&mut self, id: BrokerId, offset: Offset) {
        if let Some(state) = self.brokers.get_mut(&id).filter(|state| !state.fenced) {
            state.controlled_shutdown_offset.get_or_insert(offset);
        }
    }

    pub(crate) fn remove(&mut self, id: BrokerId) {
        self.brokers.remove(&id);
        self.contacts.remove(&id);
    }

    pub(crate) fn state(&self, id: BrokerId) -> Option<BrokerState> {
        self.brokers.get(&id).copied()
    }

    /// How far the slowest active broker has replayed; nothing to wait for when there is none.
    pub(crate) fn lowest_active_offset(&self) -> Offset {
        let offsets = self.brokers.values().filter(|state| state.is_active()).map(|state| state.metadata_offset);
        offsets.min().unwrap_or(Offset(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_types::NodeId;

    const EPOCH: BrokerEpoch = BrokerEpoch(5);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn heartbeats(contacts: &[(i32, u64)]) -> Heartbeats {
        let mut heartbeats = Heartbeats::new(ms(9_000));
        heartbeats.start(ms(0));
        for (id, at) in contacts {
            heartbeats.register(NodeId(*id), false);
            heartbeats.contact(NodeId(*id), EPOCH, ms(*at));
        }
        heartbeats
    }

    fn look_often(heartbeats: &mut Heartbeats, from: u64, to: u64) {
        (from..=to).step_by(1_000).for_each(|at| heartbeats.look(ms(at)));
    }

    #[test]
    fn the_broker_that_was_silent_for_longest_is_first() {
        let mut heartbeats = heartbeats(&[(1, 300), (2, 100), (3, 200), (4, 5_000)]);
        look_often(&mut heartbeats, 0, 10_000);
        assert_eq!(heartbeats.take_expired(ms(9_100)), None);
        let order: Vec<_> = std::iter::from_fn(|| heartbeats.take_expired(ms(10_000))).map(|(id, _)| id.0).collect();
        assert_eq!(order, [2, 3, 1]);
        assert!(heartbeats.has_valid_session(NodeId(4), EPOCH, ms(10_000)));
    }

    #[test]
    fn a_pause_of_the_controller_counts_for_nobody() {
        let mut heartbeats = heartbeats(&[(1, 1_000), (2, 1_500)]);
        look_often(&mut heartbeats, 0, 2_000);
        heartbeats.look(ms(60_000));
        assert_eq!(heartbeats.take_expired(ms(60_000)), None);
        // Both had most of their sessions left, and still have.
        look_often(&mut heartbeats, 61_000, 68_000);
        assert_eq!(heartbeats.take_expired(ms(68_000)), None);
        assert_eq!(heartbeats.take_expired(ms(68_001)), Some((NodeId(1), EPOCH)));
        assert_eq!(heartbeats.take_expired(ms(68_501)), Some((NodeId(2), EPOCH)));
    }

    #[test]
    fn it_is_looked_again_when_the_next_session_ends_and_at_least_four_times_a_session() {
        let mut heartbeats = heartbeats(&[(1, 1_000)]);
        assert_eq!(heartbeats.next_look(), ms(2_250));
        look_often(&mut heartbeats, 0, 9_000);
        assert_eq!(heartbeats.next_look(), ms(10_001));
        assert_eq!(heartbeats.take_expired(ms(10_001)), Some((NodeId(1), EPOCH)));
        assert_eq!(heartbeats.next_look(), ms(11_250));
    }

    #[test]
    fn a_new_registration_starts_without_the_contacts_of_the_old_one() {
        let mut heartbeats = heartbeats(&[(1, 1_000)]);
        heartbeats.replace(NodeId(1), EPOCH);
        assert!(heartbeats.has_valid_session(NodeId(1), EPOCH, ms(2_000)));
        heartbeats.replace(NodeId(1), BrokerEpoch(6));
        assert!(!heartbeats.has_valid_session(NodeId(1), EPOCH, ms(2_000)));
        assert!(!heartbeats.has_valid_session(NodeId(1), BrokerEpoch(6), ms(2_000)));
    }
}
