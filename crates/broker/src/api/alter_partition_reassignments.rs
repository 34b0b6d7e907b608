use super::in_time;
use crate::broker::Broker;
use crate::call::Call;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::alter_partition_reassignments_request::ReassignablePartition;
use ottla_protocol::messages::alter_partition_reassignments_response::{
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use ottla_protocol::messages::{AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse};
use std::sync::Arc;

/// AlterPartitionReassignments: partitions are to lie on other brokers (KIP-455).
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, caller, reply)) = call.decode::<AlterPartitionReassignmentsRequest>() else { return };
    if let Err(code) = in_time(request.timeout_ms)
        && !request.topics.is_empty()
    {
        return reply.send(&refuse(&request, code));
    }
    broker.quorum.decide(
        caller.version(),
        |controller, _| controller.alter_partition_reassignments(&request),
        |result| reply.send(&result.unwrap_or_else(|code| refuse(&request, code))),
    );
}

fn refuse(request: &AlterPartitionReassignmentsRequest, code: ErrorCode) -> AlterPartitionReassignmentsResponse {
    let partition = |asked: &ReassignablePartition| ReassignablePartitionResponse {
        partition_index: asked.partition_index,
        error_code: code.code(),
        error_message: None,
        ..Default::default()
    };
    let responses = request.topics.iter().map(|topic| ReassignableTopicResponse {
        name: topic.name.clone(),
        partitions: topic.partitions.iter().map(partition).collect(),
        ..Default::default()
    });
    AlterPartitionReassignmentsResponse {
        error_code: code.code(),
        error_message: None,
        responses: responses.collect(),
        ..Default::default()
    }
}
