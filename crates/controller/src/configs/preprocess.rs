//! What a broker checks before it hands a change of configurations to the controller: only a broker knows what it can
//! change at run time.

use super::alter::Operation;
use super::loggers::{LevelChange, level_changes};
use super::thread_pools;
use crate::ApiError;
use ottla_config::{ConfigType, DefaultValue, NodeConfig, Scope, UpdateMode, keys};
use ottla_metadata::{ConfigResource, ConfigResourceType, MetadataImage};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::incremental_alter_configs_request::AlterableConfig;
use ottla_protocol::messages::{
    AlterConfigsRequest, AlterConfigsResponse, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
    alter_configs_response, incremental_alter_configs_response,
};
use std::collections::{BTreeMap, BTreeSet};

/// The broker that a request came to.
#[derive(Clone, Copy, Debug)]
pub struct BrokerConfigOrigin<'a> {
    /// Its configuration without dynamic changes.
    pub node: &'a NodeConfig,
    /// Its image of the metadata.
    pub image: &'a MetadataImage,
    /// The names of its loggers.
    pub loggers: &'a [&'static str],
}

/// A request that a broker has looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Preprocessed<R> {
    /// What is left for the controller.
    pub forward: R,
    /// What is left for the broker itself: changes of its loggers' levels.
    pub levels: Vec<LevelChange>,
    /// Every resource of the request, with the broker's refusal if it has one.
    resources: Vec<(i8, String, Option<ApiError>)>,
}

/// The type of the resource that the loggers of a broker are.
const BROKER_LOGGER: i8 = ConfigResourceType::BrokerLogger.code();

type Results = BTreeMap<(i8, String), (i16, Option<String>)>;

impl<R> Preprocessed<R> {
    /// One result per resource: the broker's own, else the controller's.
    fn merge(self, controller: &Results) -> impl Iterator<Item = (i8, String, i16, Option<String>)> + '_ {
        self.resources.into_iter().map(|(kind, name, refusal)| {
            let (code, message) = match refusal {
                Some(error) => (error.code.code(), error.message),
                None => {
                    let key = (kind, name);
                    let result = controller.get(&key).cloned().or((kind == BROKER_LOGGER).then_some((0, None)));
                    let (code, message) = result.unwrap_or((ErrorCode::UnknownServerError.code(), None));
                    return (key.0, key.1, code, message);
                }
            };
            (kind, name, code, message)
        })
    }
}

impl Preprocessed<IncrementalAlterConfigsRequest> {
    /// The answer to the whole request, from the controller's answer to what was forwarded.
    pub fn reassemble(self, controller: IncrementalAlterConfigsResponse) -> IncrementalAlterConfigsResponse {
        let results = controller
            .responses
            .iter()
            .map(|r| ((r.resource_type, r.resource_name.clone()), (r.error_code, r.error_message.clone())));
        let results = results.collect();
        let responses = self.merge(&results).map(|(resource_type, resource_name, error_code, error_message)| {
            incremental_alter_configs_response::AlterConfigsResourceResponse {
                error_code,
                error_message,
                resource_type,
                resource_name,
                ..Default::default()
            }
        });
        IncrementalAlterConfigsResponse { responses: responses.collect(), ..controller }
    }
}

impl Preprocessed<AlterConfigsRequest> {
    /// The answer to the whole request, from the controller's answer to what was forwarded.
    pub fn reassemble(self, controller: AlterConfigsResponse) -> AlterConfigsResponse {
        let results = controller
            .responses
            .iter()
            .map(|r| ((r.resource_type, r.resource_name.clone()), (r.error_code, r.error_message.clone())));
        let results = results.collect();
        let responses = self.merge(&results).map(|(resource_type, resource_name, error_code, error_message)| {
            alter_configs_response::AlterConfigsResourceResponse {
                error_code,
                error_message,
                resource_type,
                resource_name,
                ..Default::default()
            }
        });
        AlterConfigsResponse { responses: responses.collect(), ..controller }
    }
}

