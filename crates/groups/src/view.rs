//! What the coordinator is told of the cluster: topics, and the configurations of groups.

use core::fmt::Debug;
use ottla_types::TopicId;
use std::sync::Arc;

/// A topic, as far as groups care.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicFacts {
    /// Its name.
    pub name: Arc<str>,
    /// Its id.
    pub id: TopicId,
    /// How many partitions it has; they are numbered from 0.
    pub partitions: i32,
}

/// What groups of the consumer protocol have to keep to; a group's own configuration wins over the broker's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsumerGroupSettings {
    /// `consumer.session.timeout.ms`.
    pub session_timeout_ms: i32,
    /// `consumer.heartbeat.interval.ms`.
    pub heartbeat_interval_ms: i32,
    /// `consumer.assignment.interval.ms`: target assignments are at least so far apart.
    pub assignment_interval_ms: i32,
}

/// The cluster's metadata at one moment.
pub trait ClusterView: Debug + Send + Sync {
    /// Rises with each change.
    fn version(&self) -> i64;
    /// A topic by its name.
    fn topic_by_name(&self, name: &str) -> Option<TopicFacts>;
    /// A topic by its id.
    fn topic_by_id(&self, id: TopicId) -> Option<TopicFacts>;
    /// The names of all topics.
    fn topic_names(&self) -> Vec<Arc<str>>;
    /// The racks of a partition's replicas, those that have one.
    fn racks(&self, id: TopicId, partition: i32) -> Vec<String>;
    /// What a group has to keep to.
    fn group_settings(&self, group_id: &str) -> ConsumerGroupSettings;
}

/// The view in use. Two coordinators are equal whatever they see of the cluster.
#[derive(Clone, Debug)]
pub(crate) struct CurrentView(pub(crate) Arc<dyn ClusterView>);

impl PartialEq for CurrentView {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl core::ops::Deref for CurrentView {
    type Target = dyn ClusterView;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

/// A cluster without topics.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTopics;

impl ClusterView for NoTopics {
    fn version(&self) -> i64 {
        0
    }

    fn topic_by_name(&self, _: &str) -> Option<TopicFacts> {
        None
    }

    fn topic_by_id(&self, _: TopicId) -> Option<TopicFacts> {
        None
    }

    fn topic_names(&self) -> Vec<Arc<str>> {
        Vec::new()
    }

    fn racks(&self, _: TopicId, _: i32) -> Vec<String> {
        Vec::new()
    }

    fn group_settings(&self, _: &str) -> ConsumerGroupSettings {
        ConsumerGroupSettings {
            session_timeout_ms: 45_000,
            heartbeat_interval_ms: 5_000,
            assignment_interval_ms: 1_000,
        }
    }
}
