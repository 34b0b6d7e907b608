//! The cluster's metadata as a value.
//!
//! A [`MetadataImage`] is everything that the records of `__cluster_metadata` have said so far: features, brokers,
//! controllers, topics and their partitions, configurations, quotas, producer ids, access rules, credentials and tokens.
//! It is changed only by [`MetadataDelta::replay`], one record at a time, in the order of the log. Copies of an image
//! share their parts, so publishing one costs a few reference counts and a reader keeps a whole, unchanging image for
//! as long as it needs.
//!
//! Nothing here decides who may change what: that is the controller's.

mod cluster;
mod configs;
mod delta;
mod difference;
mod error;
mod features;
mod image;
mod loader;
mod ordered_map;
mod replay;
mod security;
mod snapshot;
mod topics;
mod version;

pub use cluster::{BrokerRegistration, ClusterImage, ControllerRegistration, Endpoint, VersionRange};
pub use configs::{ConfigResource, ConfigResourceType, ConfigsImage};
pub use delta::{LocalReplica, LocalReplicas, MetadataDelta};
pub use error::ReplayError;
pub use features::FeaturesImage;
pub use image::{MetadataImage, Provenance};
pub use loader::{LoadedBatch, MetadataLoader};
pub use ordered_map::OrderedMap;
pub use replay::merge_partition_change;
pub use security::{AclsImage, QuotaEntity, QuotasImage, ScramImage, TokensImage};
pub use snapshot::VersionedRecord;
pub use topics::{LeaderRecoveryState, Partition, Topic, TopicsImage, directory_id};
pub use version::{Feature, MetadataVersionExt, dependencies, level_of_release, releases, supported_features};
