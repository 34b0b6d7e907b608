use super::alter::{Changes, MIN_IN_SYNC_REPLICAS};
use crate::topics::check_name;
use crate::{ApiError, Controller};
use ottla_config::{ClientMatch, NodeConfig, Scope, TopicConfig, Value, keys};
use ottla_metadata::{ConfigResource, ConfigResourceType, MetadataVersionExt};
use ottla_protocol::ErrorCode;
use ottla_types::NodeId;
use std::collections::BTreeMap;

const CORDONED_LOG_DIRS: &str = "cordoned.log.dirs";
/// The most UTF-16 units of a value. Kafka's figure.
const VALUE_LENGTH_MAX: usize = 32_767;

impl Controller {
    /// Rules about single changes, whatever else the resource has.
    pub(super) fn check_changes(&self, resource: &ConfigResource, changes: &Changes) -> Result<(), ApiError> {
        let invalid = |message: &str| Err(ApiError::new(ErrorCode::InvalidConfig, message));
        let is_broker = resource.kind == ConfigResourceType::Broker;
        let keeps_elr = self.image.features.has_eligible_leader_replicas();
        for (name, value) in changes {
            // All brokers and the controller must agree on the minimum while eligible leaders depend on it.
            if is_broker && keeps_elr && name == MIN_IN_SYNC_REPLICAS {
                if !resource.name.is_empty() {
                    return invalid("Broker-level min.insync.replicas cannot be altered while ELR is enabled.");
                }
                if value.is_none() {
                    return invalid("Cluster-level min.insync.replicas cannot be removed while ELR is enabled.");
                }
            }
            if is_broker && name == CORDONED_LOG_DIRS && !self.metadata_version().has_cordoned_log_dirs() {
                return invalid(
                    "The cordoned.log.dirs configuration value cannot be set because it requires metadata.version >= \
                     4.3-IV0",
                );
            }
            if value.as_ref().is_some_and(|value| value.encode_utf16().count() > VALUE_LENGTH_MAX) {
                return invalid(
                    "The configuration value cannot be added because it exceeds the maximum value size of 32767 bytes.",
                );
            }
        }
        Ok(())
    }

    /// Whether a resource may have all of this configuration.
    pub(super) fn check_resource(
        &self,
        resource: &ConfigResource,
        configs: &BTreeMap<String, String>,
    ) -> Result<(), ApiError> {
        match resource.kind {
            ConfigResourceType::Topic => self.check_topic(&resource.name, configs),
            ConfigResourceType::Broker => check_broker_name(&resource.name),
            ConfigResourceType::Group => check_group(&self.node, &resource.name, configs),
            ConfigResourceType::ClientMetrics => check_client_metrics(&resource.name, configs),
            ConfigResourceType::BrokerLogger => {
                Err(invalid_request(format!("Unknown resource type {}", resource.kind)))
            }
        }
    }

    fn check_topic(&self, name: &str, configs: &BTreeMap<String, String>) -> Result<(), ApiError> {
        if name.is_empty() {
            return Err(invalid_request("Default topic resources are not allowed."));
        }
        check_name(name).map_err(|message| ApiError::new(ErrorCode::InvalidTopicException, message))?;
        let resolved = TopicConfig::resolve(&self.node.topic_defaults, configs);
        resolved.map(drop).map_err(|error| ApiError::new(ErrorCode::InvalidConfig, error.to_string()))
    }

    pub(super) fn check_existence(&self, resource: &ConfigResource) -> Result<(), ApiError> {
        match resource.kind {
            ConfigResourceType::Topic if self.image.topics.topic_id(&resource.name).is_none() => {
                let message = format!("The topic '{}' does not exist.", resource.name);
                Err(ApiError::new(ErrorCode::UnknownTopicOrPartition, message))
            }
            ConfigResourceType::Broker if !resource.name.is_empty() => {
                let id = resource.name.parse::<i32>().map(NodeId);
                let id = id.map_err(|_| invalid_request(format!("Invalid broker name {}", resource.name)))?;
                let cluster = &self.image.cluster;
                if cluster.brokers.contains_key(&id) || cluster.controllers.contains_key(&id) {
                    return Ok(());
                }
                Err(ApiError::new(ErrorCode::BrokerIdNotRegistered, format!("No node with id {id} found.")))
            }
            _ => Ok(()),
        }
    }
}