/// Looks at an IncrementalAlterConfigs request that came to a broker.
pub fn preprocess_incremental_alter_configs(
    origin: BrokerConfigOrigin<'_>,
    request: IncrementalAlterConfigsRequest,
) -> Preprocessed<IncrementalAlterConfigsRequest> {
    let times = times_named(request.resources.iter().map(|r| (r.resource_type, r.resource_name.clone())));
    let mut resources = Vec::with_capacity(times.len());
    let mut forward = IncrementalAlterConfigsRequest { resources: Vec::new(), ..request };
    let mut levels = Vec::new();
    for resource in request.resources {
        let (kind, name) = (resource.resource_type, resource.resource_name.clone());
        let nulls = resource.configs.iter().filter(|config| config.config_operation != 1 && config.value.is_none());
        let nulls = nulls.map(|config| config.name.as_str()).collect();
        let keys = resource.configs.iter().map(|config| config.name.as_str());
        let result = check_form(&times, kind, &name, keys, nulls)
            .and_then(|()| check_kind(origin, kind, &name))
            .and_then(|resource_kind| match resource_kind {
                ConfigResourceType::Broker => check_broker(origin, &name, after(origin, &name, &resource.configs)?),
                ConfigResourceType::BrokerLogger => {
                    levels.extend(level_changes(&resource.configs, origin.loggers)?);
                    Ok(())
                }
                _ => Ok(()),
            });
        if result.is_ok() && kind != BROKER_LOGGER {
            forward.resources.push(resource);
        }
        resources.push((kind, name, result.err()));
    }
    // Apache Kafka's controller stumbles over an operation that is none, and refuses all that came to it.
    if let Err(error) = forward.resources.iter().try_for_each(|resource| check_operations(&resource.configs)) {
        forward.resources.clear();
        for (_, _, refusal) in &mut resources {
            refusal.get_or_insert_with(|| error.clone());
        }
    }
    Preprocessed { forward, levels, resources }
}

/// Looks at an AlterConfigs request that came to a broker.
pub fn preprocess_alter_configs(
    origin: BrokerConfigOrigin<'_>,
    request: AlterConfigsRequest,
) -> Preprocessed<AlterConfigsRequest> {
    let times = times_named(request.resources.iter().map(|r| (r.resource_type, r.resource_name.clone())));
    let mut resources = Vec::with_capacity(times.len());
    let mut forward = AlterConfigsRequest { resources: Vec::new(), ..request };
    for resource in request.resources {
        let (kind, name) = (resource.resource_type, resource.resource_name.clone());
        let nulls = resource.configs.iter().filter(|config| config.value.is_none());
        let nulls = nulls.map(|config| config.name.as_str()).collect();
        let keys = resource.configs.iter().map(|config| config.name.as_str());
        let result = check_form(&times, kind, &name, keys, nulls)
            .and_then(|()| check_kind(origin, kind, &name))
            .and_then(|resource_kind| match resource_kind {
                ConfigResourceType::Broker => {
                    let wanted = resource.configs.iter();
                    let wanted = wanted.filter_map(|config| Some((config.name.clone(), config.value.clone()?)));
                    check_broker(origin, &name, wanted.collect())
                }
                _ => Ok(()),
            });
        if result.is_ok() {
            forward.resources.push(resource);
        }
        resources.push((kind, name, result.err()));
    }
    Preprocessed { forward, levels: Vec::new(), resources }
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new(ErrorCode::InvalidRequest, message)
}

/// How often each resource stands in a request.
fn times_named(resources: impl Iterator<Item = (i8, String)>) -> BTreeMap<(i8, String), usize> {
    let mut times = BTreeMap::new();
    for resource in resources {
        *times.entry(resource).or_insert(0) += 1;
    }
    times
}

fn check_operations(configs: &[AlterableConfig]) -> Result<(), ApiError> {
    let known = configs.iter().all(|config| Operation::from_code(config.config_operation).is_ok());
    if known { Ok(()) } else { Err(ApiError::bare(ErrorCode::UnknownServerError)) }
}

fn check_form<'a>(
    times: &BTreeMap<(i8, String), usize>,
    kind: i8,
    name: &str,
    mut keys: impl Iterator<Item = &'a str>,
    nulls: Vec<&str>,
) -> Result<(), ApiError> {
    if times.get(&(kind, name.to_owned())).is_some_and(|times| *times > 1) {
        return Err(invalid("Each resource must appear at most once."));
    }
    let mut seen = BTreeSet::new();
    if !keys.all(|key| seen.insert(key)) {
        return Err(invalid("Error due to duplicate config keys"));
    }
    if !nulls.is_empty() {
        return Err(invalid(format!("Null value not supported for : {}", nulls.join(", "))));
    }
    Ok(())
}

fn check_kind(origin: BrokerConfigOrigin<'_>, kind: i8, name: &str) -> Result<ConfigResourceType, ApiError> {
    match ConfigResourceType::from_code(kind) {
        None => Err(invalid(format!("Unknown resource type {kind}"))),
        Some(ConfigResourceType::BrokerLogger) if name != origin.node.node_id.to_string() => {
            Err(invalid(format!("Unexpected broker id, expected {}, but received {name}", origin.node.node_id)))
        }
        Some(ConfigResourceType::Broker) if !name.is_empty() => {
            let node = origin.node.node_id;
            match name.parse::<i32>() {
                Err(_) => Err(invalid(format!("Node id must be an integer, but it is: {name}"))),
                Ok(id) if id != node.0 => {
                    Err(invalid(format!("Unexpected broker id, expected {node}, but received {name}")))
                }
                Ok(_) => Ok(ConfigResourceType::Broker),
            }
        }
        Some(kind) => Ok(kind),
    }
}

