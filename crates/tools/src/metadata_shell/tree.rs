use super::text;
use crate::failure::KAFKA_VERSION;
use crate::storage::features::release_of;
use ottla_metadata::{ConfigResource, ConfigResourceType, MetadataImage, QuotaEntity, Topic};
use ottla_types::{NodeId, PartitionIndex, Uuid};
use std::collections::BTreeMap;

/// The SCRAM mechanisms with their codes.
const MECHANISMS: [(&str, i8); 2] = [("SCRAM-SHA-256", 1), ("SCRAM-SHA-512", 2)];
const FINALIZED: &str = "finalized_";

/// A place in the tree of the metadata. Nothing of the tree is there until it is looked at.
#[derive(Clone, Debug)]
pub(super) enum Node<'a> {
    /// A directory whose children are always the same.
    Fixed(&'static [(&'static str, Node<'static>)]),
    Topics,
    TopicsById,
    Topic(&'a Topic),
    Brokers,
    Controllers,
    Configs,
    Config(&'a BTreeMap<String, String>),
    Quotas,
    Quota(&'a BTreeMap<String, f64>),
    Features,
    Acls,
    /// The credentials of a mechanism.
    Scram(i8),
    Tokens,
    Provenance,
    NextProducerId,
    /// A file of this text.
    Text(String),
    Version,
    CommitId,
}

/// The top of the tree.
pub(super) const ROOT: Node<'static> = Node::Fixed(&[("image", IMAGE), ("local", LOCAL)]);
const LOCAL: Node<'static> = Node::Fixed(&[("commitId", Node::CommitId), ("version", Node::Version)]);
const IMAGE: Node<'static> = Node::Fixed(&[
    ("acls", Node::Fixed(&[("byId", Node::Acls)])),
    ("clientQuotas", Node::Quotas),
    ("cluster", Node::Fixed(&[("brokers", Node::Brokers), ("controllers", Node::Controllers)])),
    ("configs", Node::Configs),
    ("delegationToken", Node::Tokens),
    ("features", Node::Features),
    ("producerIds", Node::Fixed(&[("nextProducerId", Node::NextProducerId)])),
    ("provenance", Node::Provenance),
    (
        "scram",
        Node::Fixed(&[
            ("SCRAM-SHA-256", Node::Scram(MECHANISMS[0].1)),
            ("SCRAM-SHA-512", Node::Scram(MECHANISMS[1].1)),
        ]),
    ),
    ("topics", Node::Fixed(&[("byId", Node::TopicsById), ("byName", Node::Topics)])),
]);

impl<'a> Node<'a> {
    /// What a file says; `None` for a directory.
    pub(super) fn text(&self, image: &MetadataImage) -> Option<String> {
        Some(match self {
            Self::Text(text) => text.clone(),
            Self::Version => KAFKA_VERSION.to_owned(),
            // Apache Kafka's jars know theirs, this program is built of no commit of Apache Kafka's.
            Self::CommitId => "unknown".to_owned(),
            Self::Provenance => text::provenance(&image.provenance),
            Self::NextProducerId => image.next_producer_id.value().to_string(),
            _ => return None,
        })
    }

    /// The names of a directory's children, in order.
    pub(super) fn names(&self, image: &MetadataImage) -> Vec<String> {
        let mut names: Vec<String> = match self {
            Self::Fixed(children) => children.iter().map(|(name, _)| (*name).to_owned()).collect(),
            Self::Topics => image.topics.iter_by_name().map(|topic| topic.name.to_string()).collect(),
            Self::TopicsById => image.topics.iter().map(|topic| topic.id.to_string()).collect(),
            Self::Topic(topic) => {
                let partitions = topic.partitions.keys().map(ToString::to_string);
                partitions.chain(["id", "name"].map(str::to_owned)).collect()
            }
            Self::Brokers => image.cluster.brokers.keys().map(ToString::to_string).collect(),
            Self::Controllers => image.cluster.controllers.keys().map(ToString::to_string).collect(),
            Self::Configs => image.configs.iter().map(|(resource, _)| resource_name(resource)).collect(),
            Self::Config(values) => values.keys().cloned().collect(),
            Self::Quotas => image.quotas.entities.keys().map(text::quota_entity).collect(),
            Self::Quota(values) => values.keys().cloned().collect(),
            Self::Features => {
                let finalized = image.features.levels().keys().map(|name| format!("{FINALIZED}{name}"));
                finalized.chain(["metadataVersion".to_owned()]).collect()
            }
            Self::Acls => image.acls.entries.keys().map(ToString::to_string).collect(),
            Self::Scram(mechanism) => {
                let own = image.scram.credentials.keys().filter(|(of, _)| of == mechanism);
                own.map(|(_, user)| user.clone()).collect()
            }
            Self::Tokens => image.tokens.tokens.keys().cloned().collect(),
            Self::Text(_) | Self::Version | Self::CommitId | Self::Provenance | Self::NextProducerId => Vec::new(),
        };
        names.sort();
        names
    }

    /// The child of that name.
    pub(super) fn child(&self, name: &str, image: &'a MetadataImage) -> Option<Node<'a>> {
        match self {
            Self::Fixed(children) => children.iter().find(|(child, _)| *child == name).map(|(_, node)| node.clone()),
            Self::Topics => image.topics.topic_by_name(name).map(|topic| Node::Topic(topic)),
            Self::TopicsById => image.topics.topic(name.parse().ok()?).map(|topic| Node::Topic(topic)),
            Self::Config(values) => values.get(name).map(|value| Node::Text(value.clone())),
            Self::Quota(values) => values.get(name).map(|value| Node::Text(format!("{value:?}"))),
            Self::Configs => {
                let found = image.configs.iter().find(|(resource, _)| resource_name(resource) == name);
                found.map(|(_, values)| Node::Config(values))
            }
            Self::Quotas => {
                let is_it = |(entity, _): &(&QuotaEntity, _)| text::quota_entity(entity) == name;
                image.quotas.entities.iter().find(is_it).map(|(_, values)| Node::Quota(values))
            }
            _ => self.file(name, image).map(Node::Text),
        }
    }

    /// The text of a child that is a file.
    fn file(&self, name: &str, image: &MetadataImage) -> Option<String> {
        Some(match self {
            Self::Topic(topic) => match name {
                "name" => topic.name.to_string(),
                "id" => topic.id.to_string(),
                index => text::partition(topic.partitions.get(&PartitionIndex(index.parse().ok()?))?),
            },
            Self::Brokers => text::broker(image.cluster.brokers.get(&NodeId(name.parse().ok()?))?),
            Self::Controllers => text::controller(image.cluster.controllers.get(&NodeId(name.parse().ok()?))?),
            Self::Features if name == "metadataVersion" => {
                let version = image.features.metadata_version();
                version.map_or("Optional.empty".to_owned(), |version| format!("Optional[{}]", release_of(version)))
            }
            Self::Features => image.features.levels().get(name.strip_prefix(FINALIZED)?)?.to_string(),
            Self::Acls => text::access_control_entry(image.acls.entries.get(&name.parse::<Uuid>().ok()?)?),
            Self::Scram(mechanism) => {
                text::scram_credential(image.scram.credentials.get(&(*mechanism, name.to_owned()))?)
            }
            Self::Tokens => text::token(image.tokens.tokens.get(name)?),
            _ => return None,
        })
    }
}

/// The kind of a resource, and its name where it is not the default of its kind.
fn resource_name(resource: &ConfigResource) -> String {
    let kind = match resource.kind {
        ConfigResourceType::Topic => "TOPIC",
        ConfigResourceType::Broker => "BROKER",
        ConfigResourceType::BrokerLogger => "BROKER_LOGGER",
        ConfigResourceType::ClientMetrics => "CLIENT_METRICS",
        ConfigResourceType::Group => "GROUP",
    };
    if resource.name.is_empty() { kind.to_owned() } else { format!("{kind}:{}", resource.name) }
}
