//! The group coordinator machine: classic groups, consumer groups and committed offsets.
//!
//! One [`GroupCoordinator`] holds the groups of one partition of `__consumer_offsets`. It is a machine without I/O,
//! clock, randomness or thread: [`GroupCoordinator::handle`] and [`GroupCoordinator::on_timer`] answer with
//! [`Effects`] (records to append, replies to release, timers to set), and [`GroupCoordinator::replay`] applies records
//! that are in the log. The rules are those of Apache Kafka's group coordinator, error codes included.
//!
//! What is durable is in records: committed offsets, and one record per completed generation of a classic group. What
//! a rebalance in progress knows (who waits, who is pending) is soft state and dies with the process; the clients'
//! retries build it up again.
//!
//! Groups of the consumer protocol (KIP-848) are in [`consumer`]: all of their state is in records. Share and streams groups
//! that Apache Kafka wrote to the same log are kept as they are, see [`preserved`].

pub mod classic;
pub mod consumer;
mod context;
mod coordinator;
mod deleting;
mod describing;
mod effects;
mod java;
mod listing;
mod loading;
mod migration;
pub mod offsets;
pub mod preserved;
pub mod record;
mod refusal;
mod request;
mod settings;
#[cfg(test)]
mod tests;
mod view;

pub use context::RequestContext;
pub use coordinator::GroupCoordinator;
pub use effects::{Batching, Completion, Effects, Release, Replaying, Reply, TimerChange, TimerKey, Token};
pub use java::{partition_for, string_hash};
pub use listing::GroupCensus;
pub use migration::{Downgraded, MigrationPolicy};
pub use record::GroupRecord;
pub use refusal::{append_error, fail_response, refusal_without_coordinator, refuse};
pub use request::{DeletedTopic, Request, Response};
pub use settings::GroupSettings;
pub use view::{ClusterView, ConsumerGroupSettings, NoTopics, TopicFacts};
