use super::in_time;
use crate::broker::Broker;
use crate::call::Call;
use crate::forwarding::decide;
use crate::quorum::{Decidable, words};
use ottla_controller::{Context, Controller, Outcome};
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
        return reply.send(&request.refuse(caller.version(), code));
    }
    decide(broker, &caller, request, move |response| reply.send(&response));
}

impl Decidable for AlterPartitionReassignmentsRequest {
    fn decide(&self, controller: &mut Controller, _: &Context) -> Outcome<AlterPartitionReassignmentsResponse> {
        controller.alter_partition_reassignments(self)
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> AlterPartitionReassignmentsResponse {
        let partition = |asked: &ReassignablePartition| ReassignablePartitionResponse {
            partition_index: asked.partition_index,
            error_code: code.code(),
            error_message: words(code),
            ..Default::default()
        };
        let responses = self.topics.iter().map(|topic| ReassignableTopicResponse {
            name: topic.name.clone(),
            partitions: topic.partitions.iter().map(partition).collect(),
            ..Default::default()
        });
        AlterPartitionReassignmentsResponse {
            error_code: code.code(),
            error_message: words(code),
            responses: responses.collect(),
            ..Default::default()
        }
    }
}
