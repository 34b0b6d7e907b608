use crate::broker::Broker;
use crate::call::Call;
use ottla_controller::Outcome;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse};
use std::sync::Arc;

/// ListPartitionReassignments: which partitions are on their way to other brokers (KIP-455).
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, caller, reply)) = call.decode::<ListPartitionReassignmentsRequest>() else { return };
    broker.quorum.decide(
        caller.version(),
        |controller, _| Outcome::answer(controller.list_partition_reassignments(&request)),
        |result| reply.send(&result.unwrap_or_else(refuse)),
    );
}

fn refuse(code: ErrorCode) -> ListPartitionReassignmentsResponse {
    ListPartitionReassignmentsResponse {
        error_code: code.code(),
        error_message: Some(code.message().to_owned()),
        ..Default::default()
    }
}
