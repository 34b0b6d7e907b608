use crate::broker::Broker;
use crate::call::Call;
use ottla_groups::{Request, Response};
use ottla_metadata::Feature;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use std::sync::Arc;

/// Whether members may use the consumer protocol: the node's configuration has it, and the cluster's `group.version` is at the
/// level that its records came with.
pub(super) fn serves_consumer_protocol(broker: &Broker) -> bool {
    let is_configured =
        broker.config().groups.group_coordinator_rebalance_protocols.iter().any(|name| name == "consumer");
    is_configured && broker.metadata.image().features.level(Feature::GroupVersion) > 0
}

/// ConsumerGroupHeartbeat: a member of a consumer group joins, says what it wants and has, or leaves (KIP-848).
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, caller, reply)) = call.decode::<ConsumerGroupHeartbeatRequest>() else { return };
    if !serves_consumer_protocol(broker) {
        let error_code = ErrorCode::UnsupportedVersion.code();
        return reply.send(&ConsumerGroupHeartbeatResponse { error_code, ..Default::default() });
    }
    if let Some(topic) = request.subscribed_topic_names.iter().flatten().find(|name| name.is_empty()) {
        let response = ConsumerGroupHeartbeatResponse {
            error_code: ErrorCode::InvalidRequest.code(),
            error_message: Some(format!("The topic name `{topic}` is not valid.")),
            ..Default::default()
        };
        return reply.send(&response);
    }
    let group_id = request.group_id.clone();
    let reply_to = Box::new(move |response| match response {
        Response::ConsumerGroupHeartbeat(response) => reply.send(&response),
        _ => reply.close("a group answered another question"),
    });
    broker.groups.submit(&caller, &group_id, Request::ConsumerGroupHeartbeat(request), reply_to);
}
