use crate::broker::Broker;
use crate::call::Call;
use crate::forwarding::{Forwardable, Reply, decide};
use crate::quorum::MetadataQuorum;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{DescribeQuorumRequest, DescribeQuorumResponse};
use ottla_types::DirectoryId;
use std::sync::Arc;

/// The first version that tells of directories and of the voters' addresses (KIP-853).
const DIRECTORIES: i16 = 2;

/// DescribeQuorum: who votes on the metadata log, who leads it, and how far each is (KIP-595). Only the leader knows.
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, caller, reply)) = call.decode::<DescribeQuorumRequest>() else { return };
    decide(broker, &caller, request, move |response| reply.send(&response));
}

impl Forwardable for DescribeQuorumRequest {
    fn answer_here(&self, quorum: &MetadataQuorum, version: i16, reply: Reply<DescribeQuorumResponse>) {
        let mut response = quorum.describe(self);
        if version < DIRECTORIES {
            without_directories(&mut response);
        }
        reply(response);
    }

    fn refusal(&self, _: i16, code: ErrorCode) -> DescribeQuorumResponse {
        DescribeQuorumResponse { error_code: code.code(), ..Default::default() }
    }
}

/// Versions of before can't be written with them.
fn without_directories(response: &mut DescribeQuorumResponse) {
    response.nodes.clear();
    for partition in response.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
        for replica in partition.current_voters.iter_mut().chain(&mut partition.observers) {
            replica.replica_directory_id = DirectoryId::ZERO;
        }
    }
}
