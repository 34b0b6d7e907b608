//! Every configuration key once, and the parser of Java properties files.
//!
//! - [`keys`] declares every key that the pinned Apache Kafka knows: type, default, allowed values, importance, whether
//!   and how it can change at run time, and for those that Ottla obeys a line of explanation.
//! - [`properties`] reads `.properties` text exactly as Java does and keeps the line of each entry.
//! - [`NodeConfig`] is what a running node uses: typed, checked as a whole, made from a file and from the cluster's
//!   dynamic configurations. [`TopicConfig`] is the same for one topic.
//! - [`describe`] answers `DescribeConfigs`: the value, where it comes from, and what it hides.
//!
//! Nothing here reads a file, an environment or a clock: text comes in, values go out.

mod client_match;
pub mod describe;
pub mod document;
mod error;
mod key;
pub mod keys;
mod layers;
mod listener;
mod log_level;
mod nearest;
mod node;
pub mod properties;
mod providers;
mod reasons;
mod settings;
mod topic;
mod value;

pub use client_match::{ClientAttribute, ClientMatch};
pub use error::{ConfigError, ConfigErrors, InvalidValue, Notice};
pub use key::{Check, ConfigKey, ConfigType, DefaultValue, Importance, Scope, ServerSynonym, UpdateMode};
pub use layers::ConfigLayers;
pub use listener::{Endpoint, HostPort, SecurityProtocol};
pub use log_level::LogLevel;
pub use node::{
    BrokerLifecycleConfig, ControllerConfig, FetchConfig, Founder, GroupConfig, LEADER_SELECTOR, ListenerConfig,
    LogConfig, MetadataLogConfig, MetricsConfig, NodeConfig, OffsetsConfig, PeerConfig, ProducerIdConfig, QuorumConfig,
    RACK_AWARE_SELECTOR, RaftConfig, ReplicationConfig, ReplicationQuotaConfig, ReplicationThrottles, Roles,
    SocketConfig, TelemetryConfig, TopicCreationConfig, TransactionConfig,
};
pub use properties::Properties;
pub use providers::{ProviderError, ValueSources};
pub use topic::{CleanupPolicy, CompressionType, TimestampType, TopicConfig};
pub use value::Value;

/// The configuration that is used when none is given: the shipped `config/server.properties`, so that a start without
/// arguments and a start with the shipped file are the same node.
pub const SHIPPED_PROPERTIES: &str = include_str!("../../../config/server.properties");
