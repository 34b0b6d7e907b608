use ottla_types::TopicPartition;
use std::collections::{BTreeMap, BTreeSet};

/// Where the replicas of a cluster are, and where they may be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Layout {
    /// The brokers that replicas are to be spread over, with their racks.
    pub(super) targets: BTreeMap<i32, Option<String>>,
    /// The brokers that are to hold nothing. What is on any other broker that is no target stays: it may come back.
    pub(super) leaving: BTreeSet<i32>,
    /// The partitions.
    pub(super) partitions: BTreeMap<TopicPartition, Partition>,
}

/// A partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Partition {
    /// Its replicas, the preferred leader first.
    pub(super) replicas: Vec<i32>,
    /// How many bytes a replica has.
    pub(super) bytes: u64,
    /// Whether nobody leads it: then there is nobody to copy it from.
    pub(super) is_leaderless: bool,
}

/// Partitions with the replicas that they are to have; those that stay as they are, are not among them.
pub(super) type Changes = BTreeMap<TopicPartition, Vec<i32>>;

/// Why nothing can be planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unplannable {
    /// There are not enough brokers for a partition's replicas.
    TooFewBrokers { partition: TopicPartition, replicas: usize, targets: usize },
}

impl Layout {
    /// Whether replicas of a partition are to be in different racks: where every target says in which it is, and they are not all
    /// in one.
    pub(super) fn has_racks(&self) -> bool {
        let racks: BTreeSet<_> = self.targets.values().collect();
        racks.len() > 1 && !racks.contains(&None)
    }

    /// The layout after the changes.
    pub(super) fn after(&self, changes: &Changes) -> Self {
        let mut after = self.clone();
        for (partition, replicas) in changes {
            if let Some(partition) = after.partitions.get_mut(partition) {
                partition.replicas.clone_from(replicas);
            }
        }
        after
    }

    /// The brokers to which a partition is copied.
    pub(super) fn added(&self, partition: &TopicPartition, replicas: &[i32]) -> Vec<i32> {
        let before = self.partitions.get(partition).map_or(&[][..], |partition| &partition.replicas);
        replicas.iter().filter(|broker| !before.contains(broker)).copied().collect()
    }

    /// How many bytes the changes copy between brokers.
    pub(super) fn bytes_copied(&self, changes: &Changes) -> u64 {
        let copied = |(name, replicas): (&TopicPartition, &Vec<i32>)| {
            let bytes = self.partitions.get(name).map_or(0, |partition| partition.bytes);
            bytes.saturating_mul(self.added(name, replicas).len() as u64)
        };
        changes.iter().map(copied).fold(0, u64::saturating_add)
    }
}
