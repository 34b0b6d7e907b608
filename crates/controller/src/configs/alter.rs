use crate::outcome::{RECORDS_MAX, TOO_MANY_RECORDS};
use crate::{ApiError, Controller, Outcome};
use ottla_config::{ConfigType, DefaultValue, Scope, keys};
use ottla_metadata::{ConfigResource, ConfigResourceType, MetadataVersionExt, Partition, VersionedRecord};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::incremental_alter_configs_request::AlterableConfig;
use ottla_protocol::messages::{
    AlterConfigsRequest, AlterConfigsResponse, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
    alter_configs_response, incremental_alter_configs_response,
};
use ottla_protocol::metadata_records::{ClearElrRecord, ConfigRecord, MetadataRecord, PartitionChangeRecord};
use ottla_types::{NodeId, PartitionIndex, TopicId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(super) const MIN_IN_SYNC_REPLICAS: &str = "min.insync.replicas";

/// What is to be done to one key. The numbers are the protocol's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Operation {
    Set,
    Delete,
    Append,
    Subtract,
}

impl Operation {
    pub(super) fn from_code(code: i8) -> Result<Self, ApiError> {
        match code {
            0 => Ok(Self::Set),
            1 => Ok(Self::Delete),
            2 => Ok(Self::Append),
            3 => Ok(Self::Subtract),
            _ => Err(ApiError::new(ErrorCode::InvalidRequest, format!("Unknown operations type {code}"))),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Set => "SET",
            Self::Delete => "DELETE",
            Self::Append => "APPEND",
            Self::Subtract => "SUBTRACT",
        }
    }
}

/// The wanted values of some keys of one resource; `None` clears a key.
pub(super) type Changes = BTreeMap<String, Option<String>>;
type Configs = Arc<BTreeMap<String, String>>;

impl Controller {
    /// IncrementalAlterConfigs. Each resource succeeds or fails by itself. Requests that came to a broker have passed
    /// [`super::preprocess_incremental_alter_configs`] there.
    pub fn incremental_alter_configs(
        &mut self,
        request: &IncrementalAlterConfigsRequest,
    ) -> Outcome<IncrementalAlterConfigsResponse> {
        let resources: Vec<_> = request.resources.iter().map(|r| (r.resource_type, r.resource_name.as_str())).collect();
        let (records, results) = self.alter_each(&resources, request.validate_only, |controller, at, resource| {
            let Some(asked) = request.resources.get(at) else { return Ok(Vec::new()) };
            controller.alter_incrementally(resource, &asked.configs)
        });
        let responses = request
            .resources
            .iter()
            .zip(results)
            .filter_map(|(resource, result)| {
                let (error_code, error_message) = ApiError::parts(result?);
                Some(incremental_alter_configs_response::AlterConfigsResourceResponse {
                    error_code,
                    error_message,
                    resource_type: resource.resource_type,
                    resource_name: resource.resource_name.clone(),
                    ..Default::default()
                })
            })
            .collect();
        Outcome::atomic(records, IncrementalAlterConfigsResponse { responses, ..Default::default() })
    }

    /// AlterConfigs, which states all keys of a resource: those that it leaves out are cleared.
    pub fn alter_configs(&mut self, request: &AlterConfigsRequest) -> Outcome<AlterConfigsResponse> {
        let resources: Vec<_> = request.resources.iter().map(|r| (r.resource_type, r.resource_name.as_str())).collect();
        let (records, results) = self.alter_each(&resources, request.validate_only, |controller, at, resource| {
            let Some(asked) = request.resources.get(at) else { return Ok(Vec::new()) };
            let wanted = asked.configs.iter().map(|config| (config.name.clone(), config.value.clone()));
            controller.alter_wholly(resource, wanted.collect())
        });
        let responses = request
            .resources
            .iter()
            .zip(results)
            .filter_map(|(resource, result)| {
                let (error_code, error_message) = ApiError::parts(result?);
                Some(alter_configs_response::AlterConfigsResourceResponse {
                    error_code,
                    error_message,
                    resource_type: resource.resource_type,
                    resource_name: resource.resource_name.clone(),
                    ..Default::default()
                })
            })
            .collect();
        Outcome::atomic(records, AlterConfigsResponse { responses, ..Default::default() })
    }

