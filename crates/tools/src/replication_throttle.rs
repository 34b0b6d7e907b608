//! Limits of what moves between brokers while partitions are reassigned: which replicas are limited stands at their topics, how much may
//! flow at the brokers.

use ottla_client::{Admin, ClientError, ConfigChange, ConfigOperation, ConfigResource, ResourceKind};
use ottla_types::TopicPartition;
use std::collections::{BTreeMap, BTreeSet};

/// How much a leader may send to limited followers.
pub(crate) const LEADER_RATE: &str = "leader.replication.throttled.rate";
/// How much a limited follower may fetch.
pub(crate) const FOLLOWER_RATE: &str = "follower.replication.throttled.rate";
/// Which replicas are limited in what they send.
pub(crate) const LEADER_REPLICAS: &str = "leader.replication.throttled.replicas";
/// Which replicas are limited in what they fetch.
pub(crate) const FOLLOWER_REPLICAS: &str = "follower.replication.throttled.replicas";

/// Where a partition's data comes from and goes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Move {
    pub(crate) sources: BTreeSet<i32>,
    pub(crate) destinations: BTreeSet<i32>,
}

/// A change that sets a value.
pub(crate) fn set(name: &str, value: String) -> ConfigChange {
    ConfigChange { name: name.to_owned(), operation: ConfigOperation::Set, value: Some(value) }
}

/// A change that takes a value away.
pub(crate) fn delete(name: &str) -> ConfigChange {
    ConfigChange { name: name.to_owned(), operation: ConfigOperation::Delete, value: None }
}

/// A broker's configuration.
pub(crate) fn broker(id: i32) -> ConfigResource {
    ConfigResource::new(ResourceKind::Broker, id.to_string())
}

/// Changes configurations; all have to be changed.
///
/// # Errors
/// One was not.
pub(crate) async fn alter(
    admin: &Admin,
    changes: BTreeMap<ConfigResource, Vec<ConfigChange>>,
) -> Result<(), ClientError> {
    admin.alter_configs(&changes, false).await?.into_values().collect()
}

/// Limits moves to so many bytes a second, at each broker.
///
/// # Errors
/// A configuration was not changed.
pub(crate) async fn limit(admin: &Admin, moves: &BTreeMap<TopicPartition, Move>, rate: i64) -> Result<(), ClientError> {
    let mut topics = BTreeMap::<&str, [BTreeSet<String>; 2]>::new();
    let mut brokers = BTreeSet::new();
    for (partition, Move { sources, destinations }) in moves {
        let [leaders, followers] = topics.entry(&partition.topic).or_default();
        let pair = |broker: &i32| format!("{}:{broker}", partition.partition);
        leaders.extend(sources.iter().map(pair));
        followers.extend(destinations.iter().map(pair));
        brokers.extend(sources.union(destinations).copied());
    }
    let listed = |replicas: BTreeSet<String>| replicas.into_iter().collect::<Vec<_>>().join(",");
    let of_topic = |(topic, [leaders, followers]): (&str, [BTreeSet<String>; 2])| {
        let changes = vec![set(LEADER_REPLICAS, listed(leaders)), set(FOLLOWER_REPLICAS, listed(followers))];
        (ConfigResource::new(ResourceKind::Topic, topic), changes)
    };
    alter(admin, topics.into_iter().map(of_topic).collect()).await?;
    let rates = |id: i32| (broker(id), vec![set(LEADER_RATE, rate.to_string()), set(FOLLOWER_RATE, rate.to_string())]);
    alter(admin, brokers.into_iter().map(rates).collect()).await
}

/// Takes the limits of these topics' replicas away.
///
/// # Errors
/// A configuration was not changed.
pub(crate) async fn free_topics(admin: &Admin, topics: impl IntoIterator<Item = String>) -> Result<(), ClientError> {
    let free = |topic: String| {
        (ConfigResource::new(ResourceKind::Topic, topic), vec![delete(LEADER_REPLICAS), delete(FOLLOWER_REPLICAS)])
    };
    alter(admin, topics.into_iter().map(free).collect()).await
}
