use super::{Admin, item};
use crate::error::{ClientError, Result};
use ottla_protocol::messages::describe_configs_request::{DescribeConfigsRequest, DescribeConfigsResource};
use ottla_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use ottla_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use ottla_types::NodeId;
use std::collections::BTreeMap;

/// What kind of thing has the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ResourceKind {
    /// A topic, by name.
    Topic,
    /// A broker, by its id; the empty name is the default of all brokers.
    Broker,
    /// The loggers of a broker, by its id.
    BrokerLogger,
    /// A subscription to client metrics, by name.
    ClientMetrics,
    /// A group, by its id.
    Group,
}

impl ResourceKind {
    /// The number that stands for it in requests.
    pub fn code(self) -> i8 {
        match self {
            Self::Topic => 2,
            Self::Broker => 4,
            Self::BrokerLogger => 8,
            Self::ClientMetrics => 16,
            Self::Group => 32,
        }
    }

    fn of_code(code: i8) -> Option<Self> {
        [Self::Topic, Self::Broker, Self::BrokerLogger, Self::ClientMetrics, Self::Group]
            .into_iter()
            .find(|kind| kind.code() == code)
    }
}

/// A thing that has a configuration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConfigResource {
    /// What kind of thing.
    pub kind: ResourceKind,
    /// Which one.
    pub name: String,
}

impl ConfigResource {
    /// Names a thing.
    pub fn new(kind: ResourceKind, name: impl Into<String>) -> Self {
        Self { kind, name: name.into() }
    }

    /// The only node that knows and may change this configuration, where there is such a one.
    fn node(&self) -> Option<NodeId> {
        match self.kind {
            ResourceKind::Broker | ResourceKind::BrokerLogger => self.name.parse().ok().map(NodeId),
            _ => None,
        }
    }
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConfigSource {
    /// Not told.
    Unknown,
    /// Set on the topic.
    DynamicTopic,
    /// Set on the broker while it runs.
    DynamicBroker,
    /// Set for all brokers while they run.
    DynamicDefaultBroker,
    /// In the broker's properties file.
    StaticBroker,
    /// The default.
    Default,
    /// Set on the broker's logger.
    DynamicBrokerLogger,
    /// Set on the client metrics subscription.
    DynamicClientMetrics,
    /// Set on the group.
    DynamicGroup,
}

impl ConfigSource {
    fn of_code(code: i8) -> Self {
        match code {
            1 => Self::DynamicTopic,
            2 => Self::DynamicBroker,
            3 => Self::DynamicDefaultBroker,
            4 => Self::StaticBroker,
            5 => Self::Default,
            6 => Self::DynamicBrokerLogger,
            7 => Self::DynamicClientMetrics,
            8 => Self::DynamicGroup,
            _ => Self::Unknown,
        }
    }

    /// Kafka's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "UNKNOWN",
            Self::DynamicTopic => "DYNAMIC_TOPIC_CONFIG",
            Self::DynamicBroker => "DYNAMIC_BROKER_CONFIG",
            Self::DynamicDefaultBroker => "DYNAMIC_DEFAULT_BROKER_CONFIG",
            Self::StaticBroker => "STATIC_BROKER_CONFIG",
            Self::Default => "DEFAULT_CONFIG",
            Self::DynamicBrokerLogger => "DYNAMIC_BROKER_LOGGER_CONFIG",
            Self::DynamicClientMetrics => "DYNAMIC_CLIENT_METRICS_CONFIG",
            Self::DynamicGroup => "DYNAMIC_GROUP_CONFIG",
        }
    }
}

/// One setting with its value.
#[derive(Clone, Debug)]
pub struct ConfigEntry {
    /// Its name.
    pub name: String,
    /// Its value; `None` when it has none or must not be told.
    pub value: Option<String>,
    /// Where the value comes from.
    pub source: ConfigSource,
    /// Whether the value is secret.
    pub is_sensitive: bool,
    /// Whether it can't be changed.
    pub is_read_only: bool,
    /// The values that it could have from other places, the strongest first.
    pub synonyms: Vec<ConfigSynonym>,
    /// What it is for, where that was asked for.
    pub documentation: Option<String>,
}

/// A value from another place.
#[derive(Clone, Debug)]
pub struct ConfigSynonym {
    /// The setting's name there.
    pub name: String,
    /// Its value there.
    pub value: Option<String>,
    /// The place.
    pub source: ConfigSource,
}

/// What to do with a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigOperation {
    /// Give it this value.
    Set,
    /// Give it its default.
    Delete,
    /// Add these entries to its list.
    Append,
    /// Take these entries from its list.
    Subtract,
}

