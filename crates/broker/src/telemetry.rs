//! What clients tell of themselves (KIP-714): which of them are to push which metrics, and whether they keep to it.

mod instance;
mod subscription;

pub(crate) use instance::Subscribed;
use instance::{Instance, Instances};
use subscription::Subscriptions;

use crate::call::Caller;
use crate::groups::java_address;
use ottla_config::ClientAttribute;
use ottla_env::{Clock, Random};
use ottla_metadata::ConfigsImage;
use ottla_protocol::ErrorCode;
use ottla_types::Uuid;
use parking_lot::Mutex;
use std::sync::Arc;

/// Subscriptions of metrics, and the clients that were heard of lately.
pub(crate) struct Telemetry {
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    subscriptions: Subscriptions,
    instances: Instances,
}

/// Who asks, in the words of [`ClientAttribute`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Client {
    id: Option<Arc<str>>,
    software_name: String,
    software_version: String,
    address: String,
    port: String,
}

impl Client {
    pub(crate) fn of(caller: &Caller) -> Self {
        let state = caller.connection.state.lock();
        // What a client is that has not said so in its ApiVersions.
        let told = |text: &Option<String>| text.clone().unwrap_or_else(|| "unknown".to_owned());
        Self {
            id: caller.header.client_id.clone(),
            software_name: told(&state.client_software_name),
            software_version: told(&state.client_software_version),
            address: java_address(caller.connection.peer.ip()).trim_start_matches('/').to_owned(),
            port: caller.connection.peer.port().to_string(),
        }
    }

    fn value(&self, attribute: ClientAttribute) -> Option<&str> {
        match attribute {
            // Known to the instance only.
            ClientAttribute::InstanceId => None,
            ClientAttribute::ClientId => self.id.as_deref(),
            ClientAttribute::SoftwareName => Some(&self.software_name),
            ClientAttribute::SoftwareVersion => Some(&self.software_version),
            ClientAttribute::SourceAddress => Some(&self.address),
            ClientAttribute::SourcePort => Some(&self.port),
        }
    }
}

/// A PushTelemetry request without its metrics.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Push {
    pub(crate) instance: Uuid,
    pub(crate) subscription_id: i32,
    pub(crate) is_terminating: bool,
    pub(crate) compression_type: i8,
    /// How many bytes of metrics it bears, and may bear.
    pub(crate) bytes: usize,
    pub(crate) bytes_max: usize,
}

impl Telemetry {
    pub(crate) fn new(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        Self { clock, random, state: Mutex::default() }
    }

    /// The subscriptions have changed. Each client gets its new one when it asks or pushes next.
    pub(crate) fn set_subscriptions(&self, configs: &ConfigsImage) {
        let mut state = self.state.lock();
        state.subscriptions = state.subscriptions.next(configs);
    }

    /// What the client is to push. Without an id it gets one.
    pub(crate) fn subscription(&self, instance: Uuid, client: &Client) -> Result<Subscribed, ErrorCode> {
        let instance = if instance.is_zero() { self.random.uuid() } else { instance };
        self.with_instance(instance, client, |known, now| {
            known.ask(now)?;
            Ok(known.subscribed(instance))
        })
    }

    /// Whether the metrics that a client pushes are welcome.
    pub(crate) fn push(&self, push: &Push, client: &Client) -> Result<(), ErrorCode> {
        if push.instance.is_zero() || push.instance == Uuid::METADATA_TOPIC {
            return Err(ErrorCode::InvalidRequest);
        }
        self.with_instance(push.instance, client, |known, now| known.push(push, now))
    }

    fn with_instance<T>(
        &self,
        id: Uuid,
        client: &Client,
        then: impl FnOnce(&mut Instance, ottla_env::Monotonic) -> T,
    ) -> T {
        let now = self.clock.monotonic();
        let mut state = self.state.lock();
        let State { subscriptions, instances } = &mut *state;
        then(instances.heard_of(id, now, subscriptions, client), now)
    }
}
