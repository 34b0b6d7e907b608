//! What brokers and controllers ask the active controller on their own account.

use super::{Decidable, words};
use ottla_controller::{Context, Controller, Outcome};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{
    AllocateProducerIdsRequest, AllocateProducerIdsResponse, AlterPartitionRequest, AlterPartitionResponse,
    AssignReplicasToDirsRequest, AssignReplicasToDirsResponse, BrokerHeartbeatRequest, BrokerHeartbeatResponse,
    BrokerRegistrationRequest, BrokerRegistrationResponse, ControllerRegistrationRequest,
    ControllerRegistrationResponse,
};

/// Each with the decision that the controller has for it, and with one error code for the whole.
macro_rules! decided {
    ($($request:ty, $response:ident, $decide:expr;)*) => {
        $(impl Decidable for $request {
            fn decide(&self, controller: &mut Controller, context: &Context) -> Outcome<$response> {
                $decide(controller, context, self)
            }

            fn refuse(&self, _: i16, code: ErrorCode) -> $response {
                $response { error_code: code.code(), ..Default::default() }
            }
        })*
    };
}

decided! {
    BrokerRegistrationRequest, BrokerRegistrationResponse, Controller::register_broker;
    BrokerHeartbeatRequest, BrokerHeartbeatResponse, Controller::heartbeat;
    AlterPartitionRequest, AlterPartitionResponse, Controller::alter_partition;
    AllocateProducerIdsRequest, AllocateProducerIdsResponse,
        |controller: &mut Controller, _: &Context, request| controller.allocate_producer_ids(request);
    AssignReplicasToDirsRequest, AssignReplicasToDirsResponse,
        |controller: &mut Controller, _: &Context, request| controller.assign_replicas_to_dirs(request);
}

impl Decidable for ControllerRegistrationRequest {
    fn decide(&self, controller: &mut Controller, _: &Context) -> Outcome<ControllerRegistrationResponse> {
        controller.register_controller(self)
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> ControllerRegistrationResponse {
        ControllerRegistrationResponse { error_code: code.code(), error_message: words(code), ..Default::default() }
    }
}
