use crate::record::CommittedOffset;
use ottla_types::ProducerId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A map by group, topic and partition. Has no empty inner map.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ByPartition<V> {
    groups: BTreeMap<Arc<str>, ByTopic<V>>,
}

/// The part of one group.
pub(super) type ByTopic<V> = BTreeMap<Arc<str>, BTreeMap<i32, V>>;

impl<V> Default for ByPartition<V> {
    fn default() -> Self {
        Self { groups: BTreeMap::new() }
    }
}

impl<V> ByPartition<V> {
    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    pub(super) fn group(&self, group_id: &str) -> Option<&ByTopic<V>> {
        self.groups.get(group_id)
    }

    pub(super) fn groups(&self) -> impl Iterator<Item = (&Arc<str>, &ByTopic<V>)> {
        self.groups.iter()
    }

    pub(super) fn get(&self, group_id: &str, topic: &str, partition: i32) -> Option<&V> {
        self.groups.get(group_id)?.get(topic)?.get(&partition)
    }

    pub(super) fn entry(&mut self, group_id: &Arc<str>, topic: &Arc<str>) -> &mut BTreeMap<i32, V> {
        // The keys are usually there already: don't clone for nothing.
        if !self.groups.contains_key(group_id) {
            self.groups.insert(group_id.clone(), BTreeMap::new());
        }
        self.groups.entry(group_id.clone()).or_default().entry(topic.clone()).or_default()
    }

    pub(super) fn remove(&mut self, group_id: &str, topic: &str, partition: i32) -> Option<V> {
        let topics = self.groups.get_mut(group_id)?;
        let partitions = topics.get_mut(topic)?;
        let removed = partitions.remove(&partition);
        if partitions.is_empty() {
            topics.remove(topic);
            if topics.is_empty() {
                self.groups.remove(group_id);
            }
        }
        removed
    }

    pub(super) fn each(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<str>, i32, &V)> {
        self.groups.iter().flat_map(|(group_id, topics)| {
            topics.iter().flat_map(move |(topic, partitions)| {
                partitions.iter().map(move |(partition, value)| (group_id, topic, *partition, value))
            })
        })
    }
}

/// The committed offsets of one partition's groups, and those that open transactions will commit.
///
/// Changed by replay only. Invariant: `open` names exactly the producers that have the partition in `pending`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct OffsetStore {
    pub(super) committed: ByPartition<CommittedOffset>,
    pub(super) pending: BTreeMap<ProducerId, ByPartition<CommittedOffset>>,
    pub(super) open: ByPartition<BTreeSet<ProducerId>>,
}

impl OffsetStore {
    /// The committed offset of a partition.
    pub(crate) fn get(&self, group_id: &str, topic: &str, partition: i32) -> Option<&CommittedOffset> {
        self.committed.get(group_id, topic, partition)
    }

    /// How many offsets are committed.
    pub(crate) fn len(&self) -> usize {
        self.committed.each().count()
    }

    pub(super) fn has_open_transaction(&self, group_id: &str, topic: &str, partition: i32) -> bool {
        self.open.get(group_id, topic, partition).is_some()
    }

    /// Applies a plain commit.
    pub(crate) fn replay_commit(
        &mut self,
        group_id: &Arc<str>,
        topic: &Arc<str>,
        partition: i32,
        offset: CommittedOffset,
    ) {
        self.committed.entry(group_id, topic).insert(partition, offset);
    }

    /// Applies a tombstone: it ends the committed offset and those that open transactions would have committed.
    pub(crate) fn replay_tombstone(&mut self, group_id: &str, topic: &str, partition: i32) {
        self.committed.remove(group_id, topic, partition);
        for producer_id in self.open.remove(group_id, topic, partition).unwrap_or_default() {
            if let Some(pending) = self.pending.get_mut(&producer_id) {
                pending.remove(group_id, topic, partition);
                if pending.is_empty() {
                    self.pending.remove(&producer_id);
                }
            }
        }
    }
}
