use crate::broker::Broker;
use crate::call::Call;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{UnregisterBrokerRequest, UnregisterBrokerResponse};
use std::sync::Arc;

/// UnregisterBroker: forgets a broker that is gone for good.
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, caller, reply)) = call.decode::<UnregisterBrokerRequest>() else { return };
    broker.quorum.decide(
        caller.version(),
        |controller, _| controller.unregister_broker(&request),
        |result| reply.send(&result.unwrap_or_else(refuse)),
    );
}

fn refuse(code: ErrorCode) -> UnregisterBrokerResponse {
    UnregisterBrokerResponse {
        error_code: code.code(),
        error_message: Some(code.message().to_owned()),
        ..Default::default()
    }
}
