use crate::broker::Broker;
use crate::call::Call;
use ottla_groups::{Request, Response};
use ottla_protocol::messages::SyncGroupRequest;
use std::sync::Arc;

/// SyncGroup: a member asks for its assignment; answered when the leader has brought it.
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, caller, reply)) = call.decode::<SyncGroupRequest>() else { return };
    let group_id = request.group_id.clone();
    let reply_to = Box::new(move |response| match response {
        Response::SyncGroup(response) => reply.send(&response),
        _ => reply.close("a group answered another question"),
    });
    broker.groups.submit(&caller, &group_id, Request::SyncGroup(request), reply_to);
}
