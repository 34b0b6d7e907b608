//! What a cluster is asked and told beside the load.

use std::time::Duration;

use ottla_protocol::messages::alter_partition_reassignments_request::{
    AlterPartitionReassignmentsRequest, ReassignablePartition, ReassignableTopic,
};
use ottla_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use ottla_protocol::messages::describe_quorum_request::{DescribeQuorumRequest, PartitionData, TopicData};
use ottla_protocol::messages::elect_leaders_request::{ElectLeadersRequest, TopicPartitions};
use ottla_protocol::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use ottla_protocol::messages::metadata_response::{MetadataResponse, MetadataResponsePartition};

use crate::Failure;
use crate::cluster::{Cluster, NODES};
use crate::wire::check;

const METADATA_VERSION: i16 = 12;
const CREATE_TOPICS_VERSION: i16 = 7;
const ELECT_LEADERS_VERSION: i16 = 2;
const REASSIGN_VERSION: i16 = 1;
const DESCRIBE_QUORUM_VERSION: i16 = 2;
/// The election of the replica that stands first.
const PREFERRED: i8 = 0;
/// What an election answers where the right one leads already.
const ELECTION_NOT_NEEDED: i16 = 84;
const TIMEOUT_MS: i32 = 60_000;

impl Cluster {
    /// How many nodes serve and know all others.
    pub fn alive(&self) -> Result<usize, Failure> {
        let mut alive = 0;
        for node in 0..NODES {
            let known = self.metadata(node, None)?.brokers.len();
            alive += usize::from(known == NODES);
        }
        Ok(alive)
    }

    fn metadata(&self, node: usize, topic: Option<&str>) -> Result<MetadataResponse, Failure> {
        let topics = topic.map(|name| MetadataRequestTopic { name: Some(name.to_owned()), ..Default::default() });
        let topics = Some(topics.into_iter().collect());
        let request = MetadataRequest { topics, allow_auto_topic_creation: false, ..Default::default() };
        self.connect(node)?.exchange(&request, METADATA_VERSION)
    }

    /// What a node knows of a topic's partitions.
    pub fn partitions(&self, node: usize, topic: &str) -> Result<Vec<MetadataResponsePartition>, Failure> {
        let response = self.metadata(node, Some(topic))?;
        let topic = response.topics.into_iter().next().ok_or_else(|| Failure::from("Metadata without its topic"))?;
        check("Metadata", topic.error_code)?;
        Ok(topic.partitions)
    }

