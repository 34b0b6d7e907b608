use crate::broker::Broker;
use crate::call::Call;
use crate::forwarding::{Forwardable, Reply, decide};
use crate::quorum::MetadataQuorum;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{DescribeQuorumRequest, DescribeQuorumResponse};
use std::sync::Arc;

/// DescribeQuorum: who votes on the metadata log, who leads it, and how far each is (KIP-595). Only the leader knows.
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, caller, reply)) = call.decode::<DescribeQuorumRequest>() else { return };
    decide(broker, &caller, request, move |response| reply.send(&response));
}

impl Forwardable for DescribeQuorumRequest {
    fn answer_here(&self, quorum: &MetadataQuorum, _: i16, reply: Reply<DescribeQuorumResponse>) {
        reply(quorum.describe(self));
    }

    fn refusal(&self, _: i16, code: ErrorCode) -> DescribeQuorumResponse {
        DescribeQuorumResponse { error_code: code.code(), ..Default::default() }
    }
}
