use ottla_types::{BrokerEpoch, BrokerId, NodeId, PartitionIndex, ProducerId, TopicId};
use thiserror::Error;

/// A record of the metadata log that contradicts what came before it, or that this software can't obey.
///
/// The log is written by controllers that check first, so this means a damaged log or a newer cluster: the node must not
/// go on as if it had not seen the record.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ReplayError {
    /// A second topic of the same name or id.
    #[error("topic {name} with id {id} exists already")]
    DuplicateTopic {
        /// The name in the record.
        name: String,
        /// The id in the record.
        id: TopicId,
    },
    /// No topic has this id.
    #[error("no topic has the id {0}")]
    UnknownTopic(TopicId),
    /// No topic has this name.
    #[error("no topic has the name {0}")]
    UnknownTopicName(String),
    /// The topic has no such partition.
    #[error("topic {topic} has no partition {partition}")]
    UnknownPartition {
        /// The topic.
        topic: TopicId,
        /// The number in the record.
        partition: PartitionIndex,
    },
    /// The broker is not registered.
    #[error("broker {0} is not registered")]
    UnknownBroker(BrokerId),
    /// The controller is not registered.
    #[error("controller {0} is not registered")]
    UnknownController(NodeId),
    /// The record is about another registration of the broker.
    #[error("broker {broker} is registered with epoch {registered}, the record is about epoch {found}")]
    BrokerEpoch {
        /// The broker.
        broker: BrokerId,
        /// The epoch of its registration.
        registered: BrokerEpoch,
        /// The epoch in the record.
        found: BrokerEpoch,
    },
    /// The cluster runs a feature at a level that this software does not know.
    #[error("{feature} is at level {level}, this software runs levels {min} to {max}")]
    FeatureLevel {
        /// The feature.
        feature: String,
        /// Its level.
        level: i16,
        /// The lowest that can be run.
        min: i16,
        /// The highest that can be run.
        max: i16,
    },
    /// The feature is not known at all.
    #[error("the feature {feature} is at level {level}, this software does not know it")]
    UnknownFeature {
        /// The feature.
        feature: String,
        /// Its level.
        level: i16,
    },
    /// A field has a value that it can't have.
    #[error("{record}: the field {field} can't be {value}")]
    Field {
        /// The record.
        record: &'static str,
        /// The field.
        field: &'static str,
        /// Its value.
        value: i64,
    },
    /// The next producer id would go back.
    #[error("the next producer id is {current}, the record has {found}")]
    ProducerId {
        /// The current one.
        current: ProducerId,
        /// The one in the record.
        found: ProducerId,
    },
    /// A transaction of metadata records begins within another one, or ends without one.
    #[error("{0} where it can't be")]
    Transaction(&'static str),
}
