//! What the cluster says of itself.

use super::layout::{Layout, Partition};
use crate::connection::PARTITIONS_PER_ANSWER;
use ottla_client::{Admin, ClientError, ErrorCode};
use ottla_types::{NodeId, TopicPartition};
use std::collections::{BTreeMap, BTreeSet};

/// Which brokers replicas are to be on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// All that are there. What is on one that is away stays.
    All,
    /// These and no others.
    Only(BTreeSet<i32>),
    /// All that are there but these.
    AllBut(BTreeSet<i32>),
}

/// The cluster, as far as it is planned with.
pub(super) struct Facts {
    pub(super) layout: Layout,
    /// The brokers that are there.
    pub(super) living: BTreeSet<i32>,
    /// Brokers that were chosen and are not there.
    pub(super) unknown: BTreeSet<i32>,
}

/// Asks for brokers, topics and sizes.
pub(super) async fn gather(admin: &Admin, choice: &Choice) -> Result<Facts, ClientError> {
    let brokers = admin.describe_cluster().await?.brokers;
    let living: BTreeMap<i32, Option<String>> = brokers.into_iter().map(|it| (it.id.value(), it.rack)).collect();
    let names = admin.list_topics().await?.into_keys().collect();
    let mut partitions = BTreeMap::new();
    for (name, topic) in admin.describe_topics(&names, PARTITIONS_PER_ANSWER).await? {
        let topic = match topic {
            // It was deleted meanwhile.
            Err(error) if error.is(ErrorCode::UnknownTopicOrPartition) => continue,
            topic => topic?,
        };
        for partition in topic.partitions {
            let replicas = partition.replicas.iter().map(|node| node.value()).collect();
            let is_leaderless = partition.leader.is_none();
            let found = Partition { replicas, bytes: 0, is_leaderless };
            partitions.insert(TopicPartition::new(name.as_str(), partition.index), found);
        }
    }
    let living_ids: BTreeSet<i32> = living.keys().copied().collect();
    for ((_, name), size) in sizes(admin, &living_ids).await? {
        if let Some(partition) = partitions.get_mut(&name) {
            partition.bytes = partition.bytes.max(size);
        }
    }
    let holding = partitions.values().flat_map(|partition| partition.replicas.iter().copied());
    let all: BTreeSet<i32> = holding.chain(living_ids.iter().copied()).collect();
    let (chosen, leaving, unknown) = match choice {
        Choice::All => (living_ids.clone(), BTreeSet::new(), BTreeSet::new()),
        Choice::Only(ids) => {
            (ids.clone(), all.difference(ids).copied().collect(), ids.difference(&living_ids).copied().collect())
        }
        Choice::AllBut(ids) => {
            (living_ids.difference(ids).copied().collect(), ids.clone(), ids.difference(&all).copied().collect())
        }
    };
    let targets = living.into_iter().filter(|(id, _)| chosen.contains(id)).collect();
    Ok(Facts { layout: Layout { targets, leaving, partitions }, living: living_ids, unknown })
}

/// How many bytes these brokers have of each partition.
pub(super) async fn sizes(
    admin: &Admin,
    brokers: &BTreeSet<i32>,
) -> Result<BTreeMap<(i32, TopicPartition), u64>, ClientError> {
    let mut sizes = BTreeMap::new();
    for broker in brokers {
        let directories = admin.describe_log_dirs(*broker).await?.into_values();
        for replica in directories.flat_map(|directory| directory.replicas).filter(|replica| !replica.is_future) {
            sizes.insert((*broker, replica.partition), u64::try_from(replica.size).unwrap_or(0));
        }
    }
    Ok(sizes)
}

/// The brokers as messages name them.
pub(super) fn nodes(ids: &[i32]) -> Vec<NodeId> {
    ids.iter().copied().map(NodeId).collect()
}
