//! A node's life in the cluster: registration, heartbeats, leaving.

use crate::controller_channel::{ChannelFailure, ControllerChannel, accepted};
use crate::durations::milliseconds;
use crate::metadata_view::MetadataView;
use crate::patience::{GivenUp, Patience};
use crate::peers::Lane;
use core::time::Duration;
use ottla_config::{Endpoint, NodeConfig};
use ottla_env::{Clock, Monotonic};
use ottla_log::LogDirectories;
use ottla_metadata::{MetadataVersionExt as _, supported_features};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{
    BrokerHeartbeatRequest, BrokerHeartbeatResponse, BrokerRegistrationRequest, ControllerRegistrationRequest,
    broker_registration_request, controller_registration_request,
};
use ottla_types::{BrokerEpoch, DirectoryId, MetadataVersion, Uuid};
use parking_lot::Mutex;
use std::sync::Arc;
use thiserror::Error;

/// How soon a broker that was refused or heard nothing tries again, at first and at most.
const RETRY: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(2);
/// A broker reports no more often than this, however short its interval is.
const HEARTBEAT_INTERVAL_MIN: Duration = Duration::from_millis(1);
/// How often a broker asks that is not served yet.
const FENCED_INTERVAL: Duration = Duration::from_millis(25);
/// How often a broker asks that is leaving.
const LEAVING_INTERVAL: Duration = Duration::from_millis(50);

/// Why a broker can't take its place in the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LifecycleError {
    /// The controller does not take the registration.
    #[error("the controller refuses to register this {what}: {}", .code.name())]
    Refused {
        /// What was to be registered.
        what: &'static str,
        /// Its answer.
        code: ErrorCode,
    },
    /// There is no active controller, or it does not answer.
    #[error("{0}")]
    NoController(String),
    /// The controller keeps the broker fenced.
    #[error("the controller keeps this broker fenced")]
    Fenced,
}

impl LifecycleError {
    /// Whether a broker of the same id is alive, or was a moment ago.
    pub fn is_twin(&self) -> bool {
        matches!(self, Self::Refused { code: ErrorCode::DuplicateBrokerRegistration, .. })
    }
}

/// What a broker is to the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The controller does not know this incarnation.
    Unregistered,
    /// It does, and keeps clients away from it.
    Fenced,
    /// Clients are sent to it.
    Running,
    /// What it led is led by others, where there are others.
    Left,
    /// The node is no broker.
    NoBroker,
}

/// What is asked of the controller next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    RegisterController,
    RegisterBroker,
    Heartbeat,
}

struct State {
    stage: Stage,
    epoch: BrokerEpoch,
    controller_is_registered: bool,
    /// Whether the image has shown that registration.
    controller_is_shown: bool,
    wants_to_leave: bool,
    /// A request is under way.
    is_asking: bool,
    /// When the next may be sent.
    next: Monotonic,
    /// Requests in a row that came to nothing.
    failures: u32,
    /// The last of them.
    failure: Option<LifecycleError>,
    patience: Patience,
}

/// One incarnation of a broker, and of the controller in its process.
pub(crate) struct Lifecycle {
    config: Arc<NodeConfig>,
    cluster_id: String,
    incarnation_id: Uuid,
    endpoints: Vec<Endpoint>,
    logs: Arc<LogDirectories>,
    metadata: Arc<MetadataView>,
    channel: ControllerChannel,
    clock: Arc<dyn Clock>,
    wake: Arc<dyn Fn() + Send + Sync>,
    state: Arc<Mutex<State>>,
}

/// What a lifecycle is made of.
pub(crate) struct LifecycleOptions {
    pub(crate) config: Arc<NodeConfig>,
    pub(crate) cluster_id: String,
    pub(crate) incarnation_id: Uuid,
    /// What clients are told.
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) logs: Arc<LogDirectories>,
    pub(crate) metadata: Arc<MetadataView>,
    pub(crate) channel: ControllerChannel,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) wake: Arc<dyn Fn() + Send + Sync>,
}

