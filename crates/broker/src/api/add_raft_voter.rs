use crate::broker::Broker;
use crate::call::Call;
use crate::forwarding::{Forwardable, Reply, decide};
use crate::quorum::MetadataQuorum;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{AddRaftVoterRequest, AddRaftVoterResponse};
use ottla_raft::{Request, Response};
use std::sync::Arc;

/// AddRaftVoter: the leader of the quorum takes a controller among its voters (KIP-853).
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, caller, reply)) = call.decode::<AddRaftVoterRequest>() else { return };
    decide(broker, &caller, request, move |response| reply.send(&response));
}

impl Forwardable for AddRaftVoterRequest {
    fn answer_here(&self, quorum: &MetadataQuorum, version: i16, reply: Reply<AddRaftVoterResponse>) {
        quorum.ask_machine(version, Request::AddRaftVoter(self.clone()), |response| {
            if let Response::AddRaftVoter(response) = response {
                reply(response);
            }
        });
    }

    fn refusal(&self, _: i16, code: ErrorCode) -> AddRaftVoterResponse {
        let error_message = Some(code.message().to_owned());
        AddRaftVoterResponse { error_code: code.code(), error_message, ..Default::default() }
    }
}
