use ottla_types::TopicId;
use std::collections::{BTreeMap, BTreeSet};

/// Partitions by the id of their topic.
pub type Partitions = BTreeMap<TopicId, BTreeSet<i32>>;

/// Partitions that a member holds, each with the member epoch in which it was assigned (KIP-1251).
pub type HeldPartitions = BTreeMap<TopicId, BTreeMap<i32, i32>>;

/// Whether a partition is held, and since which epoch.
pub(crate) fn epoch_of(held: &HeldPartitions, topic: TopicId, partition: i32) -> Option<i32> {
    held.get(&topic)?.get(&partition).copied()
}

/// Each partition.
pub(crate) fn each(held: &HeldPartitions) -> impl Iterator<Item = (TopicId, i32)> + '_ {
    held.iter().flat_map(|(topic, partitions)| partitions.keys().map(|partition| (*topic, *partition)))
}
