use crate::broker::Broker;
use crate::call::Call;
use ottla_groups::{Request, Response};
use ottla_protocol::messages::HeartbeatRequest;
use std::sync::Arc;

/// Heartbeat: a member of a classic group says that it lives.
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, caller, reply)) = call.decode::<HeartbeatRequest>() else { return };
    let group_id = request.group_id.clone();
    let reply_to = Box::new(move |response| match response {
        Response::Heartbeat(response) => reply.send(&response),
        _ => reply.close("a group answered another question"),
    });
    broker.groups.submit(&caller, &group_id, Request::Heartbeat(request), reply_to);
}
