use crate::draft::Draft;
use crate::{ApiError, Context, Controller, Outcome};
use ottla_metadata::{BrokerRegistration, Feature, MetadataVersionExt, VersionRange, VersionedRecord, directory_id};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::broker_registration_request::Feature as OfferedFeature;
use ottla_protocol::messages::{
    BrokerRegistrationRequest, BrokerRegistrationResponse, UnregisterBrokerRequest, UnregisterBrokerResponse,
};
use ottla_protocol::metadata_records::{
    MetadataRecord, RegisterBrokerRecord, UnregisterBrokerRecord,
    register_broker_record::{BrokerEndpoint, BrokerFeature},
};
use ottla_types::{BrokerEpoch, NodeId};
use std::collections::{BTreeMap, BTreeSet};

/// From this version of the request on, a broker says which epoch it had when it last stopped in good order.
const CLEAN_SHUTDOWN_VERSION: i16 = 3;

impl Controller {
    /// BrokerRegistration: a broker that has just started wants to belong to the cluster. A new incarnation gets a new
    /// epoch and starts fenced; what its predecessor led or was in sync with is settled first.
    pub fn register_broker(
        &mut self,
        context: &Context,
        request: &BrokerRegistrationRequest,
    ) -> Outcome<BrokerRegistrationResponse> {
        match self.decide_registration(context, request) {
            Ok((records, epoch)) => {
                Outcome::in_batches(records, BrokerRegistrationResponse { broker_epoch: epoch.0, ..Default::default() })
            }
            Err(error) => {
                Outcome::answer(BrokerRegistrationResponse { error_code: error.code.code(), ..Default::default() })
            }
        }
    }

    fn decide_registration(
        &self,
        context: &Context,
        request: &BrokerRegistrationRequest,
    ) -> Result<(Vec<VersionedRecord>, BrokerEpoch), ApiError> {
        self.check_registration(context, request)?;
        let id = NodeId(request.broker_id);
        let existing = self.image.cluster.broker(id);
        let level = self.metadata_version();
        let mut record = RegisterBrokerRecord {
            broker_id: request.broker_id,
            incarnation_id: request.incarnation_id,
            end_points: endpoints(request),
            features: self.checked_features(request)?,
            rack: request.rack.clone(),
            log_dirs: if level.has_directory_assignment() { request.log_dirs.clone() } else { Vec::new() },
            ..Default::default()
        };
        let mut draft = Draft::new(self);
        match existing.filter(|existing| existing.incarnation_id == request.incarnation_id) {
            Some(same) => {
                record.fenced = same.fenced;
                record.in_controlled_shutdown = same.in_controlled_shutdown;
                record.broker_epoch = same.epoch.0;
            }
            None => {
                let known = existing.map(|broker| broker.epoch.0);
                let was_clean =
                    context.version >= CLEAN_SHUTDOWN_VERSION && known == Some(request.previous_broker_epoch);
                draft.settle_predecessor(id, was_clean);
                record.fenced = true;
                record.broker_epoch = context.next_offset.0;
            }
        }
        let epoch = BrokerEpoch(record.broker_epoch);
        let record = MetadataRecord::RegisterBroker(record);
        draft.push(VersionedRecord::new(record, level.register_broker_record_version()));
        Ok((draft.records, epoch))
    }

    fn check_registration(&self, context: &Context, request: &BrokerRegistrationRequest) -> Result<(), ApiError> {
        if request.cluster_id != self.settings.cluster_id {
            let message =
                format!("Expected cluster ID {}, but got cluster ID {}", self.settings.cluster_id, request.cluster_id);
            return Err(ApiError::new(ErrorCode::InconsistentClusterId, message));
        }
        if let Some(existing) = self.image.cluster.broker(NodeId(request.broker_id))
            && existing.incarnation_id != request.incarnation_id
            && self.heartbeats.has_valid_session(existing.id, existing.epoch, context.monotonic)
            && !self.is_successor(existing, request)
        {
            let message = "Another broker is registered with that broker id. If the broker was recently restarted this \
                           should self-resolve once the heartbeat manager expires the broker's session.";
            return Err(ApiError::new(ErrorCode::DuplicateBrokerRegistration, message));
        }
        if request.is_migrating_zk_broker {
            let message = "Controller does not support registering ZK brokers.";
            return Err(ApiError::new(ErrorCode::BrokerIdNotRegistered, message));
        }
        if self.metadata_version().has_directory_assignment() { self.check_directories(request) } else { Ok(()) }
    }

