use ottla_metadata::{MetadataImage, Partition, Topic};
use ottla_types::{BrokerId, PartitionIndex, TopicId, TopicIdPartition};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A set of partitions: by topic, the sorted numbers. Takes about four bytes a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PartitionSet {
    topics: BTreeMap<TopicId, Vec<PartitionIndex>>,
    partitions: usize,
}

impl PartitionSet {
    fn insert(&mut self, key: TopicIdPartition) {
        let indexes = self.topics.entry(key.topic_id).or_default();
        if let Err(position) = indexes.binary_search(&key.partition) {
            indexes.insert(position, key.partition);
            self.partitions += 1;
        }
    }

    fn remove(&mut self, key: TopicIdPartition) {
        let Some(indexes) = self.topics.get_mut(&key.topic_id) else { return };
        if let Ok(position) = indexes.binary_search(&key.partition) {
            indexes.remove(position);
            self.partitions -= 1;
        }
        if indexes.is_empty() {
            self.topics.remove(&key.topic_id);
        }
    }

    fn set(&mut self, key: TopicIdPartition, is_in: bool) {
        if is_in {
            self.insert(key);
        } else {
            self.remove(key);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.partitions
    }

    /// All of them, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = TopicIdPartition> {
        self.topics.iter().flat_map(|(topic_id, indexes)| {
            indexes.iter().map(|partition| TopicIdPartition { topic_id: *topic_id, partition: *partition })
        })
    }

    /// The partitions of one topic, in order.
    pub(crate) fn of_topic(&self, id: TopicId) -> &[PartitionIndex] {
        self.topics.get(&id).map(Vec::as_slice).unwrap_or_default()
    }
}

/// Partitions by what an event asks for, so that no event has to look at all of them. Follows from the image at any time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PartitionsByState {
    in_sync: BTreeMap<BrokerId, PartitionSet>,
    eligible: BTreeMap<BrokerId, PartitionSet>,
    /// How many partitions each broker leads; no entry for none.
    led: BTreeMap<BrokerId, usize>,
    leaderless: PartitionSet,
    not_led_by_preferred: PartitionSet,
    reassigning: PartitionSet,
    partitions: usize,
}

impl PartitionsByState {
    pub(crate) fn of(image: &MetadataImage) -> Self {
        let mut by_state = Self::default();
        for topic in image.topics.iter() {
            by_state.add_topic(topic);
        }
        by_state
    }

    pub(crate) fn add_topic(&mut self, topic: &Topic) {
        for (index, partition) in topic.partitions.iter() {
            self.update(TopicIdPartition { topic_id: topic.id, partition: *index }, None, Some(partition));
        }
    }

    pub(crate) fn remove_topic(&mut self, topic: &Topic) {
        for (index, partition) in topic.partitions.iter() {
            self.update(TopicIdPartition { topic_id: topic.id, partition: *index }, Some(partition), None);
        }
    }

    /// One partition came, changed or went.
    pub(crate) fn update(
        &mut self,
        key: TopicIdPartition,
        before: Option<&Arc<Partition>>,
        after: Option<&Arc<Partition>>,
    ) {
        move_between(&mut self.in_sync, key, in_sync(before), in_sync(after));
        move_between(&mut self.eligible, key, eligible(before), eligible(after));
        self.count_leader(before, after);
        self.leaderless.set(key, after.is_some_and(|partition| !partition.has_leader()));
        self.not_led_by_preferred.set(key, after.is_some_and(|partition| !partition.has_preferred_leader()));
        self.reassigning.set(key, after.is_some_and(|partition| partition.is_reassigning()));
        self.partitions += usize::from(after.is_some());
        self.partitions -= usize::from(before.is_some());
    }

    fn count_leader(&mut self, before: Option<&Arc<Partition>>, after: Option<&Arc<Partition>>) {
        let leader = |partition: Option<&Arc<Partition>>| partition.filter(|p| p.has_leader()).map(|p| p.leader);
        let (old, new) = (leader(before), leader(after));
        if old == new {
            return;
        }
        if let Some(id) = old {
            let count = self.led.remove(&id).unwrap_or(0);
            if count > 1 {
                self.led.insert(id, count - 1);
            }
        }
        if let Some(id) = new {
            *self.led.entry(id).or_insert(0) += 1;
        }
    }

