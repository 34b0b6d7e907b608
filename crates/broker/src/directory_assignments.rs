//! Replicas that lie in another log directory than the cluster's metadata says, until the controller has been told.

use ottla_protocol::messages::AssignReplicasToDirsRequest;
use ottla_protocol::messages::assign_replicas_to_dirs_request::{DirectoryData, PartitionData, TopicData};
use ottla_types::{BrokerEpoch, DirectoryId, NodeId, PartitionIndex, TopicId};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;

type Assigned = BTreeMap<(TopicId, PartitionIndex), DirectoryId>;

/// What the controller is still to be told of where replicas lie (KIP-858). Noted while metadata is published, told in the
/// node's tick. Bounded by the partitions of the broker.
pub(crate) struct DirectoryAssignments {
    noted: Mutex<Assigned>,
    wake: Arc<dyn Fn() + Send + Sync>,
}

impl DirectoryAssignments {
    /// Nothing is noted yet; `wake` has the node's tick come soon.
    pub(crate) fn new(wake: Arc<dyn Fn() + Send + Sync>) -> Self {
        Self { noted: Mutex::default(), wake }
    }

    /// Notes where a replica lies. What was noted before of the same replica counts no more. It is told soon: a replica without
    /// records has no files yet, so that nobody would know after a crash.
    pub(crate) fn note(&self, topic: TopicId, partition: PartitionIndex, directory: DirectoryId) {
        self.noted.lock().insert((topic, partition), directory);
        (self.wake)();
    }

    /// Takes all that is noted.
    pub(crate) fn take(&self) -> Assigned {
        std::mem::take(&mut *self.noted.lock())
    }

    /// Puts back what could not be told, behind what was noted meanwhile.
    pub(crate) fn put_back(&self, untold: Assigned) {
        let mut noted = self.noted.lock();
        for (replica, directory) in untold {
            noted.entry(replica).or_insert(directory);
        }
    }
}

/// The request that tells of these.
pub(crate) fn request(broker: NodeId, epoch: BrokerEpoch, assigned: &Assigned) -> AssignReplicasToDirsRequest {
    let mut directories: BTreeMap<DirectoryId, BTreeMap<TopicId, Vec<PartitionData>>> = BTreeMap::new();
    for ((topic, partition), directory) in assigned {
        let partition = PartitionData { partition_index: partition.value(), ..Default::default() };
        directories.entry(*directory).or_default().entry(*topic).or_default().push(partition);
    }
    let topics = |topics: BTreeMap<TopicId, Vec<PartitionData>>| {
        let topics = topics.into_iter();
        topics.map(|(topic_id, partitions)| TopicData { topic_id, partitions, ..Default::default() }).collect()
    };
    let directories = directories.into_iter();
    AssignReplicasToDirsRequest {
        broker_id: broker.value(),
        broker_epoch: epoch.value(),
        directories: directories
            .map(|(id, of_directory)| DirectoryData { id, topics: topics(of_directory), ..Default::default() })
            .collect(),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn what_is_noted_is_told_soon() {
        let woken = Arc::new(AtomicUsize::new(0));
        let counting = woken.clone();
        let assignments = DirectoryAssignments::new(Arc::new(move || {
            counting.fetch_add(1, Ordering::Relaxed);
        }));
        assignments.note(TopicId::from_u128(7), PartitionIndex(1), DirectoryId::from_u128(1000));
        assert_eq!(woken.load(Ordering::Relaxed), 1);
        // What could not be told is told again when the node comes by anyway: it would do nothing else.
        assignments.put_back(assignments.take());
        assert_eq!(woken.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn what_was_noted_later_counts() {
        let assignments = DirectoryAssignments::new(Arc::new(|| ()));
        let (topic, partition) = (TopicId::from_u128(7), PartitionIndex(1));
        let [first, second] = [1000, 2000].map(DirectoryId::from_u128);
        assignments.note(topic, partition, first);
        let untold = assignments.take();
        assignments.note(topic, partition, second);
        assignments.put_back(untold);
        assignments.note(topic, PartitionIndex(2), first);
        let request = request(NodeId(1), BrokerEpoch(5), &assignments.take());
        let told: Vec<_> = request
            .directories
            .iter()
            .map(|directory| (directory.id, directory.topics[0].partitions[0].partition_index))
            .collect();
        assert_eq!(told, [(first, 2), (second, 1)]);
        assert!(assignments.take().is_empty());
    }
}
