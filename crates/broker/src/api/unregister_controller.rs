use crate::broker::Broker;
use crate::call::Call;
use crate::forwarding::decide;
use crate::quorum::Decidable;
use ottla_controller::{Context, Controller, Outcome};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{UnregisterControllerRequest, UnregisterControllerResponse};
use std::sync::Arc;

/// UnregisterController: forgets a controller that is gone for good (KIP-1312).
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, caller, reply)) = call.decode::<UnregisterControllerRequest>() else { return };
    decide(broker, &caller, request, move |response| reply.send(&response));
}

impl Decidable for UnregisterControllerRequest {
    fn decide(&self, controller: &mut Controller, _: &Context) -> Outcome<UnregisterControllerResponse> {
        controller.unregister_controller(self)
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> UnregisterControllerResponse {
        UnregisterControllerResponse {
            error_code: code.code(),
            error_message: Some(code.message().to_owned()),
            ..Default::default()
        }
    }
}
