use crate::broker::Broker;
use crate::call::Call;
use ottla_metadata::{ConfigResourceType, MetadataImage};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::list_config_resources_response::ConfigResource;
use ottla_protocol::messages::{ListConfigResourcesRequest, ListConfigResourcesResponse};
use std::collections::BTreeSet;
use std::sync::Arc;

/// ListConfigResources: the names of what has, or can have, a configuration (KIP-1142). Version 0 asks for client metrics
/// subscriptions only (KIP-714).
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, caller, reply)) = call.decode::<ListConfigResourcesRequest>() else { return };
    let Some(kinds) = kinds(caller.version(), &request.resource_types) else {
        let error_code = ErrorCode::UnsupportedVersion.code();
        return reply.send(&ListConfigResourcesResponse { error_code, ..Default::default() });
    };
    let image = broker.metadata.image();
    let version = caller.version();
    let of_kind = |kind: ConfigResourceType| {
        let resource = move |name| ConfigResource {
            resource_name: name,
            // Version 0 has no other kind and no field for it.
            resource_type: if version == 0 { ConfigResource::default().resource_type } else { kind.code() },
            ..Default::default()
        };
        names(&image, kind).into_iter().map(resource)
    };
    let config_resources = kinds.into_iter().flat_map(of_kind).collect();
    reply.send(&ListConfigResourcesResponse { config_resources, ..Default::default() });
}

/// The kinds that are asked for; `None` when one of them is none.
fn kinds(version: i16, asked: &[i8]) -> Option<BTreeSet<ConfigResourceType>> {
    if version == 0 {
        return Some([ConfigResourceType::ClientMetrics].into());
    }
    if asked.is_empty() {
        use ConfigResourceType::{Broker, BrokerLogger, ClientMetrics, Group, Topic};
        return Some([Topic, Broker, BrokerLogger, ClientMetrics, Group].into());
    }
    asked.iter().map(|code| ConfigResourceType::from_code(*code)).collect()
}

fn names(image: &MetadataImage, kind: ConfigResourceType) -> Vec<String> {
    match kind {
        ConfigResourceType::Topic => image.topics.iter_by_name().map(|topic| topic.name.to_string()).collect(),
        ConfigResourceType::Broker | ConfigResourceType::BrokerLogger => {
            image.cluster.brokers.keys().map(ToString::to_string).collect()
        }
        ConfigResourceType::ClientMetrics | ConfigResourceType::Group => {
            let resources = image.configs.iter().map(|(resource, _)| resource).filter(|resource| resource.kind == kind);
            resources.map(|resource| resource.name.to_string()).collect()
        }
    }
}
