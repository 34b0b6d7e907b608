//! Newtypes for every number with a meaning: offsets, epochs, ids, timestamps.
//!
//! A number of the wire becomes one of these at the edge of the pure crates, so that an offset can't be taken for an
//! epoch, nor a broker epoch for a leader epoch. No wire format and no configuration lives here.

mod java;
mod macros;
mod numbers;
mod topic;
mod uuid;

pub use java::{coordinator_partition, java_string_hash};
pub use numbers::{
    BrokerEpoch, BrokerId, ControllerEpoch, Generation, LeaderEpoch, MemberEpoch, MetadataVersion, NodeId, Offset,
    PartitionIndex, ProducerEpoch, ProducerId, Sequence, Timestamp,
};
pub use topic::{TopicIdPartition, TopicPartition};
pub use uuid::{ParseUuidError, Uuid};

/// A topic's id: random, never used again after the topic is deleted.
pub type TopicId = Uuid;
/// The id of one log directory of one node, as in its `meta.properties`.
pub type DirectoryId = Uuid;