/// A change of one setting.
#[derive(Clone, Debug)]
pub struct ConfigChange {
    /// Its name.
    pub name: String,
    /// What to do.
    pub operation: ConfigOperation,
    /// The value; `None` for [`ConfigOperation::Delete`].
    pub value: Option<String>,
}

impl Admin {
    /// Describes the configuration of things, each setting with its synonyms where `synonyms` is set.
    ///
    /// # Errors
    /// No answer could be had.
    pub async fn describe_configs(
        &self,
        resources: &[ConfigResource],
        synonyms: bool,
    ) -> Result<BTreeMap<ConfigResource, Result<Vec<ConfigEntry>>>> {
        let mut described = BTreeMap::new();
        for (node, resources) in by_node(resources) {
            let resource = |resource: &ConfigResource| DescribeConfigsResource {
                resource_type: resource.kind.code(),
                resource_name: resource.name.clone(),
                configuration_keys: None,
                ..Default::default()
            };
            let request = DescribeConfigsRequest {
                resources: resources.into_iter().map(resource).collect(),
                include_synonyms: synonyms,
                ..Default::default()
            };
            let results = match node {
                Some(node) => self.at_node(node, &request, |response| Ok(response.results)).await?,
                None => self.at_any(&request, |response| Ok(response.results)).await?,
            };
            described.extend(results.into_iter().filter_map(described_resource));
        }
        Ok(described)
    }

    /// Changes the configuration of things, setting by setting.
    ///
    /// # Errors
    /// No answer could be had.
    pub async fn alter_configs(
        &self,
        changes: &BTreeMap<ConfigResource, Vec<ConfigChange>>,
        validate_only: bool,
    ) -> Result<BTreeMap<ConfigResource, Result<()>>> {
        let mut altered = BTreeMap::new();
        let resources: Vec<_> = changes.keys().cloned().collect();
        for (node, resources) in by_node(&resources) {
            let alteration = |resource: &ConfigResource| alteration(resource, changes.get(resource));
            let request = IncrementalAlterConfigsRequest {
                resources: resources.into_iter().map(alteration).collect(),
                validate_only,
                ..Default::default()
            };
            let responses = match node {
                Some(node) => self.at_node(node, &request, |response| Ok(response.responses)).await?,
                None => self.at_any(&request, |response| Ok(response.responses)).await?,
            };
            altered.extend(responses.into_iter().filter_map(|response| {
                let kind = ResourceKind::of_code(response.resource_type)?;
                let resource = ConfigResource::new(kind, response.resource_name);
                Some((resource, item(response.error_code, response.error_message)))
            }));
        }
        Ok(altered)
    }
}

/// Groups the resources by the node that must be asked.
fn by_node(resources: &[ConfigResource]) -> BTreeMap<Option<NodeId>, Vec<&ConfigResource>> {
    let mut by_node = BTreeMap::<_, Vec<_>>::new();
    for resource in resources {
        by_node.entry(resource.node()).or_default().push(resource);
    }
    by_node
}

fn alteration(resource: &ConfigResource, changes: Option<&Vec<ConfigChange>>) -> AlterConfigsResource {
    let config = |change: &ConfigChange| AlterableConfig {
        name: change.name.clone(),
        config_operation: match change.operation {
            ConfigOperation::Set => 0,
            ConfigOperation::Delete => 1,
            ConfigOperation::Append => 2,
            ConfigOperation::Subtract => 3,
        },
        value: change.value.clone(),
        ..Default::default()
    };
    AlterConfigsResource {
        resource_type: resource.kind.code(),
        resource_name: resource.name.clone(),
        configs: changes.into_iter().flatten().map(config).collect(),
        ..Default::default()
    }
}

fn described_resource(result: DescribeConfigsResult) -> Option<(ConfigResource, Result<Vec<ConfigEntry>>)> {
    let kind = ResourceKind::of_code(result.resource_type)?;
    let resource = ConfigResource::new(kind, result.resource_name);
    let entries = match ClientError::of(result.error_code, result.error_message) {
        Some(error) => Err(error),
        None => Ok(result.configs.into_iter().map(described_entry).collect()),
    };
    Some((resource, entries))
}

fn described_entry(entry: DescribeConfigsResourceResult) -> ConfigEntry {
    let synonym = |synonym: DescribeConfigsSynonym| ConfigSynonym {
        name: synonym.name,
        value: synonym.value,
        source: ConfigSource::of_code(synonym.source),
    };
    ConfigEntry {
        name: entry.name,
        value: entry.value,
        source: ConfigSource::of_code(entry.config_source),
        is_sensitive: entry.is_sensitive,
        is_read_only: entry.read_only,
        synonyms: entry.synonyms.into_iter().map(synonym).collect(),
        documentation: entry.documentation,
    }
}
