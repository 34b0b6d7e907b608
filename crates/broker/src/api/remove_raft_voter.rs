use crate::broker::Broker;
use crate::call::Call;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{RemoveRaftVoterRequest, RemoveRaftVoterResponse};
use std::sync::Arc;

pub(super) const STATIC_VOTERS: &str =
    "The voters of this quorum are those of controller.quorum.voters; they can't be changed by a request.";

/// RemoveRaftVoter: refused, the voters of the quorum are fixed by `controller.quorum.voters` (KIP-853).
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, _, reply)) = call.decode::<RemoveRaftVoterRequest>() else { return };
    let (code, message) = if is_of_this_cluster(broker, request.cluster_id.as_deref()) {
        (ErrorCode::UnsupportedVersion, STATIC_VOTERS)
    } else {
        (ErrorCode::InconsistentClusterId, ErrorCode::InconsistentClusterId.message())
    };
    reply.send(&RemoveRaftVoterResponse {
        error_code: code.code(),
        error_message: Some(message.to_owned()),
        ..Default::default()
    });
}

/// Whether a request is meant for this cluster: it names it, or none.
pub(super) fn is_of_this_cluster(broker: &Broker, cluster_id: Option<&str>) -> bool {
    cluster_id.is_none_or(|cluster_id| cluster_id == broker.cluster_id)
}