impl Lifecycle {
    pub(crate) fn new(options: LifecycleOptions) -> Self {
        let LifecycleOptions { config, cluster_id, incarnation_id, endpoints, logs, metadata, channel, clock, wake } =
            options;
        let state = State {
            stage: if config.process_roles.broker { Stage::Unregistered } else { Stage::NoBroker },
            epoch: BrokerEpoch(-1),
            controller_is_registered: !config.process_roles.controller,
            controller_is_shown: false,
            wants_to_leave: false,
            is_asking: false,
            next: clock.monotonic(),
            failures: 0,
            failure: None,
            patience: Patience::new(&config, clock.monotonic()),
        };
        let state = Arc::new(Mutex::new(state));
        Self { config, cluster_id, incarnation_id, endpoints, logs, metadata, channel, clock, wake, state }
    }

    /// The epoch of the registration, or -1 before it.
    pub(crate) fn epoch(&self) -> BrokerEpoch {
        self.state.lock().epoch
    }

    /// The level of `metadata.version`.
    pub(crate) fn metadata_version(&self) -> MetadataVersion {
        self.metadata.image().features.metadata_version().unwrap_or(MetadataVersion::MINIMUM)
    }

    /// Whether clients are sent to this broker, or the quorum knows this controller where there is no broker.
    pub(crate) fn is_running(&self) -> bool {
        let may_register = self.metadata_version().has_controller_registration();
        let state = self.state.lock();
        match state.stage {
            Stage::Running => true,
            Stage::NoBroker => state.controller_is_registered || !may_register,
            Stage::Unregistered | Stage::Fenced | Stage::Left => false,
        }
    }

    /// Whether the controller has let this broker go.
    pub(crate) fn has_left(&self) -> bool {
        matches!(self.state.lock().stage, Stage::Left | Stage::NoBroker)
    }

    /// The last thing that went wrong, while it has not gone right since.
    pub(crate) fn failure(&self) -> Option<LifecycleError> {
        self.state.lock().failure.clone()
    }

    /// There may be something to tell the controller.
    pub(crate) fn wake(&self) {
        (self.wake)();
    }

    /// What the broker has waited for too long, so that its process should end.
    pub(crate) fn given_up(&self) -> Option<GivenUp> {
        self.state.lock().patience.given_up(self.clock.monotonic())
    }

    /// From now on the broker asks to hand over what it leads, and to go; or it goes without a word, where the configuration
    /// has it so, or where nobody knows it.
    pub(crate) fn begin_leaving(&self) {
        let mut state = self.state.lock();
        state.wants_to_leave = true;
        state.next = Monotonic::default();
        if state.stage == Stage::Unregistered || !self.config.lifecycle.controlled_shutdown_enable {
            state.stage = Stage::Left;
        }
    }

    /// Asks the controller what is due, as far as answers come at once. Says when to come again.
    pub(crate) fn advance(&self, now: Monotonic) -> Option<Monotonic> {
        self.look_at_directories(now);
        loop {
            // Answers that come at once have taken time too.
            let now = now.max(self.clock.monotonic());
            let step = {
                let is_shown = self.config.process_roles.controller && self.controller_is_shown();
                let mut state = self.state.lock();
                state.look_for_controller(is_shown);
                let may_register = self.metadata_version().has_controller_registration();
                let Some(step) = state.due(now, may_register) else { return state.comes_again(may_register) };
                state.is_asking = true;
                step
            };
            match step {
                Step::RegisterController => self.register_controller(),
                Step::RegisterBroker => self.register_broker(),
                Step::Heartbeat => self.heartbeat(),
            }
        }
    }

    /// Whether the image has this controller's registration.
    fn controller_is_shown(&self) -> bool {
        let image = self.metadata.image();
        let controller = image.cluster.controllers.get(&self.config.node_id);
        controller.is_some_and(|controller| controller.incarnation_id == self.incarnation_id)
    }

