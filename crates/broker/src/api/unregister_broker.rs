use crate::broker::Broker;
use crate::call::Call;
use crate::forwarding::decide;
use crate::quorum::Decidable;
use ottla_controller::{Context, Controller, Outcome};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{UnregisterBrokerRequest, UnregisterBrokerResponse};
use std::sync::Arc;

/// UnregisterBroker: forgets a broker that is gone for good.
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, caller, reply)) = call.decode::<UnregisterBrokerRequest>() else { return };
    decide(broker, &caller, request, move |response| reply.send(&response));
}

impl Decidable for UnregisterBrokerRequest {
    fn decide(&self, controller: &mut Controller, _: &Context) -> Outcome<UnregisterBrokerResponse> {
        controller.unregister_broker(self)
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> UnregisterBrokerResponse {
        UnregisterBrokerResponse {
            error_code: code.code(),
            error_message: Some(code.message().to_owned()),
            ..Default::default()
        }
    }
}
