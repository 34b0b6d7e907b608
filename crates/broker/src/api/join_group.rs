use crate::broker::Broker;
use crate::call::Call;
use ottla_groups::{Request, Response};
use ottla_protocol::messages::JoinGroupRequest;
use std::sync::Arc;

/// JoinGroup: a member joins or rejoins a classic group; answered when the group is complete.
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, caller, reply)) = call.decode::<JoinGroupRequest>() else { return };
    let group_id = request.group_id.clone();
    let reply_to = Box::new(move |response| match response {
        Response::JoinGroup(response) => reply.send(&response),
        _ => reply.close("a group answered another question"),
    });
    broker.groups.submit(&caller, &group_id, Request::JoinGroup(request), reply_to);
}
