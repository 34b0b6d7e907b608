use crate::authorized_operations::{CLUSTER_OPERATIONS, NOT_ASKED};
use crate::broker::Broker;
use crate::call::Call;
use crate::service::ListenerKind;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use ottla_protocol::messages::{DescribeClusterRequest, DescribeClusterResponse};
use ottla_types::NodeId;
use std::sync::Arc;

const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

/// DescribeCluster: the brokers, or on a controller listener the controllers (KIP-919).
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, caller, reply)) = call.decode::<DescribeClusterRequest>() else { return };
    let wanted = match caller.listener {
        ListenerKind::Broker => BROKERS,
        ListenerKind::Controller => CONTROLLERS,
    };
    // Version 0 has no endpoint type and means the brokers. An answer can't say there that it is of another type.
    if request.endpoint_type != wanted && caller.version() == 0 {
        return reply.send(&DescribeClusterResponse {
            error_code: ErrorCode::InvalidRequest.code(),
            error_message: Some("this listener answers for controllers, of which version 0 knows nothing".to_owned()),
            ..Default::default()
        });
    }
    if request.endpoint_type != wanted {
        let code = match request.endpoint_type {
            BROKERS | CONTROLLERS => ErrorCode::MismatchedEndpointType,
            _ => ErrorCode::UnsupportedEndpointType,
        };
        let message = format!("this listener answers for endpoint type {wanted}, not {}", request.endpoint_type);
        return reply.send(&DescribeClusterResponse {
            error_code: code.code(),
            error_message: Some(message),
            ..Default::default()
        });
    }
    let image = broker.metadata.image();
    let listener = &caller.connection.listener;
    let brokers = match caller.listener {
        ListenerKind::Broker => brokers(&image, listener, request.include_fenced_brokers),
        ListenerKind::Controller => controllers(&image, listener),
    };
    let controller_id = match caller.listener {
        ListenerKind::Broker => brokers.iter().find(|broker| !broker.is_fenced).map_or(-1, |broker| broker.broker_id),
        ListenerKind::Controller => broker.quorum.leader().unwrap_or(NodeId::NONE).value(),
    };
    let asked = request.include_cluster_authorized_operations;
    reply.send(&DescribeClusterResponse {
        endpoint_type: wanted,
        cluster_id: broker.cluster_id.clone(),
        controller_id,
        brokers,
        cluster_authorized_operations: if asked { CLUSTER_OPERATIONS } else { NOT_ASKED },
        ..Default::default()
    });
}

fn brokers(image: &ottla_metadata::MetadataImage, listener: &str, with_fenced: bool) -> Vec<DescribeClusterBroker> {
    let wanted = image.cluster.brokers.values().filter(|broker| with_fenced || !broker.fenced);
    wanted
        .filter_map(|broker| {
            let endpoint = broker.endpoint(listener)?;
            Some(DescribeClusterBroker {
                broker_id: broker.id.value(),
                host: endpoint.host.clone(),
                port: i32::from(endpoint.port),
                rack: broker.rack.clone(),
                is_fenced: broker.fenced,
                ..Default::default()
            })
        })
        .collect()
}

fn controllers(image: &ottla_metadata::MetadataImage, listener: &str) -> Vec<DescribeClusterBroker> {
    image
        .cluster
        .controllers
        .values()
        .filter_map(|controller| {
            let endpoint = controller.endpoints.iter().find(|endpoint| endpoint.name == listener)?;
            Some(DescribeClusterBroker {
                broker_id: controller.id.value(),
                host: endpoint.host.clone(),
                port: i32::from(endpoint.port),
                ..Default::default()
            })
        })
        .collect()
}
