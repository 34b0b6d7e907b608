use super::sessions::BrokerState;
use crate::draft::Draft;
use crate::{ApiError, Context, Controller, Outcome};
use ottla_metadata::{BrokerRegistration, MetadataVersionExt, VersionedRecord};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{BrokerHeartbeatRequest, BrokerHeartbeatResponse};
use ottla_protocol::metadata_records::{BrokerRegistrationChangeRecord, MetadataRecord};
use ottla_types::{BrokerEpoch, BrokerId, DirectoryId, NodeId, Offset};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// What a broker is, and what a heartbeat makes of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Fenced,
    Unfenced,
    ControlledShutdown,
    ShutdownNow,
}

impl State {
    /// What the log says of the broker; whether it waits for others before it may go is known from its heartbeats alone.
    fn of(broker: &BrokerRegistration, state: BrokerState) -> Self {
        match state.controlled_shutdown_offset {
            _ if broker.fenced => Self::Fenced,
            Some(_) if broker.in_controlled_shutdown => Self::ControlledShutdown,
            _ => Self::Unfenced,
        }
    }

    fn is_fenced(self) -> bool {
        matches!(self, Self::Fenced | Self::ShutdownNow)
    }
}

impl Controller {
    /// BrokerHeartbeat: a broker says that it lives, how far it has replayed, and what it wants. Keeps its session, and
    /// fences it, unfences it or lets it go.
    pub fn heartbeat(
        &mut self,
        context: &Context,
        request: &BrokerHeartbeatRequest,
    ) -> Outcome<BrokerHeartbeatResponse> {
        let (id, epoch) = (NodeId(request.broker_id), BrokerEpoch(request.broker_epoch));
        let broker = match self.registered_broker(id, epoch) {
            Ok(broker) => broker.clone(),
            Err(error) => {
                let error_code = error.code.code();
                return Outcome::answer(BrokerHeartbeatResponse { error_code, ..Default::default() });
            }
        };
        let registered_at = self.registration_offset(id);
        self.heartbeats.contact(id, epoch, context.monotonic);
        let state = self.heartbeats.state(id).unwrap_or(BrokerState::UNKNOWN);
        let next = self.next_state(&broker, state, request, registered_at);
        let mut draft = Draft::new(self);
        if next != State::of(&broker, state) {
            match next {
                State::Fenced | State::ShutdownNow => draft.fence_broker(id, epoch),
                State::Unfenced => draft.unfence_broker(id, epoch),
                State::ControlledShutdown => draft.begin_controlled_shutdown(id, epoch),
            }
        }
        draft.take_offline(id, request);
        draft.cordon(id, request);
        let records = draft.records;
        let replayed = Offset(request.current_metadata_offset);
        self.heartbeats.touch(id, next.is_fenced(), replayed);
        if next == State::ControlledShutdown {
            let count = i64::try_from(records.len()).unwrap_or(i64::MAX);
            self.heartbeats.begin_controlled_shutdown(id, context.next_offset.plus(count - 1));
        }
        if next == State::ShutdownNow {
            // It ends its connections now, and the one that comes after it need not wait until its session has run out.
            self.heartbeats.lose(id);
        }
        let response = BrokerHeartbeatResponse {
            is_caught_up: replayed >= registered_at,
            is_fenced: next.is_fenced(),
            should_shut_down: next == State::ShutdownNow,
            ..Default::default()
        };
        Outcome::in_batches(records, response)
    }

    /// A heartbeat has arrived, and may have to wait for its turn: the session goes on already. Of an unknown or former
    /// registration it means nothing.
    pub fn contact(&mut self, request: &BrokerHeartbeatRequest, now: Duration) {
        let (id, epoch) = (NodeId(request.broker_id), BrokerEpoch(request.broker_epoch));
        if self.check_broker_epoch(id, epoch).is_ok() {
            self.heartbeats.contact(id, epoch, now);
        }
    }

    /// A heartbeat has waited so long for its turn that the broker no longer waits for the answer. What it says of the
    /// broker's progress still counts; what it asks for is left to the next one.
    pub fn expired_heartbeat(&mut self, request: &BrokerHeartbeatRequest) {
        let (id, epoch) = (NodeId(request.broker_id), BrokerEpoch(request.broker_epoch));
        if self.check_broker_epoch(id, epoch).is_ok() {
            let fenced = self.image.cluster.broker(id).is_none_or(|broker| broker.fenced);
            self.heartbeats.touch(id, fenced, Offset(request.current_metadata_offset));
        }
    }

    fn next_state(
        &self,
        broker: &BrokerRegistration,
        state: BrokerState,
        request: &BrokerHeartbeatRequest,
        registered_at: Offset,
    ) -> State {
        let id = broker.id;
        let caught_up = request.current_metadata_offset >= registered_at.0;
        // A broker that was handing over when it was fenced may go, but not come back: only a new incarnation may lead.
        let is_leaving = broker.in_controlled_shutdown;
        match State::of(broker, state) {
            State::Fenced if request.want_shut_down => State::ShutdownNow,
            State::Fenced if !request.want_fence && caught_up && !is_leaving => State::Unfenced,
            State::Fenced => State::Fenced,
            State::Unfenced if request.want_fence && request.want_shut_down => State::ShutdownNow,
            State::Unfenced if request.want_fence => State::Fenced,
            State::Unfenced if request.want_shut_down && self.by_state.leads_any(id) => State::ControlledShutdown,
            State::Unfenced if request.want_shut_down => State::ShutdownNow,
            State::Unfenced => State::Unfenced,
            // It may go when it leads nothing and every active broker has learned who leads instead.
            State::ControlledShutdown => {
                let news = state.controlled_shutdown_offset.unwrap_or(Offset(0));
                if self.by_state.leads_any(id) || news > self.heartbeats.lowest_active_offset() {
                    State::ControlledShutdown
                } else {
                    State::ShutdownNow
                }
            }
            State::ShutdownNow => State::ShutdownNow,
        }
    }

