use ottla_protocol::messages::MetadataResponse;
use ottla_protocol::messages::metadata_response::{MetadataResponsePartition, MetadataResponseTopic};
use ottla_types::{LeaderEpoch, NodeId, TopicId};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// Where a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeEndpoint {
    /// Its advertised host.
    pub host: String,
    /// Its advertised port.
    pub port: i32,
    /// Its rack, where it has one.
    pub rack: Option<String>,
}

/// What a client knows of a cluster.
#[derive(Clone, Debug, Default)]
pub struct ClusterMetadata {
    /// The cluster's id.
    pub cluster_id: Option<String>,
    /// The node that is to be asked for changes; under KRaft any live broker, which forwards.
    pub controller: Option<NodeId>,
    /// The live brokers.
    pub brokers: BTreeMap<NodeId, NodeEndpoint>,
    /// The topics that were asked for and exist.
    pub topics: BTreeMap<String, TopicMetadata>,
}

impl ClusterMetadata {
    /// The topic's metadata, where it is known.
    pub fn topic(&self, name: &str) -> Option<&TopicMetadata> {
        self.topics.get(name)
    }

    /// The leader of a partition and its epoch, where there is one and it is known.
    pub fn leader(&self, topic: &str, partition: i32) -> Option<(NodeId, LeaderEpoch)> {
        let partition = self.topics.get(topic)?.partition(partition)?;
        (partition.leader != NodeId::NONE).then_some((partition.leader, partition.leader_epoch))
    }
}

/// One topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicMetadata {
    /// Its id; zero when the server is too old to tell.
    pub id: TopicId,
    /// Whether it is one of Kafka's own.
    pub is_internal: bool,
    /// Its partitions, sorted by number.
    pub partitions: Vec<PartitionMetadata>,
}

impl TopicMetadata {
    /// The partition of that number.
    pub fn partition(&self, index: i32) -> Option<&PartitionMetadata> {
        let at = self.partitions.binary_search_by_key(&index, |partition| partition.index).ok()?;
        self.partitions.get(at)
    }
}

/// One partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionMetadata {
    /// Its number.
    pub index: i32,
    /// Its leader; [`NodeId::NONE`] when there is none.
    pub leader: NodeId,
    /// The leader's epoch.
    pub leader_epoch: LeaderEpoch,
    /// All replicas, the preferred leader first.
    pub replicas: Vec<NodeId>,
    /// The replicas in sync.
    pub in_sync_replicas: Vec<NodeId>,
    /// The replicas on failed disks or nodes.
    pub offline_replicas: Vec<NodeId>,
}

#[derive(Default)]
pub(super) struct MetadataCache {
    pub(super) current: Arc<ClusterMetadata>,
    pub(super) refreshed: Option<Instant>,
}

impl MetadataCache {
    /// Takes in an answer: its brokers replace those known, its topics are merged.
    pub(super) fn merge(&mut self, response: &MetadataResponse, now: Instant) {
        let mut merged = ClusterMetadata {
            cluster_id: response.cluster_id.clone(),
            controller: (response.controller_id >= 0).then_some(NodeId(response.controller_id)),
            brokers: BTreeMap::new(),
            topics: self.current.topics.clone(),
        };
        for broker in &response.brokers {
            let endpoint = NodeEndpoint { host: broker.host.clone(), port: broker.port, rack: broker.rack.clone() };
            merged.brokers.insert(NodeId(broker.node_id), endpoint);
        }
        for topic in &response.topics {
            let Some(name) = &topic.name else { continue };
            if topic.error_code == 0 {
                let known = self.current.topics.get(name);
                merged.topics.insert(name.clone(), merge_topic(topic, known));
            } else {
                merged.topics.remove(name);
            }
        }
        self.current = Arc::new(merged);
        self.refreshed = Some(now);
    }
}

fn merge_topic(topic: &MetadataResponseTopic, known: Option<&TopicMetadata>) -> TopicMetadata {
    // A topic that was deleted and made again starts its epochs anew.
    let known = known.filter(|known| known.id == topic.topic_id);
    let mut partitions: Vec<_> = topic
        .partitions
        .iter()
        .map(|partition| {
            let fresh = partition_metadata(partition);
            // Another broker may lag behind the one asked before: an older epoch must not undo what is known (KIP-320).
            let newer = known.and_then(|known| known.partition(fresh.index));
            newer.filter(|newer| newer.leader_epoch > fresh.leader_epoch).cloned().unwrap_or(fresh)
        })
        .collect();
    partitions.sort_by_key(|partition| partition.index);
    TopicMetadata { id: topic.topic_id, is_internal: topic.is_internal, partitions }
}

fn partition_metadata(partition: &MetadataResponsePartition) -> PartitionMetadata {
    let nodes = |ids: &[i32]| ids.iter().copied().map(NodeId).collect();
    PartitionMetadata {
        index: partition.partition_index,
        leader: NodeId(partition.leader_id),
        leader_epoch: LeaderEpoch(partition.leader_epoch),
        replicas: nodes(&partition.replica_nodes),
        in_sync_replicas: nodes(&partition.isr_nodes),
        offline_replicas: nodes(&partition.offline_replicas),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(id: u128, leader: i32, epoch: i32) -> MetadataResponse {
        let partition = MetadataResponsePartition { leader_id: leader, leader_epoch: epoch, ..Default::default() };
        let topic = MetadataResponseTopic {
            name: Some("t".to_owned()),
            topic_id: TopicId::from_u128(id),
            partitions: vec![partition],
            ..Default::default()
        };
        MetadataResponse { topics: vec![topic], ..Default::default() }
    }

    fn leader_after(answers: &[MetadataResponse]) -> Option<(NodeId, LeaderEpoch)> {
        let mut cache = MetadataCache::default();
        for answer in answers {
            cache.merge(answer, Instant::now());
        }
        cache.current.leader("t", 0)
    }

    #[test]
    fn an_older_leader_epoch_does_not_undo_a_newer_one() {
        let leader = leader_after(&[answer(1, 2, 5), answer(1, 1, 4)]);
        assert_eq!(leader, Some((NodeId(2), LeaderEpoch(5))));
    }

    #[test]
    fn a_topic_made_again_starts_its_epochs_anew() {
        let leader = leader_after(&[answer(1, 2, 5), answer(9, 1, 0)]);
        assert_eq!(leader, Some((NodeId(1), LeaderEpoch(0))));
    }

    #[test]
    fn a_topic_that_is_gone_is_forgotten() {
        let mut gone = answer(1, 2, 5);
        gone.topics[0].error_code = 3;
        assert_eq!(leader_after(&[answer(1, 2, 5), gone]), None);
    }

    #[test]
    fn a_partition_without_a_leader_has_none() {
        assert_eq!(leader_after(&[answer(1, -1, 6)]), None);
    }
}