fn invalid_request(message: impl Into<String>) -> ApiError {
    ApiError::new(ErrorCode::InvalidRequest, message)
}

fn invalid_config(message: impl Into<String>) -> ApiError {
    ApiError::new(ErrorCode::InvalidConfig, message)
}

fn check_broker_name(name: &str) -> Result<(), ApiError> {
    if name.is_empty() {
        return Ok(());
    }
    match name.parse::<i32>() {
        Ok(0..) => Ok(()),
        Ok(_) => Err(invalid_request("Invalid negative broker ID.")),
        Err(_) => Err(invalid_request("Unable to parse broker name as a base 10 number.")),
    }
}

fn check_group(node: &NodeConfig, name: &str, configs: &BTreeMap<String, String>) -> Result<(), ApiError> {
    if name.is_empty() {
        return Err(invalid_request("Default group resources are not allowed."));
    }
    if let Some(unknown) = configs.keys().find(|name| keys::find(Scope::Group, name).is_none()) {
        return Err(invalid_config(format!("Unknown group config name: {unknown}")));
    }
    for (name, text) in configs {
        let Some(key) = keys::find(Scope::Group, name) else { continue };
        let value = key.parse(text).map_err(|error| invalid_config(error.to_string()))?;
        let Value::Integer(value) = value else { continue };
        check_group_range(node, name, value)?;
    }
    Ok(())
}

/// A broker limits what its groups may set: `consumer.session.timeout.ms` lies between
/// `group.consumer.min.session.timeout.ms` and `group.consumer.max.session.timeout.ms`, and so on.
fn check_group_range(node: &NodeConfig, name: &str, value: i64) -> Result<(), ApiError> {
    let Some((kind, rest)) = name.split_once('.') else { return Ok(()) };
    let limit = |bound: &str| broker_integer(node, &format!("group.{kind}.{bound}.{rest}"));
    let message = match (limit("min"), limit("max")) {
        (Some(min), Some(max)) if !(min..=max).contains(&value) => {
            format!("{name} must be in the range {min} to {max} inclusive.")
        }
        (None, Some(max)) if value > max => format!("{name} must be less than or equal to {max}."),
        (Some(min), None) if value < min => format!("{name} must be greater than or equal to {min}."),
        _ => return Ok(()),
    };
    Err(invalid_config(message))
}

fn broker_integer(node: &NodeConfig, name: &str) -> Option<i64> {
    let entry = ottla_config::describe::broker(node, Some(&[name])).pop()?;
    entry.value?.parse().ok()
}

const METRICS_INTERVALS_MS: std::ops::RangeInclusive<i64> = 100..=3_600_000;

fn check_client_metrics(name: &str, configs: &BTreeMap<String, String>) -> Result<(), ApiError> {
    if name.is_empty() {
        return Err(invalid_request("Subscription name can't be empty"));
    }
    if let Some(name) = configs.keys().find(|name| keys::find(Scope::ClientMetrics, name).is_none()) {
        return Err(invalid_request(format!("Unknown client metrics configuration: {name}")));
    }
    for (name, text) in configs {
        let Some(key) = keys::find(Scope::ClientMetrics, name) else { continue };
        let value = key.parse(text).map_err(|error| invalid_config(error.to_string()))?;
        match (key.name, value) {
            ("interval.ms", Value::Integer(ms)) if !METRICS_INTERVALS_MS.contains(&ms) => {
                return Err(invalid_request(format!(
                    "Invalid value {ms} for interval.ms, interval must be between 100 and 3600000 (1 hour)"
                )));
            }
            ("match", Value::List(patterns)) => {
                ClientMatch::parse(&patterns)
                    .map_err(|pattern| invalid_config(format!("Illegal client matching pattern: {pattern}")))?;
            }
            _ => {}
        }
    }
    Ok(())
}
