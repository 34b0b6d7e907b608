//! What replicas of the metadata log ask each other: the machine of the quorum answers.

use crate::broker::Broker;
use crate::call::{Call, Reply};
use ottla_protocol::Request as Message;
use ottla_protocol::messages::{
    BeginQuorumEpochRequest, EndQuorumEpochRequest, FetchRequest, FetchSnapshotRequest, UpdateRaftVoterRequest,
    VoteRequest,
};
use ottla_raft::{Request, Response};
use std::sync::Arc;

/// A request of the quorum, and its place among the machine's requests and responses.
pub(super) trait QuorumRequest: Message {
    fn wrap(self) -> Request;
    fn unwrap(response: Response) -> Option<Self::Response>;
}

macro_rules! quorum_request {
    ($($request:ident, $name:ident, $response:pat => $value:expr;)*) => {
        $(impl QuorumRequest for $request {
            fn wrap(self) -> Request {
                Request::$name(self)
            }

            fn unwrap(response: Response) -> Option<Self::Response> {
                match response {
                    $response => Some($value),
                    _ => None,
                }
            }
        })*
    };
}

quorum_request! {
    VoteRequest, Vote, Response::Vote(response) => response;
    BeginQuorumEpochRequest, BeginQuorumEpoch, Response::BeginQuorumEpoch(response) => response;
    EndQuorumEpochRequest, EndQuorumEpoch, Response::EndQuorumEpoch(response) => response;
    FetchRequest, Fetch, Response::Fetch(response, _) => response;
    FetchSnapshotRequest, FetchSnapshot, Response::FetchSnapshot(response) => response;
    UpdateRaftVoterRequest, UpdateRaftVoter, Response::UpdateRaftVoter(response) => response;
}

/// Has the quorum's machine answer, at once or when there is something to say.
pub(super) fn handle<R: QuorumRequest>(broker: &Arc<Broker>, call: Call) {
    let Some((request, caller, reply)) = call.decode::<R>() else { return };
    let listener = caller.connection.listener.clone();
    let mut unanswered = Unanswered(Some(reply));
    broker.quorum.call(caller.version(), &listener, request.wrap(), move |response| {
        let Some(reply) = unanswered.0.take() else { return };
        match R::unwrap(response) {
            Some(response) => reply.send(&response),
            None => reply.close("the quorum has no answer to this request"),
        }
    });
}

/// A request that the quorum may drop, because it stops: its connection ends then, so that the replica asks another one.
struct Unanswered(Option<Reply>);

impl Drop for Unanswered {
    fn drop(&mut self) {
        if let Some(reply) = self.0.take() {
            reply.close("the quorum answers no more on this node");
        }
    }
}
