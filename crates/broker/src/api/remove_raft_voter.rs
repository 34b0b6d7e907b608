use crate::broker::Broker;
use crate::call::Call;
use crate::forwarding::{Forwardable, Reply, decide};
use crate::quorum::MetadataQuorum;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{RemoveRaftVoterRequest, RemoveRaftVoterResponse};
use ottla_raft::{Request, Response};
use std::sync::Arc;

/// RemoveRaftVoter: the leader of the quorum strikes a voter out (KIP-853).
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, caller, reply)) = call.decode::<RemoveRaftVoterRequest>() else { return };
    decide(broker, &caller, request, move |response| reply.send(&response));
}

impl Forwardable for RemoveRaftVoterRequest {
    fn answer_here(&self, quorum: &MetadataQuorum, version: i16, reply: Reply<RemoveRaftVoterResponse>) {
        quorum.ask_machine(version, Request::RemoveRaftVoter(self.clone()), |response| {
            if let Response::RemoveRaftVoter(response) = response {
                reply(response);
            }
        });
    }

    fn refusal(&self, _: i16, code: ErrorCode) -> RemoveRaftVoterResponse {
        let error_message = Some(code.message().to_owned());
        RemoveRaftVoterResponse { error_code: code.code(), error_message, ..Default::default() }
    }
}
