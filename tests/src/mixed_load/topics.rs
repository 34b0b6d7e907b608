use super::wire::{Wire, error};
use crate::history::{Found, LogName};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use ottla_protocol::messages::describe_configs_request::DescribeConfigsResource;
use ottla_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use ottla_protocol::messages::metadata_request::MetadataRequestTopic;
use ottla_protocol::messages::{
    CreateTopicsRequest, DescribeConfigsRequest, IncrementalAlterConfigsRequest, MetadataRequest,
};
use ottla_types::TopicId;
use std::collections::BTreeMap;
use std::io;

/// The kind of a resource that is a topic.
const TOPIC_RESOURCE: i8 = 2;

/// The source of a setting that was made for the topic.
const DYNAMIC_TOPIC: i8 = 1;

const CREATE_TOPICS: i16 = 7;
const METADATA: i16 = 12;
const DESCRIBE_CONFIGS: i16 = 4;
const INCREMENTAL_ALTER_CONFIGS: i16 = 1;

/// A request to create a topic.
pub(super) fn creation<'a>(
    name: &str,
    partitions: i32,
    configs: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> CreateTopicsRequest {
    let config = |(name, value): (&str, &str)| CreatableTopicConfig {
        name: name.to_owned(),
        value: Some(value.to_owned()),
        ..Default::default()
    };
    let topic = CreatableTopic {
        name: name.to_owned(),
        num_partitions: partitions,
        replication_factor: 1,
        configs: configs.into_iter().map(config).collect(),
        ..Default::default()
    };
    CreateTopicsRequest { topics: vec![topic], timeout_ms: 10_000, ..Default::default() }
}

/// Creates a topic, once. Answers its id, or the error that the server gave.
///
/// # Errors
/// Nobody answered.
pub(super) fn create(wire: &mut Wire, request: &CreateTopicsRequest) -> io::Result<Result<TopicId, ErrorCode>> {
    let answer = wire.ask(CREATE_TOPICS, request)?;
    let topic = answer.topics.first().ok_or_else(|| io::Error::other("no topic in the answer"))?;
    match error(topic.error_code) {
        ErrorCode::None => Ok(Ok(topic.topic_id)),
        other => Ok(Err(other)),
    }
}

/// Creates a topic on a server that answers, and names its logs.
///
/// # Errors
/// It could not be created.
pub fn created(address: &str, name: &str, partitions: i32, configs: &[(&str, &str)]) -> io::Result<Vec<LogName>> {
    let id = create(&mut Wire::new(address), &creation(name, partitions, configs.iter().copied()))?
        .map_err(|error| io::Error::other(format!("{name}: {error:?}")))?;
    Ok((0..partitions).map(|partition| LogName { topic: name.into(), id, partition }).collect())
}

/// What the server says of a topic. `Ok(None)`: there is none.
///
/// # Errors
/// It does not answer, or is not ready to.
pub fn look_at_topic(wire: &mut Wire, name: &str) -> io::Result<Option<Found>> {
    let topic = MetadataRequestTopic { name: Some(name.to_owned()), ..Default::default() };
    let request = MetadataRequest { topics: Some(vec![topic]), allow_auto_topic_creation: false, ..Default::default() };
    let answer = wire.ask(METADATA, &request)?;
    let topic = answer.topics.first().ok_or_else(|| io::Error::other("no topic in the answer"))?;
    match error(topic.error_code) {
        ErrorCode::None => {}
        ErrorCode::UnknownTopicOrPartition => return Ok(None),
        other => return Err(io::Error::other(format!("{name}: {other:?}"))),
    }
    let configs = own_configs(wire, name)?;
    let partitions = i32::try_from(topic.partitions.len()).map_err(io::Error::other)?;
    Ok(configs.map(|configs| Found { id: topic.topic_id, partitions, configs }))
}

/// What was set for a topic; `None`: there is none.
fn own_configs(wire: &mut Wire, name: &str) -> io::Result<Option<BTreeMap<String, String>>> {
    let resource = DescribeConfigsResource {
        resource_type: TOPIC_RESOURCE,
        resource_name: name.to_owned(),
        configuration_keys: None,
        ..Default::default()
    };
    let request = DescribeConfigsRequest { resources: vec![resource], ..Default::default() };
    let answer = wire.ask(DESCRIBE_CONFIGS, &request)?;
    let result = answer.results.into_iter().next().ok_or_else(|| io::Error::other("no result in the answer"))?;
    match error(result.error_code) {
        ErrorCode::None => {}
        ErrorCode::UnknownTopicOrPartition => return Ok(None),
        other => return Err(io::Error::other(format!("{name}: {other:?}"))),
    }
    let own = result.configs.into_iter().filter(|config| config.config_source == DYNAMIC_TOPIC);
    Ok(Some(own.map(|config| (config.name, config.value.unwrap_or_default())).collect()))
}

/// Sets one setting of a topic, or takes it back. Answers what the server said of it.
///
/// # Errors
/// Nobody answered.
pub fn configure(wire: &mut Wire, name: &str, key: &str, value: Option<&str>) -> io::Result<ErrorCode> {
    const SET: i8 = 0;
    const DELETE: i8 = 1;
    let config = AlterableConfig {
        name: key.to_owned(),
        config_operation: if value.is_some() { SET } else { DELETE },
        value: value.map(str::to_owned),
        ..Default::default()
    };
    let resource = AlterConfigsResource {
        resource_type: TOPIC_RESOURCE,
        resource_name: name.to_owned(),
        configs: vec![config],
        ..Default::default()
    };
    let request = IncrementalAlterConfigsRequest { resources: vec![resource], ..Default::default() };
    let answer = wire.ask(INCREMENTAL_ALTER_CONFIGS, &request)?;
    let resource = answer.responses.first().ok_or_else(|| io::Error::other("no resource in the answer"))?;
    Ok(error(resource.error_code))
}
