use ottla_types::{BrokerEpoch, BrokerId, Offset};
use std::collections::BTreeMap;
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
    contacts: BTreeMap<(BrokerId, BrokerEpoch), Duration>,
}

impl Heartbeats {
    pub(crate) fn new(session_timeout: Duration) -> Self {
        Self { session_timeout, brokers: BTreeMap::new(), contacts: BTreeMap::new() }
    }

    pub(crate) fn clear(&mut self) {
        self.brokers.clear();
        self.contacts.clear();
    }

    pub(crate) fn contact(&mut self, id: BrokerId, epoch: BrokerEpoch, now: Duration) {
        self.contacts.insert((id, epoch), now);
    }

    pub(crate) fn has_valid_session(&self, id: BrokerId, epoch: BrokerEpoch, now: Duration) -> bool {
        self.contacts.get(&(id, epoch)).is_some_and(|at| !self.is_expired(*at, now))
    }

    fn is_expired(&self, at: Duration, now: Duration) -> bool {
        now.saturating_sub(at) > self.session_timeout
    }

    /// Takes out the first session that has run out.
    pub(crate) fn take_expired(&mut self, now: Duration) -> Option<(BrokerId, BrokerEpoch)> {
        let expired = self.contacts.iter().find(|(_, at)| self.is_expired(**at, now)).map(|(key, _)| *key)?;
        self.contacts.remove(&expired);
        Some(expired)
    }

    /// When the next session runs out if nobody is heard of until then.
    pub(crate) fn next_expiry(&self) -> Option<Duration> {
        // A session has run out only when more than its time has passed.
        let oldest = self.contacts.values().min()?;
        Some(oldest.saturating_add(self.session_timeout).saturating_add(Duration::from_millis(1)))
    }

    pub(crate) fn register(&mut self, id: BrokerId, fenced: bool) {
        let state = self.brokers.get(&id);
        let metadata_offset = match state {
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
    }

    pub(crate) fn state(&self, id: BrokerId) -> Option<BrokerState> {
        self.brokers.get(&id).copied()
    }

    /// How far the slowest active broker has replayed; nothing to wait for when there is none.
    pub(crate) fn lowest_active_offset(&self) -> Offset {
        let offsets = self.brokers.values().filter(|state| state.is_active()).map(|state| state.metadata_offset);
        offsets.min().unwrap_or(Offset(i64::MAX))
    }

    /// The brokers that take new replicas as far as shutting down goes, with whether they are fenced.
    pub(crate) fn not_shutting_down(&self) -> impl Iterator<Item = (BrokerId, bool)> {
        self.brokers
            .iter()
            .filter(|(_, state)| state.controlled_shutdown_offset.is_none())
            .map(|(id, state)| (*id, state.fenced))
    }
}
