//! The broker's life in the cluster: registration, heartbeats, leaving.

use crate::quorum::MetadataQuorum;
use ottla_config::{Endpoint, NodeConfig};
use ottla_log::LogDirectories;
use ottla_metadata::supported_features;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{
    BrokerHeartbeatRequest, BrokerHeartbeatResponse, BrokerRegistrationRequest, ControllerRegistrationRequest,
    broker_registration_request, controller_registration_request,
};
use ottla_types::{BrokerEpoch, Uuid};
use parking_lot::Mutex;
use std::sync::Arc;
use thiserror::Error;

/// Why a broker can't take its place in the cluster.
#[derive(Debug, Error)]
pub enum LifecycleError {
    /// The controller does not take the registration.
    #[error("the controller refuses to register this {what}: {}", .code.name())]
    Refused {
        /// What was to be registered.
        what: &'static str,
        /// Its answer.
        code: ErrorCode,
    },
    /// There is no active controller.
    #[error("there is no active controller: {}", .0.name())]
    NoController(ErrorCode),
    /// The controller keeps the broker fenced.
    #[error("the controller keeps this broker fenced")]
    Fenced,
}

/// One incarnation of a broker.
pub(crate) struct Lifecycle {
    config: Arc<NodeConfig>,
    cluster_id: String,
    incarnation_id: Uuid,
    logs: Arc<LogDirectories>,
    quorum: Arc<MetadataQuorum>,
    epoch: Mutex<BrokerEpoch>,
}

impl Lifecycle {
    pub(crate) fn new(
        config: Arc<NodeConfig>,
        cluster_id: String,
        incarnation_id: Uuid,
        logs: Arc<LogDirectories>,
        quorum: Arc<MetadataQuorum>,
    ) -> Self {
        Self { config, cluster_id, incarnation_id, logs, quorum, epoch: Mutex::new(BrokerEpoch(-1)) }
    }

    /// The epoch of the registration, or -1 before it.
    pub(crate) fn epoch(&self) -> BrokerEpoch {
        *self.epoch.lock()
    }

    /// Tells the quorum where this controller listens.
    pub(crate) fn register_controller(&self) -> Result<(), LifecycleError> {
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
        let request = ControllerRegistrationRequest {
            controller_id: self.config.node_id.value(),
            incarnation_id: self.incarnation_id,
            listeners: listeners.collect(),
            features: features.collect(),
            ..Default::default()
        };
        let response = self.quorum.decide_now(&request).map_err(LifecycleError::NoController)?;
        accepted("controller", response.error_code)
    }

    /// Registers the broker. It is fenced until its first heartbeat.
    pub(crate) fn register(&self, endpoints: &[Endpoint]) -> Result<BrokerEpoch, LifecycleError> {
        let request = self.registration(endpoints);
        let response = self.quorum.decide_now(&request).map_err(LifecycleError::NoController)?;
        accepted("broker", response.error_code)?;
        let epoch = BrokerEpoch(response.broker_epoch);
        *self.epoch.lock() = epoch;
        Ok(epoch)
    }

    fn registration(&self, endpoints: &[Endpoint]) -> BrokerRegistrationRequest {
        let features = supported_features().map(|(name, range)| broker_registration_request::Feature {
            name: name.to_owned(),
            min_supported_version: range.min,
            max_supported_version: range.max,
            ..Default::default()
        });
        let listeners = endpoints.iter().map(|endpoint| broker_registration_request::Listener {
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

    /// Says that the broker lives and has replayed everything. The first one unfences it.
    pub(crate) fn heartbeat(&self, want_shut_down: bool) -> Result<BrokerHeartbeatResponse, LifecycleError> {
        let offset = self.quorum.image().provenance.offset;
        let offline = self.logs.directories().iter().filter(|directory| directory.is_offline());
        let request = BrokerHeartbeatRequest {
            broker_id: self.config.node_id.value(),
            broker_epoch: self.epoch().value(),
            current_metadata_offset: offset.value(),
            want_fence: false,
            want_shut_down,
            offline_log_dirs: offline.map(|directory| directory.id()).collect(),
            ..Default::default()
        };
        let response = self.quorum.decide_now(&request).map_err(LifecycleError::NoController)?;
        accepted("heartbeat", response.error_code)?;
        Ok(response)
    }
}

fn accepted(what: &'static str, code: i16) -> Result<(), LifecycleError> {
    match ErrorCode::from_code(code) {
        Some(ErrorCode::None) => Ok(()),
        other => Err(LifecycleError::Refused { what, code: other.unwrap_or(ErrorCode::UnknownServerError) }),
    }
}
