use crate::broker::Broker;
use crate::call::Call;
use crate::forwarding::decide;
use crate::quorum::Decidable;
use ottla_controller::{Context, Controller, Outcome};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse};
use std::sync::Arc;

/// ListPartitionReassignments: which partitions are on their way to other brokers (KIP-455).
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, caller, reply)) = call.decode::<ListPartitionReassignmentsRequest>() else { return };
    decide(broker, &caller, request, move |response| reply.send(&response));
}

impl Decidable for ListPartitionReassignmentsRequest {
    fn decide(&self, controller: &mut Controller, _: &Context) -> Outcome<ListPartitionReassignmentsResponse> {
        Outcome::answer(controller.list_partition_reassignments(self))
    }

    fn read(&self, controller: &mut Controller, _: &Context) -> Option<ListPartitionReassignmentsResponse> {
        Some(controller.list_partition_reassignments(self))
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> ListPartitionReassignmentsResponse {
        ListPartitionReassignmentsResponse {
            error_code: code.code(),
            error_message: Some(code.message().to_owned()),
            ..Default::default()
        }
    }
}
