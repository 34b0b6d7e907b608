use crate::broker::Broker;
use crate::call::Call;
use ottla_groups::{Request, Response};
use ottla_protocol::messages::OffsetDeleteRequest;
use std::sync::Arc;

/// OffsetDelete: committed offsets of a group are deleted.
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, caller, reply)) = call.decode::<OffsetDeleteRequest>() else { return };
    let group_id = request.group_id.clone();
    let reply_to = Box::new(move |response| match response {
        Response::OffsetDelete(response) => reply.send(&response),
        _ => reply.close("a group answered another question"),
    });
    broker.groups.submit(&caller, &group_id, Request::OffsetDelete(request), reply_to);
}
