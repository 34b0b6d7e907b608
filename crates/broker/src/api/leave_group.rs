use crate::broker::Broker;
use crate::call::Call;
use ottla_groups::{Request, Response};
use ottla_protocol::messages::LeaveGroupRequest;
use std::sync::Arc;

/// LeaveGroup: members leave a classic group.
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, caller, reply)) = call.decode::<LeaveGroupRequest>() else { return };
    let group_id = request.group_id.clone();
    let reply_to = Box::new(move |response| match response {
        Response::LeaveGroup(response) => reply.send(&response),
        _ => reply.close("a group answered another question"),
    });
    broker.groups.submit(&caller, &group_id, Request::LeaveGroup(request), reply_to);
}
