use crate::authorized_operations::GROUP_OPERATIONS;
use crate::broker::Broker;
use crate::call::Call;
use crate::groups::Gather;
use ottla_groups::{Request, Response};
use ottla_protocol::messages::{DescribeGroupsRequest, DescribeGroupsResponse};
use std::sync::Arc;

/// DescribeGroups: classic groups with their members.
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, caller, reply)) = call.decode::<DescribeGroupsRequest>() else { return };
    if request.groups.is_empty() {
        return reply.send(&DescribeGroupsResponse::default());
    }
    let asks_operations = request.include_authorized_operations;
    let finish = move |answers: Vec<Response>| reply.send(&merge(answers, asks_operations));
    let gather = Arc::new(Gather::new(request.groups.len(), Box::new(finish)));
    for (index, group_id) in request.groups.iter().enumerate() {
        // Not the other fields of the request cloned: its names would be cloned with them, for each of its names.
        let one = DescribeGroupsRequest {
            groups: vec![group_id.clone()],
            include_authorized_operations: request.include_authorized_operations,
            ..Default::default()
        };
        let gather = gather.clone();
        let reply_to = Box::new(move |response| gather.put(index, response));
        broker.groups.submit(&caller, group_id, Request::DescribeGroups(one), reply_to);
    }
}

fn merge(answers: Vec<Response>, asks_operations: bool) -> DescribeGroupsResponse {
    let mut merged = DescribeGroupsResponse::default();
    for answer in answers {
        let Response::DescribeGroups(answer) = answer else { continue };
        merged.groups.extend(answer.groups);
    }
    for group in merged.groups.iter_mut().filter(|group| asks_operations && group.error_code == 0) {
        group.authorized_operations = GROUP_OPERATIONS;
    }
    merged
}