    /// Decides for each resource. A result is `None` for the second mention of one that is named twice: such a resource
    /// is refused, and reported once.
    fn alter_each(
        &self,
        resources: &[(i8, &str)],
        validate_only: bool,
        decide: impl Fn(&Self, usize, &ConfigResource) -> Result<Vec<VersionedRecord>, ApiError>,
    ) -> (Vec<VersionedRecord>, Vec<Option<Result<(), ApiError>>>) {
        let mut records = Vec::new();
        let mut results = Vec::with_capacity(resources.len());
        let mut seen = BTreeSet::new();
        for (at, &(kind, name)) in resources.iter().enumerate() {
            let is_first = seen.insert((kind, name));
            let is_duplicate = resources.iter().filter(|other| **other == (kind, name)).count() > 1;
            let decision = match ConfigResourceType::from_code(kind) {
                None => Some(Err(unknown_type(kind))),
                Some(_) if is_duplicate => {
                    is_first.then(|| Err(ApiError::new(ErrorCode::InvalidRequest, "Duplicate resource.")))
                }
                Some(kind) => Some(decide(self, at, &ConfigResource::new(kind, name))),
            };
            results.push(decision.map(|decision| decision.map(|new| records.extend(new))));
        }
        records.extend(self.clear_elr_records(&records));
        if records.len() > RECORDS_MAX {
            let error = ApiError::new(ErrorCode::PolicyViolation, TOO_MANY_RECORDS);
            return (Vec::new(), results.into_iter().map(|result| result.map(|_| Err(error.clone()))).collect());
        }
        if validate_only {
            records.clear();
        }
        (records, results)
    }

    fn alter_incrementally(
        &self,
        resource: &ConfigResource,
        configs: &[AlterableConfig],
    ) -> Result<Vec<VersionedRecord>, ApiError> {
        let current = self.image.configs.get(resource);
        let mut changes = Changes::new();
        for config in configs {
            let operation = Operation::from_code(config.config_operation)?;
            let old = current.and_then(|current| current.get(&config.name)).map(String::as_str);
            let new = changed(resource, operation, &config.name, old, config.value.as_deref())?;
            changes.insert(config.name.clone(), new);
        }
        self.checked_records(resource, &changes, false)
    }

    fn alter_wholly(&self, resource: &ConfigResource, mut wanted: Changes) -> Result<Vec<VersionedRecord>, ApiError> {
        for name in self.image.configs.get(resource).iter().flat_map(|current| current.keys()) {
            wanted.entry(name.clone()).or_insert(None);
        }
        self.checked_records(resource, &wanted, false)
    }

    /// The records that give a resource its first configuration, in the same decision that creates it.
    pub(crate) fn records_of_new_resource(
        &self,
        resource: &ConfigResource,
        configs: &BTreeMap<String, String>,
    ) -> Result<Vec<VersionedRecord>, ApiError> {
        if configs.is_empty() {
            return Ok(Vec::new());
        }
        let changes = configs.iter().map(|(name, value)| (name.clone(), Some(value.clone()))).collect();
        let mut records = self.checked_records(resource, &changes, true)?;
        records.extend(self.clear_elr_records(&records));
        Ok(records)
    }

    /// Records for the keys whose value changes, after the whole of the resource's configuration has been checked. For a
    /// broker every named key gets a record: brokers read their passwords and files anew when they see one.
    fn checked_records(
        &self,
        resource: &ConfigResource,
        changes: &Changes,
        is_new: bool,
    ) -> Result<Vec<VersionedRecord>, ApiError> {
        let current: Configs = self.image.configs.get(resource).cloned().unwrap_or_default();
        let effective: Changes = changes
            .iter()
            .filter(|(name, value)| resource.kind == ConfigResourceType::Broker || current.get(*name) != value.as_ref())
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let mut whole = BTreeMap::clone(&current);
        for (name, value) in &effective {
            match value {
                Some(value) => whole.insert(name.clone(), value.clone()),
                None => whole.remove(name),
            };
        }
        self.check_changes(resource, &effective)?;
        self.check_resource(resource, &whole)?;
        if !is_new {
            self.check_existence(resource)?;
        }
        Ok(effective.into_iter().map(|(name, value)| config_record(resource, name, value)).collect())
    }

    /// Another minimum of replicas in sync makes what is known of eligible leaders worthless, since the high watermark may move
    /// without them. Where nobody is in sync nothing moves: there they are all that is known of who has everything, and without
    /// them nobody could lead any more.
    fn clear_elr_records(&self, records: &[VersionedRecord]) -> Vec<VersionedRecord> {
        if !self.image.features.has_eligible_leader_replicas() {
            return Vec::new();
        }
        let is_minimum = |config: &&ConfigRecord| config.name == MIN_IN_SYNC_REPLICAS;
        let configs = records.iter().filter_map(|record| match &record.record {
            MetadataRecord::Config(config) => Some(config).filter(is_minimum),
            _ => None,
        });
        let mut cleared = Vec::new();
        for config in configs {
            let is_topic = config.resource_type == ConfigResourceType::Topic.code();
            let topic_name = if is_topic { config.resource_name.clone() } else { String::new() };
            let with_elr = self.image.topics.partitions().filter(|(topic, ..)| !is_topic || *topic.name == topic_name);
            let kept: Vec<_> = with_elr.filter_map(|(topic, index, p)| self.kept_elr(topic.id, index, p)).collect();
            cleared.push(MetadataRecord::ClearElr(ClearElrRecord { topic_name, ..Default::default() }).into());
            cleared.extend(kept);
        }
        cleared
    }

