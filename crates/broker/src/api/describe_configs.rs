use crate::broker::Broker;
use crate::call::Call;
use ottla_config::describe::{self, ConfigEntry, ConfigSource};
use ottla_log::names::is_topic_name;
use ottla_metadata::{ConfigResource, ConfigResourceType};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::describe_configs_request::DescribeConfigsResource;
use ottla_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use ottla_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};
use std::collections::BTreeMap;
use std::sync::Arc;

/// DescribeConfigs: values in force, where they come from, and what they mean.
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, caller, reply)) = call.decode::<DescribeConfigsRequest>() else { return };
    if let Some(unknown) = request.resources.iter().find(|r| ConfigResourceType::from_code(r.resource_type).is_none()) {
        return reply.send(&refuse_all(&request, unknown.resource_type));
    }
    let with_synonyms = request.include_synonyms;
    // Apache Kafka gives loggers their empty documentation also unasked.
    let with_documentation = |entry: &ConfigEntry| {
        caller.version() >= 3 && (request.include_documentation || entry.source == ConfigSource::DynamicBrokerLogger)
    };
    let results = request
        .resources
        .iter()
        .map(|resource| match entries(broker, resource) {
            Ok(entries) => DescribeConfigsResult {
                resource_type: resource.resource_type,
                resource_name: resource.resource_name.clone(),
                configs: entries
                    .into_iter()
                    .map(|entry| {
                        let with_documentation = with_documentation(&entry);
                        result(entry, with_synonyms, with_documentation)
                    })
                    .collect(),
                ..Default::default()
            },
            Err((code, message)) => DescribeConfigsResult {
                error_code: code.code(),
                error_message: Some(message),
                resource_type: resource.resource_type,
                resource_name: resource.resource_name.clone(),
                ..Default::default()
            },
        })
        .collect();
    reply.send(&DescribeConfigsResponse { results, ..Default::default() });
}

/// Apache Kafka's broker stumbles over a type of resource that is none, and answers for the whole request.
fn refuse_all(request: &DescribeConfigsRequest, unknown: i8) -> DescribeConfigsResponse {
    let results = request.resources.iter().map(|resource| DescribeConfigsResult {
        error_code: ErrorCode::InvalidRequest.code(),
        error_message: Some(format!("Unsupported resource type: {unknown}")),
        resource_type: resource.resource_type,
        resource_name: resource.resource_name.clone(),
        ..Default::default()
    });
    DescribeConfigsResponse { results: results.collect(), ..Default::default() }
}

type Refusal = (ErrorCode, String);

fn entries(broker: &Broker, resource: &DescribeConfigsResource) -> Result<Vec<ConfigEntry>, Refusal> {
    let names: Option<Vec<&str>> = resource
        .configuration_keys
        .as_ref()
        .filter(|keys| !keys.is_empty())
        .map(|keys| keys.iter().map(String::as_str).collect());
    let names = names.as_deref();
    let name = resource.resource_name.as_str();
    match ConfigResourceType::from_code(resource.resource_type) {
        Some(ConfigResourceType::Topic) => topic(broker, name, names),
        Some(ConfigResourceType::Broker) if name.is_empty() => Ok(describe::broker_defaults(&broker.config(), names)),
        Some(ConfigResourceType::Broker) => {
            if name != broker.node_id.to_string() {
                let message =
                    format!("Unexpected broker id, expected {} or empty string, but received {name}", broker.node_id);
                return Err((ErrorCode::InvalidRequest, message));
            }
            Ok(describe::broker(&broker.config(), names))
        }
        Some(ConfigResourceType::BrokerLogger) => loggers(broker, name, names),
        Some(kind) if name.is_empty() => {
            let message = format!("{kind:?} can't be described without a name");
            Err((ErrorCode::InvalidRequest, message))
        }
        Some(ConfigResourceType::Group) => {
            let own = overrides(broker, ConfigResourceType::Group, name);
            Ok(describe::group(&broker.config(), &own, names))
        }
        Some(ConfigResourceType::ClientMetrics) => {
            Ok(describe::client_metrics(&overrides(broker, ConfigResourceType::ClientMetrics, name), names))
        }
        None => Err((ErrorCode::InvalidRequest, format!("Unsupported resource type: {}", resource.resource_type))),
    }
}

fn topic(broker: &Broker, name: &str, names: Option<&[&str]>) -> Result<Vec<ConfigEntry>, Refusal> {
    if !is_topic_name(name) {
        return Err((ErrorCode::InvalidTopicException, format!("'{name}' can't be the name of a topic")));
    }
    let image = broker.metadata.image();
    if image.topics.topic_by_name(name).is_none() {
        // Apache Kafka leaves the code to speak for itself.
        return Err((ErrorCode::UnknownTopicOrPartition, String::new()));
    }
    Ok(describe::topic(&broker.config(), &overrides(broker, ConfigResourceType::Topic, name), names))
}

/// The dynamic configuration of a resource.
fn overrides(broker: &Broker, kind: ConfigResourceType, name: &str) -> BTreeMap<String, String> {
    let resource = ConfigResource::new(kind, name);
    broker.metadata.image().configs.get(&resource).map(|values| (**values).clone()).unwrap_or_default()
}

/// The loggers of this broker with the levels that count for them.
fn loggers(broker: &Broker, name: &str, names: Option<&[&str]>) -> Result<Vec<ConfigEntry>, Refusal> {
    if name == broker.node_id.to_string() {
        let all = broker.loggers.names().iter().filter(|logger| names.is_none_or(|names| names.contains(logger)));
        return Ok(all.map(|logger| describe::logger(logger, broker.loggers.level(logger))).collect());
    }
    let message = format!("this is broker {}, which does not know the loggers of '{name}'", broker.node_id);
    Err((ErrorCode::InvalidRequest, message))
}

fn result(entry: ConfigEntry, with_synonyms: bool, with_documentation: bool) -> DescribeConfigsResourceResult {
    let synonyms = entry.synonyms.into_iter().map(|synonym| DescribeConfigsSynonym {
        name: synonym.name,
        value: synonym.value,
        source: synonym.source.id(),
        ..Default::default()
    });
    DescribeConfigsResourceResult {
        name: entry.name,
        value: entry.value,
        read_only: entry.read_only,
        config_source: entry.source.id(),
        is_sensitive: entry.is_sensitive,
        synonyms: if with_synonyms { synonyms.collect() } else { Vec::new() },
        config_type: entry.config_type.map_or(0, |kind| kind.id()),
        documentation: with_documentation.then(|| entry.documentation.to_owned()),
        ..Default::default()
    }
}
