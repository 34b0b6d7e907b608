use crate::broker::Broker;
use crate::call::Call;
use crate::forwarding::decide;
use crate::quorum::{Decidable, words};
use crate::service::ListenerKind;
use ottla_controller::{BrokerConfigOrigin, Context, Controller, Outcome, preprocess_alter_configs};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::alter_configs_response::AlterConfigsResourceResponse;
use ottla_protocol::messages::{AlterConfigsRequest, AlterConfigsResponse};
use std::sync::Arc;

/// AlterConfigs: replaces a resource's whole dynamic configuration. The broker checks what only a broker can know, the
/// controller decides about the rest.
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, caller, reply)) = call.decode::<AlterConfigsRequest>() else { return };
    if caller.listener == ListenerKind::Controller {
        let send = move |response: AlterConfigsResponse| reply.send(&response);
        return decide(broker, &caller, request, send);
    }
    let image = broker.metadata.image();
    let origin = BrokerConfigOrigin { node: broker.static_config(), image: &image, loggers: broker.loggers.names() };
    let checked = preprocess_alter_configs(origin, request);
    let forward = checked.forward.clone();
    if forward.resources.is_empty() {
        return reply.send(&checked.reassemble(AlterConfigsResponse::default()));
    }
    decide(broker, &caller, forward, move |response| reply.send(&checked.reassemble(response)));
}

impl Decidable for AlterConfigsRequest {
    fn decide(&self, controller: &mut Controller, _: &Context) -> Outcome<AlterConfigsResponse> {
        controller.alter_configs(self)
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> AlterConfigsResponse {
        let responses = self.resources.iter().map(|resource| AlterConfigsResourceResponse {
            error_code: code.code(),
            error_message: words(code),
            resource_type: resource.resource_type,
            resource_name: resource.resource_name.clone(),
            ..Default::default()
        });
        AlterConfigsResponse { responses: responses.collect(), ..Default::default() }
    }
}
