use super::consumer_group_heartbeat::serves_consumer_protocol;
use crate::authorized_operations::GROUP_OPERATIONS;
use crate::broker::Broker;
use crate::call::Call;
use crate::groups::Gather;
use ottla_groups::{Request, Response};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::consumer_group_describe_response::DescribedGroup;
use ottla_protocol::messages::{ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse};
use std::sync::Arc;

/// ConsumerGroupDescribe: consumer groups with their members and assignments (KIP-848).
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, caller, reply)) = call.decode::<ConsumerGroupDescribeRequest>() else { return };
    if request.group_ids.is_empty() {
        return reply.send(&ConsumerGroupDescribeResponse::default());
    }
    if !serves_consumer_protocol(broker) {
        let refused = |group_id| DescribedGroup {
            group_id,
            error_code: ErrorCode::UnsupportedVersion.code(),
            ..Default::default()
        };
        let groups = request.group_ids.into_iter().map(refused).collect();
        return reply.send(&ConsumerGroupDescribeResponse { groups, ..Default::default() });
    }
    let asks_operations = request.include_authorized_operations;
    let finish = move |answers: Vec<ConsumerGroupDescribeResponse>| {
        let mut groups: Vec<DescribedGroup> = answers.into_iter().flat_map(|answer| answer.groups).collect();
        for group in groups.iter_mut().filter(|group| asks_operations && group.error_code == 0) {
            group.authorized_operations = GROUP_OPERATIONS;
        }
        reply.send(&ConsumerGroupDescribeResponse { groups, ..Default::default() });
    };
    let gather = Arc::new(Gather::new(request.group_ids.len(), Box::new(finish)));
    for (index, group_id) in request.group_ids.iter().enumerate() {
        if group_id.is_empty() {
            let error_code = ErrorCode::InvalidGroupId.code();
            let groups = vec![DescribedGroup { error_code, ..Default::default() }];
            gather.put(index, ConsumerGroupDescribeResponse { groups, ..Default::default() });
            continue;
        }
        let one = ConsumerGroupDescribeRequest {
            group_ids: vec![group_id.clone()],
            include_authorized_operations: request.include_authorized_operations,
            ..Default::default()
        };
        let gather = gather.clone();
        let reply_to = Box::new(move |response| {
            let answer = match response {
                Response::ConsumerGroupDescribe(answer) => answer,
                _ => ConsumerGroupDescribeResponse::default(),
            };
            gather.put(index, answer);
        });
        broker.groups.submit(&caller, group_id, Request::ConsumerGroupDescribe(one), reply_to);
    }
}
