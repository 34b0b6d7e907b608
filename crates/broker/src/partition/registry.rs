use super::Partition;
use crate::metrics::{TopicCounters, TopicMetrics};
use ottla_types::{PartitionIndex, TopicId};
use parking_lot::RwLock;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The hosted partitions of one topic.
pub(crate) struct TopicEntry {
    pub(crate) name: Arc<str>,
    pub(crate) id: TopicId,
    partitions: RwLock<BTreeMap<PartitionIndex, Arc<Partition>>>,
}

impl TopicEntry {
    /// A partition of the topic, when it is hosted here.
    pub(crate) fn partition(&self, index: PartitionIndex) -> Option<Arc<Partition>> {
        self.partitions.read().get(&index).cloned()
    }

    /// All hosted partitions of the topic in their order.
    pub(crate) fn partitions(&self) -> Vec<Arc<Partition>> {
        self.partitions.read().values().cloned().collect()
    }
}

#[derive(Default)]
struct Index {
    by_name: HashMap<Arc<str>, Arc<TopicEntry>>,
    by_id: HashMap<TopicId, Arc<TopicEntry>>,
}

/// All partitions that this broker hosts, found by topic name or id. Changed only when metadata is published.
#[derive(Default)]
pub(crate) struct PartitionRegistry {
    index: RwLock<Index>,
    /// What is counted of all topics together.
    counters: Arc<TopicCounters>,
}

impl PartitionRegistry {
    /// The counters of all topics together.
    pub(crate) fn counters(&self) -> &TopicCounters {
        &self.counters
    }

    /// The counters that a partition of a topic feeds: those of its siblings, if there are any.
    pub(crate) fn metrics_for(&self, id: TopicId) -> TopicMetrics {
        let sibling = self.topic_by_id(id).and_then(|entry| entry.partitions.read().values().next().cloned());
        sibling.map_or_else(|| TopicMetrics::new(self.counters.clone()), |sibling| sibling.metrics.clone())
    }

    /// The topic of a name, when any of its partitions is hosted here.
    pub(crate) fn topic(&self, name: &str) -> Option<Arc<TopicEntry>> {
        self.index.read().by_name.get(name).cloned()
    }

    /// The topic of an id, when any of its partitions is hosted here.
    pub(crate) fn topic_by_id(&self, id: TopicId) -> Option<Arc<TopicEntry>> {
        self.index.read().by_id.get(&id).cloned()
    }

    /// A hosted partition.
    pub(crate) fn partition(&self, topic: &str, index: PartitionIndex) -> Option<Arc<Partition>> {
        self.topic(topic)?.partition(index)
    }

    /// Enters a partition. An older topic of the same name is replaced as a whole: it was deleted.
    pub(crate) fn insert(&self, partition: Arc<Partition>) {
        let entry = self.entry(&partition.topic, partition.topic_id);
        entry.partitions.write().insert(partition.index, partition);
    }

    fn entry(&self, name: &Arc<str>, id: TopicId) -> Arc<TopicEntry> {
        let mut index = self.index.write();
        if let Some(entry) = index.by_id.get(&id) {
            return entry.clone();
        }
        let entry = Arc::new(TopicEntry { name: name.clone(), id, partitions: RwLock::default() });
        index.by_id.insert(id, entry.clone());
        if let Some(older) = index.by_name.insert(name.clone(), entry.clone()) {
            index.by_id.remove(&older.id);
        }
        entry
    }

    /// Takes a partition out, and says which it was.
    pub(crate) fn remove(&self, id: TopicId, partition: PartitionIndex) -> Option<Arc<Partition>> {
        let mut index = self.index.write();
        let entry = index.by_id.get(&id)?.clone();
        let mut partitions = entry.partitions.write();
        let removed = partitions.remove(&partition);
        if partitions.is_empty() {
            index.by_id.remove(&id);
            if index.by_name.get(&entry.name).is_some_and(|other| other.id == id) {
                index.by_name.remove(&entry.name);
            }
        }
        removed
    }

    /// All hosted partitions, in the order of topic names and partition numbers.
    pub(crate) fn all(&self) -> Vec<Arc<Partition>> {
        let mut topics: Vec<_> = self.index.read().by_id.values().cloned().collect();
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        topics.iter().flat_map(|topic| topic.partitions()).collect()
    }
}