    pub(crate) fn in_sync_with(&self, id: BrokerId) -> impl Iterator<Item = TopicIdPartition> {
        self.in_sync.get(&id).into_iter().flat_map(PartitionSet::iter)
    }

    pub(crate) fn eligible_for(&self, id: BrokerId) -> impl Iterator<Item = TopicIdPartition> {
        self.eligible.get(&id).into_iter().flat_map(PartitionSet::iter)
    }

    pub(crate) fn leads_any(&self, id: BrokerId) -> bool {
        self.led.contains_key(&id)
    }

    pub(crate) fn leaderless(&self) -> &PartitionSet {
        &self.leaderless
    }

    pub(crate) fn not_led_by_preferred(&self) -> &PartitionSet {
        &self.not_led_by_preferred
    }

    pub(crate) fn reassigning(&self) -> &PartitionSet {
        &self.reassigning
    }

    /// How many partitions there are.
    pub(crate) fn partitions(&self) -> usize {
        self.partitions
    }
}

fn in_sync(partition: Option<&Arc<Partition>>) -> &[BrokerId] {
    partition.map(|partition| &*partition.in_sync_replicas).unwrap_or_default()
}

fn eligible(partition: Option<&Arc<Partition>>) -> &[BrokerId] {
    partition.map(|partition| &*partition.eligible_leader_replicas).unwrap_or_default()
}

fn move_between(
    sets: &mut BTreeMap<BrokerId, PartitionSet>,
    key: TopicIdPartition,
    before: &[BrokerId],
    after: &[BrokerId],
) {
    for id in before.iter().filter(|id| !after.contains(id)) {
        if let Some(set) = sets.get_mut(id) {
            set.remove(key);
            if set.len() == 0 {
                sets.remove(id);
            }
        }
    }
    for id in after.iter().filter(|id| !before.contains(id)) {
        sets.entry(*id).or_default().insert(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_types::NodeId;

    fn key(topic: u128, partition: i32) -> TopicIdPartition {
        TopicIdPartition { topic_id: TopicId::from_u128(topic), partition: PartitionIndex(partition) }
    }

    fn partition(in_sync: &[i32], eligible: &[i32], leader: i32) -> Arc<Partition> {
        let nodes = |list: &[i32]| list.iter().copied().map(NodeId).collect();
        Arc::new(Partition {
            replicas: nodes(&[1, 2]),
            in_sync_replicas: nodes(in_sync),
            eligible_leader_replicas: nodes(eligible),
            leader: NodeId(leader),
            ..Default::default()
        })
    }

    #[test]
    fn a_partition_is_found_by_what_it_is_and_no_longer_by_what_it_was() {
        let mut by_state = PartitionsByState::default();
        let (whole, shrunk, dead) = (partition(&[1, 2], &[], 1), partition(&[2], &[], 2), partition(&[], &[2], -1));
        by_state.update(key(1, 0), None, Some(&whole));
        by_state.update(key(1, 1), None, Some(&whole));
        assert!(by_state.in_sync_with(NodeId(2)).eq([key(1, 0), key(1, 1)]));
        assert!(by_state.leads_any(NodeId(1)) && !by_state.leads_any(NodeId(2)));
        by_state.update(key(1, 0), Some(&whole), Some(&shrunk));
        assert!(by_state.in_sync_with(NodeId(1)).eq([key(1, 1)]));
        assert!(by_state.leads_any(NodeId(1)) && by_state.leads_any(NodeId(2)));
        assert!(by_state.not_led_by_preferred().iter().eq([key(1, 0)]));
        by_state.update(key(1, 0), Some(&shrunk), Some(&dead));
        assert!(by_state.leaderless().iter().eq([key(1, 0)]));
        assert!(by_state.eligible_for(NodeId(2)).eq([key(1, 0)]));
        assert!(!by_state.leads_any(NodeId(2)));
        by_state.update(key(1, 0), Some(&dead), None);
        by_state.update(key(1, 1), Some(&whole), None);
        assert_eq!(by_state, PartitionsByState::default());
    }
}
