//! The limits of a reassignment, and those that an earlier one has left behind.

use super::moving::Moving;
use crate::replication_throttle::{
    FOLLOWER_RATE, FOLLOWER_REPLICAS, LEADER_RATE, LEADER_REPLICAS, alter, broker, delete, free_topics, limit,
};
use ottla_client::{Admin, ClientError, ConfigResource, ResourceKind};
use std::collections::BTreeSet;

/// Limits what moves.
pub(super) async fn set(admin: &Admin, moving: &Moving, rate: i64) -> Result<(), ClientError> {
    // Only a broker that is there can be told, and only such a one sends.
    let mut moves = moving.moves.clone();
    for one in moves.values_mut() {
        one.sources.retain(|id| moving.living.contains(id));
        one.destinations.retain(|id| moving.living.contains(id));
    }
    limit(admin, &moves, rate).await
}

/// Takes the limits of these brokers and of these topics' replicas away.
pub(super) async fn clear(admin: &Admin, brokers: &BTreeSet<i32>, topics: BTreeSet<String>) -> Result<(), ClientError> {
    free_topics(admin, topics).await?;
    let free = |id: &i32| (broker(*id), vec![delete(LEADER_RATE), delete(FOLLOWER_RATE)]);
    alter(admin, brokers.iter().map(free).collect()).await
}

/// The topics whose replicas are limited.
pub(super) async fn limited_topics(admin: &Admin) -> Result<BTreeSet<String>, ClientError> {
    let names = admin.list_topics().await?.into_keys();
    let resources: Vec<_> = names.map(|name| ConfigResource::new(ResourceKind::Topic, name)).collect();
    let mut limited = BTreeSet::new();
    for (resource, entries) in admin.describe_configs(&resources, false).await? {
        // A topic that was deleted meanwhile is none.
        let Ok(entries) = entries else { continue };
        let is_limit = |name: &str| [LEADER_REPLICAS, FOLLOWER_REPLICAS].contains(&name);
        if entries
            .iter()
            .any(|entry| is_limit(&entry.name) && entry.value.as_deref().is_some_and(|value| !value.is_empty()))
        {
            limited.insert(resource.name);
        }
    }
    Ok(limited)
}
