use crate::broker::Broker;
use crate::call::Call;
use crate::groups::Gather;
use ottla_groups::{Request, Response};
use ottla_protocol::messages::{ListGroupsRequest, ListGroupsResponse};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// ListGroups: the groups of all partitions that this broker coordinates.
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, caller, reply)) = call.decode::<ListGroupsRequest>() else { return };
    let shards = broker.groups.shards();
    if shards == 0 {
        return reply.send(&ListGroupsResponse::default());
    }
    let gather = Arc::new(Gather::new(shards, Box::new(move |answers| reply.send(&merge(answers)))));
    let next = AtomicUsize::new(0);
    broker.groups.submit_to_all(&caller, &Request::ListGroups(request), |_| {
        let (gather, index) = (gather.clone(), next.fetch_add(1, Ordering::Relaxed));
        Box::new(move |response| gather.put(index, response))
    });
}

fn merge(answers: Vec<Response>) -> ListGroupsResponse {
    let mut merged = ListGroupsResponse::default();
    for answer in answers {
        let Response::ListGroups(answer) = answer else { continue };
        // A partition that is still loading makes the list incomplete: the client must ask again.
        if answer.error_code != 0 {
            return ListGroupsResponse { error_code: answer.error_code, ..Default::default() };
        }
        merged.groups.extend(answer.groups);
    }
    merged
}
