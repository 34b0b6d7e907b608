use crate::broker::Broker;
use crate::call::Call;
use crate::groups::Gather;
use ottla_groups::{Request, Response};
use ottla_protocol::messages::{DeleteGroupsRequest, DeleteGroupsResponse};
use std::collections::BTreeSet;
use std::sync::Arc;

/// DeleteGroups: empty groups go with their offsets.
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, caller, reply)) = call.decode::<DeleteGroupsRequest>() else { return };
    let mut seen = BTreeSet::new();
    let groups: Vec<String> = request.groups_names.into_iter().filter(|name| seen.insert(name.clone())).collect();
    if groups.is_empty() {
        return reply.send(&DeleteGroupsResponse::default());
    }
    let gather = Arc::new(Gather::new(groups.len(), Box::new(move |answers| reply.send(&merge(answers)))));
    for (index, group_id) in groups.iter().enumerate() {
        let one = DeleteGroupsRequest { groups_names: vec![group_id.clone()], ..Default::default() };
        let gather = gather.clone();
        let reply_to = Box::new(move |response| gather.put(index, response));
        broker.groups.submit(&caller, group_id, Request::DeleteGroups(one), reply_to);
    }
}

fn merge(answers: Vec<Response>) -> DeleteGroupsResponse {
    let mut merged = DeleteGroupsResponse::default();
    for answer in answers {
        let Response::DeleteGroups(answer) = answer else { continue };
        merged.results.extend(answer.results);
    }
    merged
}
