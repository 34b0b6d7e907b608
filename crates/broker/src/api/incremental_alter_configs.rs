use crate::broker::Broker;
use crate::call::Call;
use crate::service::ListenerKind;
use ottla_controller::{BrokerConfigOrigin, preprocess_incremental_alter_configs};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use ottla_protocol::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};
use std::sync::Arc;

/// IncrementalAlterConfigs: sets, deletes, appends and subtracts single values (KIP-339). The broker checks what only a broker can know, the
/// controller decides about the rest.
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, caller, reply)) = call.decode::<IncrementalAlterConfigsRequest>() else { return };
    if caller.listener == ListenerKind::Controller {
        let send = |response: IncrementalAlterConfigsResponse| reply.send(&response);
        return decide(broker, caller.version(), request, send);
    }
    let image = broker.metadata.image();
    let origin = BrokerConfigOrigin { node: broker.static_config(), image: &image };
    let checked = preprocess_incremental_alter_configs(origin, request);
    let forward = checked.forward.clone();
    if forward.resources.is_empty() {
        return reply.send(&checked.reassemble(IncrementalAlterConfigsResponse::default()));
    }
    decide(broker, caller.version(), forward, |response| reply.send(&checked.reassemble(response)));
}

fn decide(
    broker: &Broker,
    version: i16,
    request: IncrementalAlterConfigsRequest,
    then: impl FnOnce(IncrementalAlterConfigsResponse),
) {
    broker.quorum.decide(
        version,
        |controller, _| controller.incremental_alter_configs(&request),
        |result| then(result.unwrap_or_else(|code| refuse(&request, code))),
    );
}

fn refuse(request: &IncrementalAlterConfigsRequest, code: ErrorCode) -> IncrementalAlterConfigsResponse {
    let responses = request.resources.iter().map(|resource| AlterConfigsResourceResponse {
        error_code: code.code(),
        resource_type: resource.resource_type,
        resource_name: resource.resource_name.clone(),
        ..Default::default()
    });
    IncrementalAlterConfigsResponse { responses: responses.collect(), ..Default::default() }
}
