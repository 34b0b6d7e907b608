use crate::broker::Broker;
use crate::call::Call;
use crate::forwarding::decide;
use crate::quorum::{Decidable, words};
use crate::service::ListenerKind;
use ottla_config::LogLevel;
use ottla_controller::{
    ApiError, BrokerConfigOrigin, Context, Controller, LevelChange, Outcome, level_changes,
    preprocess_incremental_alter_configs,
};
use ottla_metadata::ConfigResourceType;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::incremental_alter_configs_request::AlterConfigsResource;
use ottla_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use ottla_protocol::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};
use std::sync::Arc;

/// The type of the resource that the loggers of a node are.
const BROKER_LOGGER: i8 = ConfigResourceType::BrokerLogger.code();

/// IncrementalAlterConfigs: sets, deletes, appends and subtracts single values (KIP-339). The broker checks what only a broker can know, the
/// controller decides about the rest; the levels of loggers are changed here, on either listener.
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, caller, reply)) = call.decode::<IncrementalAlterConfigsRequest>() else { return };
    if caller.listener == ListenerKind::Controller {
        let (request, ours) = change_loggers(broker, request);
        let send = move |mut response: IncrementalAlterConfigsResponse| {
            response.responses.splice(..0, ours);
            reply.send(&response);
        };
        return decide(broker, &caller, request, send);
    }
    let image = broker.metadata.image();
    let origin = BrokerConfigOrigin { node: broker.static_config(), image: &image, loggers: broker.loggers.names() };
    let validates_only = request.validate_only;
    let checked = preprocess_incremental_alter_configs(origin, request);
    if !validates_only {
        change_levels(broker, &checked.levels);
    }
    let forward = checked.forward.clone();
    if forward.resources.is_empty() {
        return reply.send(&checked.reassemble(IncrementalAlterConfigsResponse::default()));
    }
    decide(broker, &caller, forward, move |response| reply.send(&checked.reassemble(response)));
}

/// Takes the loggers out of a request to the controller, and changes them. What is left is the controller's.
fn change_loggers(
    broker: &Broker,
    mut request: IncrementalAlterConfigsRequest,
) -> (IncrementalAlterConfigsRequest, Vec<AlterConfigsResourceResponse>) {
    let is_logger = |resource: &AlterConfigsResource| resource.resource_type == BROKER_LOGGER;
    let (loggers, others): (Vec<_>, Vec<_>) = request.resources.into_iter().partition(is_logger);
    request.resources = others;
    let answers = loggers.into_iter().map(|resource| {
        let changes = if resource.resource_name == broker.node_id.to_string() {
            level_changes(&resource.configs, broker.loggers.names())
        } else {
            let message = format!("this is node {}, which does not know the loggers of another one", broker.node_id);
            Err(ApiError::new(ErrorCode::InvalidRequest, message))
        };
        let refusal = match changes {
            Ok(changes) if !request.validate_only => {
                change_levels(broker, &changes);
                None
            }
            changes => changes.err(),
        };
        AlterConfigsResourceResponse {
            error_code: refusal.as_ref().map_or(ErrorCode::None, |refusal| refusal.code).code(),
            error_message: refusal.and_then(|refusal| refusal.message),
            resource_type: resource.resource_type,
            resource_name: resource.resource_name,
            ..Default::default()
        }
    });
    let answers = answers.collect();
    (request, answers)
}

fn change_levels(broker: &Broker, changes: &[LevelChange]) {
    if changes.is_empty() {
        return;
    }
    for LevelChange { logger, level } in changes {
        tracing::info!(logger, level = level.map(LogLevel::name), "a logger's level is changed");
    }
    let changes: Vec<_> = changes.iter().map(|change| (change.logger.as_str(), change.level)).collect();
    broker.loggers.change(&changes);
}

impl Decidable for IncrementalAlterConfigsRequest {
    fn decide(&self, controller: &mut Controller, _: &Context) -> Outcome<IncrementalAlterConfigsResponse> {
        controller.incremental_alter_configs(self)
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> IncrementalAlterConfigsResponse {
        let responses = self.resources.iter().map(|resource| AlterConfigsResourceResponse {
            error_code: code.code(),
            error_message: words(code),
            resource_type: resource.resource_type,
            resource_name: resource.resource_name.clone(),
            ..Default::default()
        });
        IncrementalAlterConfigsResponse { responses: responses.collect(), ..Default::default() }
    }
}