    /// Makes a topic whose partitions all lie on these nodes, the first of which leads.
    pub fn create_topic(&self, name: &str, partitions: i32, nodes: &[usize]) -> Result<(), Failure> {
        let broker_ids = ids(nodes);
        let assignment = |partition_index| CreatableReplicaAssignment {
            partition_index,
            broker_ids: broker_ids.clone(),
            ..Default::default()
        };
        let configs = [("file.delete.delay.ms", "1000"), ("min.insync.replicas", "2")];
        let config = |(name, value): (&str, &str)| CreatableTopicConfig {
            name: name.to_owned(),
            value: Some(value.to_owned()),
            ..Default::default()
        };
        let topic = CreatableTopic {
            name: name.to_owned(),
            num_partitions: -1,
            replication_factor: -1,
            assignments: (0..partitions).map(assignment).collect(),
            configs: configs.into_iter().map(config).collect(),
            ..Default::default()
        };
        let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: TIMEOUT_MS, ..Default::default() };
        let response = self.connect(nodes[0])?.exchange(&request, CREATE_TOPICS_VERSION)?;
        response.topics.iter().try_for_each(|topic| check("CreateTopics", topic.error_code))?;
        self.wait_for_leader(name, partitions, nodes)
    }

    /// Moves all partitions of a topic to these nodes, and does not wait until they are there.
    pub fn reassign(&self, topic: &str, partitions: i32, nodes: &[usize]) -> Result<(), Failure> {
        let partition = |partition_index| ReassignablePartition {
            partition_index,
            replicas: Some(ids(nodes)),
            ..Default::default()
        };
        let topic = ReassignableTopic {
            name: topic.to_owned(),
            partitions: (0..partitions).map(partition).collect(),
            ..Default::default()
        };
        let request = AlterPartitionReassignmentsRequest {
            timeout_ms: TIMEOUT_MS,
            allow_replication_factor_change: true,
            topics: vec![topic],
            ..Default::default()
        };
        let response = self.connect(nodes[0])?.exchange(&request, REASSIGN_VERSION)?;
        check("AlterPartitionReassignments", response.error_code)?;
        let mut answers = response.responses.iter().flat_map(|topic| &topic.partitions);
        answers.try_for_each(|partition| check("AlterPartitionReassignments", partition.error_code))
    }

    /// Has the replicas that stand first lead.
    fn elect(&self, topic: &str, partitions: i32, through: usize) -> Result<(), Failure> {
        let topic =
            TopicPartitions { topic: topic.to_owned(), partitions: (0..partitions).collect(), ..Default::default() };
        let request = ElectLeadersRequest {
            election_type: PREFERRED,
            topic_partitions: Some(vec![topic]),
            timeout_ms: TIMEOUT_MS,
            ..Default::default()
        };
        let response = self.connect(through)?.exchange(&request, ELECT_LEADERS_VERSION)?;
        check("ElectLeaders", response.error_code)?;
        let answers = response.replica_election_results.iter().flat_map(|topic| &topic.partition_result);
        let mut wrong = answers.map(|answer| answer.error_code).filter(|code| *code != ELECTION_NOT_NEEDED);
        wrong.try_for_each(|code| check("ElectLeaders", code))
    }

    /// Has these nodes hold a topic's partitions, the first of them as their leader, and waits until all are in sync.
    pub fn place(&self, topic: &str, partitions: i32, nodes: &[usize]) -> Result<(), Failure> {
        self.wait_until("all are in sync before leaders change", |cluster| {
            let known = cluster.partitions(nodes[0], topic)?;
            Ok(known.len() == partitions as usize && known.iter().all(|partition| partition.isr_nodes.len() >= NODES))
        })?;
        self.reassign(topic, partitions, nodes)?;
        self.wait_until("its replicas stand as they should", |cluster| {
            let known = cluster.partitions(nodes[0], topic)?;
            Ok(known.iter().all(|partition| partition.replica_nodes == ids(nodes)))
        })?;
        self.wait_until("the first replica is elected", |cluster| {
            cluster.elect(topic, partitions, nodes[0]).map(|()| true)
        })?;
        self.wait_for_leader(topic, partitions, nodes)
    }

    /// Waits until all nodes know that the first of `nodes` leads all partitions and that all of them are in sync.
    pub fn wait_for_leader(&self, topic: &str, partitions: i32, nodes: &[usize]) -> Result<(), Failure> {
        let leader_id = nodes[0] as i32 + 1;
        self.wait_until("the right node leads and all are in sync", |cluster| {
            for node in 0..NODES {
                let known = cluster.partitions(node, topic)?;
                let right = |partition: &MetadataResponsePartition| {
                    partition.leader_id == leader_id && partition.isr_nodes.len() == nodes.len()
                };
                if known.len() != partitions as usize || !known.iter().all(right) {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }

    /// Waits until every partition of a topic has so many replicas in sync, as `node` knows it.
    pub fn wait_for_replicas(&self, node: usize, topic: &str, in_sync: usize) -> Result<(), Failure> {
        self.wait_until("all are in sync", |cluster| {
            let known = cluster.partitions(node, topic)?;
            Ok(!known.is_empty() && known.iter().all(|partition| partition.isr_nodes.len() == in_sync))
        })
    }

    /// Removes a topic, and waits until no node knows it any more: the next one may have its name.
    pub fn delete_topic(&self, topic: &str) -> Result<(), Failure> {
        self.connect(0)?.delete_topic(topic)?;
        self.wait_until("the topic is gone", |cluster| {
            Ok((0..NODES).all(|node| cluster.partitions(node, topic).is_err()))
        })
    }

    /// Which node's controller is active.
    pub fn active_controller(&self) -> Result<usize, Failure> {
        let mut active = None;
        self.wait_until("a controller is active", |cluster| {
            let partitions = vec![PartitionData::default()];
            let topic = TopicData { topic_name: "__cluster_metadata".to_owned(), partitions, ..Default::default() };
            let request = DescribeQuorumRequest { topics: vec![topic], ..Default::default() };
            let response = cluster.connect(0)?.exchange(&request, DESCRIBE_QUORUM_VERSION)?;
            let partition = response.topics.first().and_then(|topic| topic.partitions.first());
            let partition = partition.filter(|partition| partition.error_code == 0 && partition.leader_id > 0);
            active = partition.map(|partition| partition.leader_id as usize - 1);
            Ok(active.is_some())
        })?;
        active.ok_or_else(|| Failure::from("no controller is active"))
    }
}

fn ids(nodes: &[usize]) -> Vec<i32> {
    nodes.iter().map(|node| *node as i32 + 1).collect()
}

/// Time in milliseconds.
pub fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