    /// Takes an answer in, from whichever thread it comes.
    fn answered<T>(
        &self,
        take: impl FnOnce(&mut State, T) -> Result<Duration, LifecycleError> + Send + 'static,
    ) -> impl FnOnce(Result<T, ChannelFailure>) + Send + 'static {
        let (state, clock, wake) = (self.state.clone(), self.clock.clone(), self.wake.clone());
        move |answer| {
            let now = clock.monotonic();
            let mut state = state.lock();
            state.is_asking = false;
            if state.stage == Stage::Left {
                return;
            }
            let taken = match answer {
                Ok(response) => take(&mut state, response),
                Err(failure) => Err(LifecycleError::NoController(failure.to_string())),
            };
            match taken {
                Ok(wait) => {
                    state.failures = 0;
                    state.failure = None;
                    state.next = now + wait;
                }
                Err(failure) => {
                    state.next = now + RETRY_MAX.min(RETRY.saturating_mul(1 << state.failures.min(16)));
                    state.failures = state.failures.saturating_add(1);
                    if state.failure.as_ref() != Some(&failure) {
                        tracing::info!(%failure, "the controller is asked again");
                    }
                    state.failure = Some(failure);
                }
            }
            drop(state);
            wake();
        }
    }

    /// Tells the quorum where this controller listens.
    fn register_controller(&self) {
        let answered = self.answered(|state, response: ottla_protocol::messages::ControllerRegistrationResponse| {
            accepted(response.error_code).map_err(|code| LifecycleError::Refused { what: "controller", code })?;
            state.controller_is_registered = true;
            Ok(Duration::ZERO)
        });
        self.channel.ask(Lane::Lifecycle, self.controller_registration(), answered);
    }

    /// Registers the broker. It is fenced until a heartbeat says that it has caught up.
    fn register_broker(&self) {
        let answered = self.answered(|state, response: ottla_protocol::messages::BrokerRegistrationResponse| {
            accepted(response.error_code).map_err(|code| LifecycleError::Refused { what: "broker", code })?;
            state.epoch = BrokerEpoch(response.broker_epoch);
            state.stage = Stage::Fenced;
            state.patience.registered();
            Ok(Duration::ZERO)
        });
        self.channel.ask(Lane::Lifecycle, self.broker_registration(), answered);
    }

    /// Says that the broker lives and how much it has replayed.
    fn heartbeat(&self) {
        let interval = milliseconds(self.config.lifecycle.broker_heartbeat_interval_ms).max(HEARTBEAT_INTERVAL_MIN);
        let (request, leaving) = self.heartbeat_request();
        let failed_directories = request.offline_log_dirs.clone();
        let answered = self.answered(move |state, response: BrokerHeartbeatResponse| {
            accepted(response.error_code).map_err(|code| LifecycleError::Refused { what: "heartbeat", code })?;
            state.patience.told(&failed_directories);
            if leaving && response.should_shut_down {
                state.stage = Stage::Left;
                return Ok(interval);
            }
            state.stage = if response.is_fenced { Stage::Fenced } else { Stage::Running };
            if state.stage == Stage::Running {
                state.patience.running();
            }
            if state.patience.has_more_to_tell() {
                return Ok(Duration::ZERO);
            }
            Ok(match (leaving, response.is_fenced) {
                (true, _) => LEAVING_INTERVAL.min(interval),
                (false, true) => FENCED_INTERVAL.min(interval),
                (false, false) => interval,
            })
        });
        self.channel.ask(Lane::Lifecycle, request, answered);
    }

    fn heartbeat_request(&self) -> (BrokerHeartbeatRequest, bool) {
        let (epoch, leaving) = {
            let state = self.state.lock();
            (state.epoch, state.wants_to_leave)
        };
        let offset = self.metadata.image().provenance.offset;
        let request = BrokerHeartbeatRequest {
            broker_id: self.config.node_id.value(),
            broker_epoch: epoch.value(),
            current_metadata_offset: offset.value(),
            want_fence: false,
            want_shut_down: leaving,
            offline_log_dirs: self.failed_directories(),
            ..Default::default()
        };
        (request, leaving)
    }

    fn failed_directories(&self) -> Vec<DirectoryId> {
        self.logs.directories().iter().filter(|directory| directory.is_offline()).map(|failed| failed.id()).collect()
    }

    /// The controller is told at once of a directory that has failed: others have to lead what lies there.
    fn look_at_directories(&self, now: Monotonic) {
        let failed = self.failed_directories();
        let mut state = self.state.lock();
        if state.stage == Stage::NoBroker {
            return;
        }
        if state.patience.directories_failed(&failed, now) && state.stage == Stage::Running {
            state.next = now;
        }
    }

    fn controller_registration(&self) -> ControllerRegistrationRequest {
        let features = supported_features().map(|(name, range)| controller_registration_request::Feature {
            name: name.to_owned(),
            min_supported_version: range.min,
            max_supported_version: range.max,
            ..Default::default()
        });
        let listeners = self.config.listeners.advertised_controller.iter();
        let listeners = listeners.map(|endpoint| controller_registration_request::Listener {
            name: endpoint.listener_name.clone(),
            host: endpoint.address.host.clone(),
            port: endpoint.address.port,
            security_protocol: endpoint.security_protocol.id(),
            ..Default::default()
        });
        ControllerRegistrationRequest {
            controller_id: self.config.node_id.value(),
            incarnation_id: self.incarnation_id,
            listeners: listeners.collect(),
            features: features.collect(),
            ..Default::default()
        }
    }

    fn broker_registration(&self) -> BrokerRegistrationRequest {
        let features = supported_features().map(|(name, range)| broker_registration_request::Feature {
            name: name.to_owned(),
            min_supported_version: range.min,
            max_supported_version: range.max,
            ..Default::default()
        });
        let listeners = self.endpoints.iter().map(|endpoint| broker_registration_request::Listener {
            name: endpoint.listener_name.clone(),
            host: endpoint.address.host.clone(),
            port: endpoint.address.port,
            security_protocol: endpoint.security_protocol.id(),
            ..Default::default()
        });
        let directories = self.logs.directories();
        // Only when all directories agree on it was the last stop in good order (KIP-966).
        let epochs: Vec<_> = directories.iter().map(|directory| directory.clean_shutdown_epoch()).collect();
        let previous = epochs.first().copied().flatten().filter(|first| epochs.iter().all(|one| *one == Some(*first)));
        BrokerRegistrationRequest {
            broker_id: self.config.node_id.value(),
            cluster_id: self.cluster_id.clone(),
            incarnation_id: self.incarnation_id,
            listeners: listeners.collect(),
            features: features.collect(),
            rack: self.config.broker_rack.clone(),
            log_dirs: directories.iter().map(|directory| directory.id()).collect(),
            previous_broker_epoch: previous.map_or(-1, BrokerEpoch::value),
            ..Default::default()
        }
    }
}