    /// Fences one broker whose session has run out: the one that has been silent for longest. One a decision, so that the
    /// next decision sees what became of its partitions.
    pub(crate) fn fence_expired_broker(&mut self, now: Duration) -> Outcome<Option<BrokerId>> {
        while let Some((id, epoch)) = self.heartbeats.take_expired(now) {
            let broker = self.image.cluster.broker(id);
            if broker.is_none_or(|broker| broker.epoch != epoch || broker.fenced) {
                continue;
            }
            return Outcome::in_batches(self.fence(id, epoch), Some(id));
        }
        Outcome::answer(None)
    }

    /// The connection to a broker has ended, which may be the first sign of its death. Nothing is decided by it alone.
    pub fn connection_ended(&mut self, id: BrokerId, epoch: BrokerEpoch) {
        if self.check_broker_epoch(id, epoch).is_ok() {
            self.heartbeats.lose(id);
        }
    }

    /// A broker's process is known to be gone: it is fenced at once, and not only when its session runs out. The response is
    /// whether it was. Of a former registration it means nothing.
    pub fn broker_is_dead(&mut self, id: BrokerId, epoch: BrokerEpoch) -> Outcome<bool> {
        if self.check_broker_epoch(id, epoch).is_err() {
            return Outcome::answer(false);
        }
        self.heartbeats.end(id);
        if self.image.cluster.broker(id).is_none_or(|broker| broker.fenced) {
            return Outcome::answer(false);
        }
        Outcome::in_batches(self.fence(id, epoch), true)
    }

    fn fence(&mut self, id: BrokerId, epoch: BrokerEpoch) -> Vec<VersionedRecord> {
        let mut draft = Draft::new(self);
        draft.fence_broker(id, epoch);
        let records = draft.records;
        let offset = self.heartbeats.state(id).map_or(Offset(-1), |state| state.metadata_offset);
        self.heartbeats.touch(id, true, offset);
        records
    }

    pub(crate) fn check_broker_epoch(&self, id: BrokerId, epoch: BrokerEpoch) -> Result<(), ApiError> {
        self.registered_broker(id, epoch).map(drop)
    }

    /// The broker, if that is the epoch of its present registration.
    fn registered_broker(&self, id: BrokerId, epoch: BrokerEpoch) -> Result<&Arc<BrokerRegistration>, ApiError> {
        match self.image.cluster.broker(id) {
            None => {
                let message = format!("No broker registration found for broker id {id}");
                Err(ApiError::new(ErrorCode::StaleBrokerEpoch, message))
            }
            Some(broker) if broker.epoch != epoch => {
                let message = format!("Expected broker epoch {}, but got broker epoch {epoch}", broker.epoch);
                Err(ApiError::new(ErrorCode::StaleBrokerEpoch, message))
            }
            Some(broker) => Ok(broker),
        }
    }

    fn registration_offset(&self, id: BrokerId) -> Offset {
        self.registration_offsets.get(&id).copied().unwrap_or(Offset(i64::MAX))
    }
}

impl Draft<'_> {
    /// Directories that have failed: their partitions lose this replica.
    fn take_offline(&mut self, id: BrokerId, request: &BrokerHeartbeatRequest) {
        let Some(broker) = self.image.cluster.broker(id).cloned() else { return };
        let is_offline = |dir: &&DirectoryId| request.offline_log_dirs.contains(dir);
        if !self.metadata_version().has_directory_assignment() || !broker.log_dirs.iter().any(|dir| is_offline(&dir)) {
            return;
        }
        let (offline, online): (Vec<_>, Vec<_>) = broker.log_dirs.iter().partition(is_offline);
        self.remove_from_directories(id, &offline);
        let record = BrokerRegistrationChangeRecord { log_dirs: online, ..change_of(&broker) };
        self.push(VersionedRecord::new(MetadataRecord::BrokerRegistrationChange(record), 2));
    }

    /// Directories that take no new replicas. `None` in the request (or a version without the field) says nothing.
    fn cordon(&mut self, id: BrokerId, request: &BrokerHeartbeatRequest) {
        let Some(broker) = self.image.cluster.broker(id) else { return };
        let Some(wanted) = &request.cordoned_log_dirs else { return };
        let set = |dirs: &[DirectoryId]| dirs.iter().copied().collect::<BTreeSet<_>>();
        let same = broker.cordoned_log_dirs.as_ref().is_some_and(|known| set(known) == set(wanted));
        if self.metadata_version().has_cordoned_log_dirs() && !same {
            let record =
                BrokerRegistrationChangeRecord { cordoned_log_dirs: Some(wanted.clone()), ..change_of(broker) };
            self.push(VersionedRecord::new(MetadataRecord::BrokerRegistrationChange(record), 3));
        }
    }
}

fn change_of(broker: &BrokerRegistration) -> BrokerRegistrationChangeRecord {
    BrokerRegistrationChangeRecord { broker_id: broker.id.0, broker_epoch: broker.epoch.0, ..Default::default() }
}
