use super::sessions::BrokerState;
use crate::{ApiError, Context, Controller, Outcome};
use ottla_metadata::{BrokerRegistration, MetadataVersionExt, VersionedRecord};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{BrokerHeartbeatRequest, BrokerHeartbeatResponse};
use ottla_protocol::metadata_records::{BrokerRegistrationChangeRecord, MetadataRecord};
use ottla_types::{BrokerEpoch, BrokerId, NodeId, Offset};
use std::collections::BTreeSet;
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
    fn of(state: BrokerState) -> Self {
        match state {
            BrokerState { controlled_shutdown_offset: Some(_), .. } => Self::ControlledShutdown,
            BrokerState { fenced: true, .. } => Self::Fenced,
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
        let known = self.check_broker_epoch(id, epoch).map(|()| self.registration_offset(id));
        let registered_at = match known {
            Ok(offset) => offset,
            Err(error) => {
                let error_code = error.code.code();
                return Outcome::answer(BrokerHeartbeatResponse { error_code, ..Default::default() });
            }
        };
        self.heartbeats.contact(id, epoch, context.monotonic);
        let state = self.heartbeats.state(id).unwrap_or(BrokerState {
            fenced: true,
            metadata_offset: Offset(-1),
            controlled_shutdown_offset: None,
        });
        let next = self.next_state(id, state, request, registered_at);
        let mut records = Vec::new();
        if next != State::of(state) {
            match next {
                State::Fenced | State::ShutdownNow => self.fence_broker(id, epoch, &mut records),
                State::Unfenced => self.unfence_broker(id, epoch, &mut records),
                State::ControlledShutdown => self.begin_controlled_shutdown(id, epoch, &mut records),
            }
        }
        let replayed = Offset(request.current_metadata_offset);
        self.heartbeats.touch(id, next.is_fenced(), replayed);
        self.take_offline(id, request, &mut records);
        self.cordon(id, request, &mut records);
        if next == State::ControlledShutdown {
            let count = i64::try_from(records.len()).unwrap_or(i64::MAX);
            self.heartbeats.begin_controlled_shutdown(id, context.next_offset.plus(count - 1));
        }
        let response = BrokerHeartbeatResponse {
            is_caught_up: replayed >= registered_at,
            is_fenced: next.is_fenced(),
            should_shut_down: next == State::ShutdownNow,
            ..Default::default()
        };
        Outcome::new(records, response)
    }

    fn next_state(
        &self,
        id: BrokerId,
        state: BrokerState,
        request: &BrokerHeartbeatRequest,
        registered_at: Offset,
    ) -> State {
        let caught_up = request.current_metadata_offset >= registered_at.0;
        // A broker that was handing over when it was fenced may go, but not come back: only a new incarnation may lead.
        let is_leaving = self.image.cluster.broker(id).is_some_and(|broker| broker.in_controlled_shutdown);
        match State::of(state) {
            State::Fenced if request.want_shut_down => State::ShutdownNow,
            State::Fenced if !request.want_fence && caught_up && !is_leaving => State::Unfenced,
            State::Fenced => State::Fenced,
            State::Unfenced if request.want_fence && request.want_shut_down => State::ShutdownNow,
            State::Unfenced if request.want_fence => State::Fenced,
            State::Unfenced if request.want_shut_down && self.has_leaderships(id) => State::ControlledShutdown,
            State::Unfenced if request.want_shut_down => State::ShutdownNow,
            State::Unfenced => State::Unfenced,
            // It may go when it leads nothing and every active broker has learned who leads instead.
            State::ControlledShutdown => {
                let news = state.controlled_shutdown_offset.unwrap_or(Offset(0));
                if self.has_leaderships(id) || news > self.heartbeats.lowest_active_offset() {
                    State::ControlledShutdown
                } else {
                    State::ShutdownNow
                }
            }
            State::ShutdownNow => State::ShutdownNow,
        }
    }

    /// Directories that have failed: their partitions lose this replica.
    fn take_offline(&self, id: BrokerId, request: &BrokerHeartbeatRequest, records: &mut Vec<VersionedRecord>) {
        let Some(broker) = self.image.cluster.broker(id) else { return };
        let is_offline = |dir: &&ottla_types::DirectoryId| request.offline_log_dirs.contains(dir);
        if !self.metadata_version().has_directory_assignment() || !broker.log_dirs.iter().any(|dir| is_offline(&dir)) {
            return;
        }
        let (offline, online): (Vec<_>, Vec<_>) = broker.log_dirs.iter().partition(is_offline);
        self.remove_from_directories(id, &offline, records);
        let record = BrokerRegistrationChangeRecord { log_dirs: online, ..change_of(broker) };
        records.push(VersionedRecord::new(MetadataRecord::BrokerRegistrationChange(record), 2));
    }

    /// Directories that take no new replicas. `None` in the request (or a version without the field) says nothing.
    fn cordon(&self, id: BrokerId, request: &BrokerHeartbeatRequest, records: &mut Vec<VersionedRecord>) {
        let Some(broker) = self.image.cluster.broker(id) else { return };
        let Some(wanted) = &request.cordoned_log_dirs else { return };
        let set = |dirs: &[ottla_types::DirectoryId]| dirs.iter().copied().collect::<BTreeSet<_>>();
        let same = broker.cordoned_log_dirs.as_ref().is_some_and(|known| set(known) == set(wanted));
        if self.metadata_version().has_cordoned_log_dirs() && !same {
            let record =
                BrokerRegistrationChangeRecord { cordoned_log_dirs: Some(wanted.clone()), ..change_of(broker) };
            records.push(VersionedRecord::new(MetadataRecord::BrokerRegistrationChange(record), 3));
        }
    }

    /// Fences one broker whose session has run out. Call it again while it returns records, and again at
    /// [`Self::next_session_expiry`].
    pub fn fence_expired_broker(&mut self, now: Duration) -> Outcome<Option<BrokerId>> {
        while let Some((id, epoch)) = self.heartbeats.take_expired(now) {
            let current = self.image.cluster.broker(id).is_some_and(|broker| broker.epoch == epoch);
            if !current {
                continue;
            }
            let mut records = Vec::new();
            self.fence_broker(id, epoch, &mut records);
            let offset = self.heartbeats.state(id).map_or(Offset(-1), |state| state.metadata_offset);
            self.heartbeats.touch(id, true, offset);
            return Outcome::new(records, Some(id));
        }
        Outcome::answer(None)
    }

    /// When the next session runs out, on the monotonic clock, if no heartbeat comes before.
    pub fn next_session_expiry(&self) -> Option<Duration> {
        self.heartbeats.next_expiry()
    }

    pub(crate) fn check_broker_epoch(&self, id: BrokerId, epoch: BrokerEpoch) -> Result<(), ApiError> {
        match self.image.cluster.broker(id) {
            None => {
                let message = format!("No broker registration found for broker id {id}");
                Err(ApiError::new(ErrorCode::StaleBrokerEpoch, message))
            }
            Some(broker) if broker.epoch != epoch => {
                let message = format!("Expected broker epoch {}, but got broker epoch {epoch}", broker.epoch);
                Err(ApiError::new(ErrorCode::StaleBrokerEpoch, message))
            }
            Some(_) => Ok(()),
        }
    }

    fn registration_offset(&self, id: BrokerId) -> Offset {
        self.registration_offsets.get(&id).copied().unwrap_or(Offset(i64::MAX))
    }
}

pub(crate) fn change_of(broker: &BrokerRegistration) -> BrokerRegistrationChangeRecord {
    BrokerRegistrationChangeRecord { broker_id: broker.id.0, broker_epoch: broker.epoch.0, ..Default::default() }
}