impl State {
    /// A controller whose registration was there and is no more, because an administrator has struck it out, registers again.
    fn look_for_controller(&mut self, is_shown: bool) {
        if self.controller_is_shown && !is_shown {
            self.controller_is_registered = false;
        }
        self.controller_is_shown = is_shown;
    }

    /// What is to be asked. `may_register` is whether the level of `metadata.version` has room for controllers; it may come
    /// to that only later.
    fn due(&self, now: Monotonic, may_register: bool) -> Option<Step> {
        if self.is_asking || self.next > now {
            return None;
        }
        match self.stage {
            Stage::Left => None,
            _ if may_register && !self.controller_is_registered => Some(Step::RegisterController),
            Stage::Unregistered => Some(Step::RegisterBroker),
            Stage::Fenced | Stage::Running => Some(Step::Heartbeat),
            Stage::NoBroker => None,
        }
    }

    /// When to look again; an answer that is under way comes by itself.
    fn comes_again(&self, may_register: bool) -> Option<Monotonic> {
        let has_more = match self.stage {
            Stage::Left => false,
            // The quorum's own deadlines see to it that a new level is noticed.
            Stage::NoBroker => may_register && !self.controller_is_registered,
            Stage::Unregistered | Stage::Fenced | Stage::Running => true,
        };
        let next = (!self.is_asking && has_more).then_some(self.next);
        next.into_iter().chain(self.patience.ends_at()).min()
    }
}
