//! Assembly of a node: partitions, fetch sessions, purgatory, one file per API.
//!
//! [`Node`] is broker, controller or both. It owns no thread and no socket: requests come in through the services
//! that it hands out, time-driven work is done in [`Node::tick`]. `docs/internals/broker.md` tells the way of a request.

mod api;
mod authorized_operations;
mod broker;
mod broker_watch;
mod call;
mod codecs;
mod controller_channel;
mod coordinator_loads;
mod delayed_delete_records;
mod delayed_produce;
mod directory_assignments;
mod durations;
mod fetch;
mod forwarding;
mod groups;
mod internal_topics;
mod isolation;
mod joining;
mod leader_hints;
mod lifecycle;
mod loggers;
mod metadata_view;
mod metrics;
mod node;
mod partition;
mod patience;
mod peers;
mod producer_ids;
mod publisher;
mod purgatory;
mod quorum;
mod replica_moves;
mod replication;
mod service;
mod telemetry;
mod timers;
mod transactions;
mod waiters;

pub use joining::{JoinError, ask_cluster_id};
pub use lifecycle::LifecycleError;
pub use loggers::{Loggers, NoLoggers};
pub use node::{Node, NodeOptions, StartError};
pub use peers::{ApiVersionsGreeting, NoPeers, PeerNetwork, PeerVersions, outbound_options};
pub use quorum::{
    FormatError, FormatRequest, QuorumReading, Recovery, RecoveryError, Survivor, format, is_unformatted,
};
