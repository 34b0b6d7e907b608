use crate::{Controller, Outcome};
use ottla_metadata::MetadataVersionExt;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{
    ControllerRegistrationRequest, ControllerRegistrationResponse, UnregisterControllerRequest,
    UnregisterControllerResponse,
};
use ottla_protocol::metadata_records::register_controller_record::{ControllerEndpoint, ControllerFeature};
use ottla_protocol::metadata_records::{MetadataRecord, RegisterControllerRecord, UnregisterControllerRecord};
use ottla_types::NodeId;

impl Controller {
    /// ControllerRegistration: a controller says where it listens and what it can run (KIP-919).
    pub fn register_controller(
        &mut self,
        request: &ControllerRegistrationRequest,
    ) -> Outcome<ControllerRegistrationResponse> {
        if !self.metadata_version().has_controller_registration() {
            let message = "The current MetadataVersion is too old to support controller registrations.";
            return Outcome::answer(ControllerRegistrationResponse {
                error_code: ErrorCode::UnsupportedVersion.code(),
                error_message: Some(message.to_owned()),
                ..Default::default()
            });
        }
        let endpoints = request.listeners.iter().map(|listener| ControllerEndpoint {
            name: listener.name.clone(),
            host: listener.host.clone(),
            port: listener.port,
            security_protocol: listener.security_protocol,
            ..Default::default()
        });
        let features = request.features.iter().map(|feature| ControllerFeature {
            name: feature.name.clone(),
            min_supported_version: feature.min_supported_version,
            max_supported_version: feature.max_supported_version,
            ..Default::default()
        });
        let record = RegisterControllerRecord {
            controller_id: request.controller_id,
            incarnation_id: request.incarnation_id,
            zk_migration_ready: false,
            end_points: endpoints.collect(),
            features: features.collect(),
            ..Default::default()
        };
        Outcome::atomic(vec![MetadataRecord::RegisterController(record).into()], Default::default())
    }

    /// UnregisterController: an administrator strikes out a controller that is gone (KIP-1312).
    pub fn unregister_controller(
        &mut self,
        request: &UnregisterControllerRequest,
    ) -> Outcome<UnregisterControllerResponse> {
        let refuse = |code: ErrorCode, message: String| {
            let error_message = Some(message);
            Outcome::answer(UnregisterControllerResponse {
                error_code: code.code(),
                error_message,
                ..Default::default()
            })
        };
        let id = NodeId(request.controller_id);
        if id == self.settings.node.node_id {
            let message = "Controller cannot unregister itself while it is active.";
            return refuse(ErrorCode::InvalidRequest, message.to_owned());
        }
        if !self.metadata_version().has_controller_unregistration() {
            let message = "The current MetadataVersion is too old to support controller unregistration.";
            return refuse(ErrorCode::UnsupportedVersion, message.to_owned());
        }
        if !self.image.cluster.controllers.contains_key(&id) {
            let message = format!("Controller ID {id} is not currently registered.");
            return refuse(ErrorCode::ControllerIdNotRegistered, message);
        }
        let record = UnregisterControllerRecord { controller_id: id.0, ..Default::default() };
        Outcome::atomic(vec![MetadataRecord::UnregisterController(record).into()], Default::default())
    }
}