    /// What gives a partition without anybody in sync back what a `ClearElrRecord` before it takes: whoever replays the log
    /// understands the same by both records, Apache Kafka too.
    fn kept_elr(&self, topic_id: TopicId, index: PartitionIndex, partition: &Partition) -> Option<VersionedRecord> {
        let list = |nodes: &[NodeId]| nodes.iter().map(|node| node.0).collect::<Vec<i32>>();
        let (eligible, last) = (&partition.eligible_leader_replicas, &partition.last_known_eligible_leader_replicas);
        if !partition.in_sync_replicas.is_empty() || (eligible.is_empty() && last.is_empty()) {
            return None;
        }
        let record = PartitionChangeRecord {
            topic_id,
            partition_id: index.0,
            eligible_leader_replicas: Some(list(eligible)),
            last_known_elr: Some(list(last)),
            ..Default::default()
        };
        let version = self.metadata_version().partition_record_version();
        Some(VersionedRecord::new(MetadataRecord::PartitionChange(record), version))
    }
}

fn unknown_type(kind: i8) -> ApiError {
    ApiError::new(ErrorCode::UnsupportedVersion, format!("Unknown resource type {kind}."))
}

fn config_record(resource: &ConfigResource, name: String, value: Option<String>) -> VersionedRecord {
    let record = ConfigRecord {
        resource_type: resource.kind.code(),
        resource_name: resource.name.to_string(),
        name,
        value,
        ..Default::default()
    };
    MetadataRecord::Config(record).into()
}

/// The value of a key after an operation.
fn changed(
    resource: &ConfigResource,
    operation: Operation,
    name: &str,
    old: Option<&str>,
    operand: Option<&str>,
) -> Result<Option<String>, ApiError> {
    match operation {
        Operation::Set => return Ok(operand.map(str::to_owned)),
        Operation::Delete => return Ok(None),
        Operation::Append | Operation::Subtract => {}
    }
    let key = match resource.kind {
        ConfigResourceType::Topic => keys::find(Scope::Topic, name),
        ConfigResourceType::Broker => keys::find(Scope::Broker, name),
        _ => None,
    };
    let Some(key) = key.filter(|key| key.config_type == ConfigType::List) else {
        let message = format!("Can't {} to key {name} because its type is not LIST.", operation.name());
        return Err(ApiError::new(ErrorCode::InvalidConfig, message));
    };
    let Some(operand) = operand else {
        let message = format!("Null value not supported for : {name}");
        return Err(ApiError::new(ErrorCode::InvalidRequest, message));
    };
    let default = match key.default {
        DefaultValue::Of(text) => text,
        DefaultValue::Null | DefaultValue::Required => "",
    };
    let mut parts: Vec<&str> = old.unwrap_or(default).split(',').filter(|part| !part.is_empty()).collect();
    for part in java_split(operand) {
        let position = parts.iter().position(|known| *known == part);
        match (operation, position) {
            (Operation::Append, None) => parts.push(part),
            (Operation::Subtract, Some(at)) => {
                parts.remove(at);
            }
            _ => {}
        }
    }
    Ok(Some(parts.join(",")))
}

/// Splits at commas as Java does: no empty parts at the end, but the empty text is one part.
fn java_split(text: &str) -> impl Iterator<Item = &str> {
    let trimmed = if text.is_empty() { text } else { text.trim_end_matches(',') };
    let is_all_commas = trimmed.is_empty() && !text.is_empty();
    trimmed.split(',').filter(move |_| !is_all_commas)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(operation: Operation, old: Option<&str>, operand: &str) -> Option<String> {
        changed(&ConfigResource::topic("a"), operation, "cleanup.policy", old, Some(operand)).unwrap()
    }

    #[test]
    fn appending_and_subtracting_start_from_the_value_or_from_the_default() {
        use Operation::{Append, Subtract};
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(apply(Append, None, "compact"), text("delete,compact"));
        assert_eq!(apply(Append, Some("compact"), "compact,delete"), text("compact,delete"));
        assert_eq!(apply(Subtract, Some("delete,compact"), "delete"), text("compact"));
        assert_eq!(apply(Subtract, None, "delete"), text(""));
        assert_eq!(apply(Append, Some(""), "delete"), text("delete"));
        assert_eq!(apply(Append, None, ",,"), text("delete"));
    }

    #[test]
    fn only_lists_can_be_appended_to() {
        let error = changed(&ConfigResource::topic("a"), Operation::Append, "retention.ms", None, Some("1"));
        let message = "Can't APPEND to key retention.ms because its type is not LIST.";
        assert_eq!(error, Err(ApiError::new(ErrorCode::InvalidConfig, message)));
    }
}
