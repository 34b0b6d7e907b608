//! What clients tell of themselves (KIP-714): which of them are to push which metrics, and whether they keep to it.

mod instance;
mod pushed;
mod subscription;

pub(crate) use instance::Subscribed;
use instance::{Instance, Instances};
use pushed::{Pushed, PushedLimits};
use subscription::Subscriptions;

use crate::call::Caller;
use crate::groups::java_address;
use ottla_config::{ClientAttribute, MetricsConfig};
use ottla_env::{Clock, Random};
use ottla_metadata::ConfigsImage;
use ottla_metrics::{Exposition, otlp};
use ottla_protocol::ErrorCode;
use ottla_records::{Compression, Decompressor};
use ottla_types::Uuid;
use parking_lot::Mutex;
use std::sync::Arc;

/// Subscriptions of metrics, and the clients that were heard of lately.
pub(crate) struct Telemetry {
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    state: Mutex<State>,
    /// The metrics that were pushed, when they are shown.
    exported: Option<Exported>,
}

/// What keeps the metrics of clients.
struct Exported {
    limits: PushedLimits,
    pushed: Mutex<Pushed>,
    /// Pushes are rare: one at a time is decompressed.
    decompressor: Mutex<Decompressor>,
}

/// What one push may decompress to: several times the largest that `telemetry.max.bytes` allows by default.
const PUSH_BYTES_MAX: usize = 8 << 20;
/// How many points of one push are looked at.
const PUSH_POINTS_MAX: usize = 10_000;

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
    pub(crate) fn new(config: &MetricsConfig, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        let limit = |value: i32| usize::try_from(value).unwrap_or(0);
        let exported = config.ottla_metrics_client_telemetry_enable.then(|| Exported {
            limits: PushedLimits {
                instances: limit(config.ottla_metrics_client_instances_max),
                series: limit(config.ottla_metrics_client_series_max),
            },
            pushed: Mutex::default(),
            decompressor: Mutex::new(Decompressor::new(PUSH_BYTES_MAX)),
        });
        Self { clock, random, state: Mutex::default(), exported }
    }

    /// Whether anybody takes the metrics of clients, so that clients should know that they can push them.
    pub(crate) fn is_exported(&self) -> bool {
        self.exported.is_some()
    }

    /// Takes metrics that are welcome. What is no metrics is refused as a plugin's failure is.
    pub(crate) fn export(&self, push: &Push, client: &Client, metrics: &[u8]) -> Result<(), ErrorCode> {
        let Some(exported) = &self.exported else { return Ok(()) };
        if push.is_terminating && metrics.is_empty() {
            exported.pushed.lock().forget(push.instance);
            return Ok(());
        }
        let refused = |error: &dyn std::fmt::Display| {
            tracing::info!(%error, instance = %push.instance, "metrics of a client can't be read");
            ErrorCode::InvalidRecord
        };
        let compression = u8::try_from(push.compression_type).map(Compression::from_id);
        let Ok(Ok(compression)) = compression else { return Err(ErrorCode::UnsupportedCompressionType) };
        let interval = self.with_instance(push.instance, client, |known, _| known.interval());
        let now = self.clock.monotonic();
        let mut decompressor = exported.decompressor.lock();
        let data = decompressor.decompress(compression, metrics).map_err(|error| refused(&error))?;
        let points = otlp::points(data, PUSH_POINTS_MAX).map_err(|error| refused(&error))?;
        exported.pushed.lock().take(push.instance, client, &points, exported.limits, (now, interval));
        if push.is_terminating {
            // Its last numbers are of a client that is no more.
            exported.pushed.lock().forget(push.instance);
        }
        drop(points);
        decompressor.trim();
        Ok(())
    }

    /// Shows what clients have pushed, and says how many series there was no room for.
    pub(crate) fn show(&self, exposition: &mut Exposition) -> u64 {
        let shown = |exported: &Exported| exported.pushed.lock().show(self.clock.monotonic(), exposition);
        self.exported.as_ref().map_or(0, shown)
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
