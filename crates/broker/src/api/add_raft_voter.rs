use super::remove_raft_voter::{STATIC_VOTERS, is_of_this_cluster};
use crate::broker::Broker;
use crate::call::Call;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{AddRaftVoterRequest, AddRaftVoterResponse};
use std::sync::Arc;

/// AddRaftVoter: refused, the voters of the quorum are fixed by `controller.quorum.voters` (KIP-853).
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, _, reply)) = call.decode::<AddRaftVoterRequest>() else { return };
    let (code, message) = if !is_of_this_cluster(broker, request.cluster_id.as_deref()) {
        (ErrorCode::InconsistentClusterId, ErrorCode::InconsistentClusterId.message())
    } else if request.listeners.is_empty() {
        (ErrorCode::InvalidRequest, "A voter needs a listener that the other voters can reach.")
    } else {
        (ErrorCode::UnsupportedVersion, STATIC_VOTERS)
    };
    reply.send(&AddRaftVoterResponse {
        error_code: code.code(),
        error_message: Some(message.to_owned()),
        ..Default::default()
    });
}
