use crate::broker::Broker;
use crate::call::Call;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{UnregisterControllerRequest, UnregisterControllerResponse};
use std::sync::Arc;

/// UnregisterController: forgets a controller that is gone for good (KIP-1312).
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, caller, reply)) = call.decode::<UnregisterControllerRequest>() else { return };
    broker.quorum.decide(
        caller.version(),
        |controller, _| controller.unregister_controller(&request),
        |result| reply.send(&result.unwrap_or_else(refuse)),
    );
}

fn refuse(code: ErrorCode) -> UnregisterControllerResponse {
    UnregisterControllerResponse {
        error_code: code.code(),
        error_message: Some(code.message().to_owned()),
        ..Default::default()
    }
}