/// The broker's dynamic configuration as it would be after the operations.
fn after(
    origin: BrokerConfigOrigin<'_>,
    name: &str,
    configs: &[AlterableConfig],
) -> Result<BTreeMap<String, String>, ApiError> {
    let resource = ConfigResource::new(ConfigResourceType::Broker, name);
    let mut props = origin.image.configs.get(&resource).map(|configs| (**configs).clone()).unwrap_or_default();
    for config in configs {
        let operand = config.value.clone().unwrap_or_default();
        match Operation::from_code(config.config_operation)? {
            Operation::Set => {
                props.insert(config.name.clone(), operand);
            }
            Operation::Delete => {
                props.remove(&config.name);
            }
            operation => {
                let old = list_of(&config.name, operation, props.get(&config.name))?;
                let operands: Vec<&str> = operand.split(',').collect();
                let mut parts: Vec<&str> = old.split(',').filter(|part| !part.is_empty()).collect();
                if operation == Operation::Append {
                    for part in operands {
                        if !parts.contains(&part) {
                            parts.push(part);
                        }
                    }
                } else {
                    parts.retain(|part| !operands.contains(part));
                }
                let joined = parts.join(",");
                props.insert(config.name.clone(), joined);
            }
        }
    }
    Ok(props)
}

fn list_of(name: &str, operation: Operation, current: Option<&String>) -> Result<String, ApiError> {
    let key = keys::find(Scope::Broker, name);
    let Some(key) = key else {
        return Err(ApiError::new(ErrorCode::InvalidConfig, format!("Unknown config name: {name}")));
    };
    if key.config_type != ConfigType::List {
        let verb = if operation == Operation::Append { "append" } else { "subtract" };
        let message = format!("Config value {verb} is not allowed for config key: {name}");
        return Err(ApiError::new(ErrorCode::InvalidConfig, message));
    }
    let default = match key.default {
        DefaultValue::Of(text) => text,
        _ => "",
    };
    Ok(current.map_or(default, String::as_str).to_owned())
}

/// Whether a broker can run with that dynamic configuration: its own, or with an empty name that of all brokers.
fn check_broker(origin: BrokerConfigOrigin<'_>, name: &str, props: BTreeMap<String, String>) -> Result<(), ApiError> {
    let with_mode = |mode: UpdateMode| {
        let is_of = |name: &&String| keys::find(Scope::Broker, name).is_some_and(|key| key.update_mode == mode);
        props.keys().filter(is_of).map(String::as_str).collect::<Vec<_>>()
    };
    let read_only = with_mode(UpdateMode::ReadOnly);
    if !read_only.is_empty() {
        return Err(invalid(format!("Cannot update these configs dynamically: [{}]", read_only.join(", "))));
    }
    for (name, text) in &props {
        if let Some(key) = keys::find(Scope::Broker, name) {
            key.parse(text).map_err(|error| invalid(error.to_string()))?;
        }
    }
    check_cordoned(origin.node, &props)?;
    let per_broker = with_mode(UpdateMode::PerBroker);
    if name.is_empty() && !per_broker.is_empty() {
        let message = "Cannot update these configs at default cluster level, broker ids must be specified";
        return Err(invalid(format!("{message}: [{}]", per_broker.join(", "))));
    }
    let of = |resource: ConfigResource| {
        origin.image.configs.get(&resource).map(|configs| (**configs).clone()).unwrap_or_default()
    };
    let (of_all, of_this) = (of(ConfigResource::broker_default()), of(ConfigResource::broker(origin.node.node_id)));
    // What is in use can be wrong, for it was another version's to check: then anything better than that may follow.
    let now = origin.node.with_dynamic(&of_all, &of_this).ok();
    let (of_all, of_this) = if name.is_empty() { (props, of_this) } else { (of_all, props) };
    let then = origin.node.with_dynamic(&of_all, &of_this).map_err(|errors| invalid(errors.to_string()))?;
    now.map_or(Ok(()), |now| thread_pools::check(&now, &then))
}

/// Only directories that the broker has can be cordoned; `*` stands for all of them.
fn check_cordoned(node: &NodeConfig, props: &BTreeMap<String, String>) -> Result<(), ApiError> {
    let Some(text) = props.get("cordoned.log.dirs").map(|text| text.trim()) else { return Ok(()) };
    let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    let missing: Vec<&str> = entries.filter(|entry| !node.log_dirs.iter().any(|dir| dir == entry)).collect();
    if text == "*" || missing.is_empty() {
        return Ok(());
    }
    let message = "All entries in cordoned.log.dirs must be present in log.dirs or log.dir. Missing entries";
    Err(invalid(format!("{message} : {}", missing.join(", "))))
}