    /// A broker that comes with its predecessor's directory, in the controller's own process or after the connection to the
    /// predecessor has ended or it was let go: the lock of the directory proves that the predecessor is dead, so it need not wait
    /// until its session has run out. Kafka waits, which keeps a broker away for nine seconds after a crash or a quick restart.
    fn is_successor(&self, existing: &BrokerRegistration, request: &BrokerRegistrationRequest) -> bool {
        let is_gone = existing.id == self.settings.node.node_id || self.heartbeats.is_lost(existing.id);
        is_gone && request.log_dirs.iter().any(|directory| existing.log_dirs.contains(directory))
    }

    fn check_directories(&self, request: &BrokerRegistrationRequest) -> Result<(), ApiError> {
        let invalid = |message: String| Err(ApiError::new(ErrorCode::InvalidRegistration, message));
        if request.log_dirs.is_empty() {
            return invalid("No directories specified in request".to_owned());
        }
        if request.log_dirs.iter().any(|dir| directory_id::is_reserved(*dir)) {
            return invalid("Reserved directory ID in request".to_owned());
        }
        let distinct: BTreeSet<_> = request.log_dirs.iter().collect();
        if distinct.len() != request.log_dirs.len() {
            return invalid("Duplicate directory ID in request".to_owned());
        }
        for broker in self.image.cluster.brokers.values().filter(|broker| broker.id.0 != request.broker_id) {
            if let Some(taken) = broker.log_dirs.iter().find(|dir| distinct.contains(dir)) {
                return invalid(format!("Broker {} is already registered with directory {taken}", broker.id));
            }
        }
        Ok(())
    }

    /// Every feature that the cluster has finalized must be one that the broker can run.
    fn checked_features(&self, request: &BrokerRegistrationRequest) -> Result<Vec<BrokerFeature>, ApiError> {
        let mut finalized: BTreeMap<String, i16> = self.image.features.finalized();
        finalized.insert(Feature::KraftVersion.name().to_owned(), self.settings.kraft_version);
        let mut features = Vec::with_capacity(request.features.len());
        for offered in &request.features {
            check_feature(offered, finalized.remove(&offered.name).unwrap_or(0))?;
            features.push(BrokerFeature {
                name: offered.name.clone(),
                min_supported_version: offered.min_supported_version,
                max_supported_version: offered.max_supported_version,
                ..Default::default()
            });
        }
        if !features.iter().any(|feature| feature.name == Feature::MetadataVersion.name()) {
            let message = "Request features do not contain 'metadata.version'";
            return Err(ApiError::new(ErrorCode::InvalidRegistration, message));
        }
        for (name, level) in finalized {
            check_feature(&OfferedFeature { name, ..Default::default() }, level)?;
        }
        Ok(features)
    }

    /// UnregisterBroker: an administrator strikes a broker out for good.
    pub fn unregister_broker(&mut self, request: &UnregisterBrokerRequest) -> Outcome<UnregisterBrokerResponse> {
        let id = NodeId(request.broker_id);
        let Some(broker) = self.image.cluster.broker(id) else {
            return Outcome::answer(UnregisterBrokerResponse {
                error_code: ErrorCode::BrokerIdNotRegistered.code(),
                error_message: Some(format!("Broker ID {id} is not currently registered")),
                ..Default::default()
            });
        };
        let broker_epoch = broker.epoch.0;
        let mut draft = Draft::new(self);
        draft.remove_from_partitions(id);
        let record = UnregisterBrokerRecord { broker_id: id.0, broker_epoch, ..Default::default() };
        draft.push(MetadataRecord::UnregisterBroker(record).into());
        Outcome::in_batches(draft.records, UnregisterBrokerResponse::default())
    }
}

fn check_feature(offered: &OfferedFeature, finalized: i16) -> Result<(), ApiError> {
    let range = VersionRange { min: offered.min_supported_version, max: offered.max_supported_version };
    if range.contains(finalized) {
        return Ok(());
    }
    let message = format!(
        "Unable to register because the broker does not support finalized version {finalized} of {}. The broker wants a \
         version between {} and {}, inclusive.",
        offered.name, range.min, range.max
    );
    Err(ApiError::new(ErrorCode::UnsupportedVersion, message))
}

fn endpoints(request: &BrokerRegistrationRequest) -> Vec<BrokerEndpoint> {
    let endpoint = |listener: &ottla_protocol::messages::broker_registration_request::Listener| BrokerEndpoint {
        name: listener.name.clone(),
        host: listener.host.clone(),
        port: listener.port,
        security_protocol: listener.security_protocol,
        ..Default::default()
    };
    request.listeners.iter().map(endpoint).collect()
}
