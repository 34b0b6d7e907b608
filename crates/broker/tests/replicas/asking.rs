//! What the tests ask of nodes, and what they wait for.

use crate::harness::cluster::Cluster;
use crate::harness::{Pending, Running};
use ottla_protocol::messages::alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic};
use ottla_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use ottla_protocol::messages::elect_leaders_request::TopicPartitions;
use ottla_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use ottla_protocol::messages::fetch_response::PartitionData;
use ottla_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use ottla_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use ottla_protocol::messages::metadata_request::MetadataRequestTopic;
use ottla_protocol::messages::metadata_response::MetadataResponsePartition;
use ottla_protocol::messages::{
    AlterPartitionReassignmentsRequest, CreateTopicsRequest, ElectLeadersRequest, FetchRequest, FetchResponse,
    IncrementalAlterConfigsRequest, ListOffsetsRequest, MetadataRequest, ProduceResponse,
};
use ottla_records::Batches;
use ottla_types::TopicId;
use std::cell::RefCell;

/// The one topic of most tests.
pub(crate) const TOPIC: &str = "replicated";

/// The kinds of resources that have configurations.
pub(crate) const TOPIC_RESOURCE: i8 = 2;
pub(crate) const BROKER_RESOURCE: i8 = 4;

pub(crate) fn node(cluster: &Cluster, id: i32) -> &Running {
    &cluster.nodes[usize::try_from(id).unwrap() - 1]
}

/// Makes the topic with one partition on these replicas, the first of which leads, and waits until all of them are in sync.
pub(crate) fn create(cluster: &Cluster, replicas: &[i32], configs: &[(&str, &str)]) {
    let config = |(name, value): &(&str, &str)| CreatableTopicConfig {
        name: (*name).to_owned(),
        value: Some((*value).to_owned()),
        ..Default::default()
    };
    let assignment =
        CreatableReplicaAssignment { partition_index: 0, broker_ids: replicas.to_vec(), ..Default::default() };
    let topic = CreatableTopic {
        name: TOPIC.to_owned(),
        num_partitions: -1,
        replication_factor: -1,
        assignments: vec![assignment],
        configs: configs.iter().map(config).collect(),
        ..Default::default()
    };
    let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 10_000, ..Default::default() };
    let created = cluster.nodes[0].send(&request);
    let answer = await_answer(cluster, "the topic is created", &created);
    assert_eq!(answer.topics[0].error_code, 0, "{answer:?}");
    await_leader(cluster, replicas[0]);
    await_in_sync(cluster, replicas);
    // A follower that has asked before the leader knew that it leads asks again after a second.
    steps(cluster, 400);
}

pub(crate) fn steps(cluster: &Cluster, count: usize) {
    (0..count).for_each(|_| cluster.step());
}

/// Lets time go by until an answer is there.
pub(crate) fn await_answer<R: ottla_protocol::Message>(cluster: &Cluster, what: &str, pending: &Pending<R>) -> R {
    let answer = RefCell::new(pending.take());
    if answer.borrow().is_none() {
        cluster.run_until(what, |_| {
            *answer.borrow_mut() = pending.take();
            answer.borrow().is_some()
        });
    }
    answer.into_inner().unwrap()
}

/// What a node knows of the partition, with the topic's id.
pub(crate) fn partition(node: &Running) -> Option<(TopicId, MetadataResponsePartition)> {
    let topic = MetadataRequestTopic { name: Some(TOPIC.to_owned()), ..Default::default() };
    let response = node.ask(&MetadataRequest { topics: Some(vec![topic]), ..Default::default() });
    let topic = response.topics.into_iter().next()?;
    Some((topic.topic_id, topic.partitions.into_iter().next()?))
}

pub(crate) fn await_leader(cluster: &Cluster, leader: i32) {
    cluster.run_until("all know the leader", |cluster| {
        cluster.living().all(|node| partition(node).is_some_and(|(_, partition)| partition.leader_id == leader))
    });
}

pub(crate) fn await_in_sync(cluster: &Cluster, replicas: &[i32]) {
    let mut expected = replicas.to_vec();
    expected.sort_unstable();
    cluster.run_until("these replicas are in sync", |cluster| {
        cluster.living().all(|node| {
            let mut in_sync = partition(node).map(|(_, partition)| partition.isr_nodes).unwrap_or_default();
            in_sync.sort_unstable();
            in_sync == expected
        })
    });
}

pub(crate) fn produce(cluster: &Cluster, to: i32, acks: i16, records: i32) -> Pending<ProduceResponse> {
    node(cluster, to).produce(TOPIC, 0, acks, records)
}

/// Writes a batch, and waits until all in-sync replicas have it. Gives its offset.
pub(crate) fn write(cluster: &Cluster, leader: i32, records: i32) -> i64 {
    let answer = await_answer(cluster, "the records are acknowledged", &produce(cluster, leader, -1, records));
    let partition = &answer.responses[0].partition_responses[0];
    assert_eq!(partition.error_code, 0, "{partition:?}");
    partition.base_offset
}

const SEGMENT: &str = "/data/replicated-0/00000000000000000000.log";

/// How long a replica's only segment is.
pub(crate) fn length(cluster: &Cluster, id: i32) -> u64 {
    cluster.worlds[usize::try_from(id).unwrap() - 1].file_length(SEGMENT)
}

/// What is in a replica's only segment.
pub(crate) fn contents(cluster: &Cluster, id: i32) -> Vec<u8> {
    cluster.worlds[usize::try_from(id).unwrap() - 1].contents(SEGMENT)
}

/// Lets nothing through between a node and all others, and waits until fetches are answered that were on their way.
pub(crate) fn isolate(cluster: &Cluster, id: i32) {
    for other in (1..=3).filter(|other| *other != id) {
        cluster.network.cut(id, other);
        cluster.network.cut(other, id);
    }
    steps(cluster, 150);
}

/// What a consumer asks.
#[derive(Clone, Copy)]
pub(crate) struct Consumer {
    pub(crate) offset: i64,
    pub(crate) rack: &'static str,
    pub(crate) wait_ms: i32,
    pub(crate) version: i16,
    pub(crate) epoch: i32,
}

impl Consumer {
    pub(crate) fn at(offset: i64) -> Self {
        Self { offset, rack: "", wait_ms: 0, version: 17, epoch: -1 }
    }

    /// Fetches from a node.
    pub(crate) fn send(self, cluster: &Cluster, from: i32) -> Pending<FetchResponse> {
        let node = node(cluster, from);
        let (topic_id, _) = partition(node).unwrap();
        let partition = FetchPartition {
            fetch_offset: self.offset,
            current_leader_epoch: self.epoch,
            partition_max_bytes: 1 << 20,
            ..Default::default()
        };
        let topic = match self.version {
            13.. => FetchTopic { topic_id, partitions: vec![partition], ..Default::default() },
            _ => FetchTopic { topic: TOPIC.to_owned(), partitions: vec![partition], ..Default::default() },
        };
        let request = FetchRequest {
            max_wait_ms: self.wait_ms,
            min_bytes: 1,
            max_bytes: 1 << 20,
            session_epoch: -1,
            rack_id: self.rack.to_owned(),
            topics: vec![topic],
            ..Default::default()
        };
        node.send_version(&request, self.version)
    }

    /// Fetches, and takes the answer, which must be there at once.
    pub(crate) fn ask(self, cluster: &Cluster, from: i32) -> PartitionData {
        self.send(cluster, from).take().unwrap().responses[0].partitions[0].clone()
    }
}

/// How many records there are in an answer.
pub(crate) fn records(data: &PartitionData) -> i64 {
    let bytes = data.records.as_bytes().cloned().unwrap_or_default();
    Batches::new(&bytes).map(|batch| batch.unwrap()).map(|batch| i64::from(batch.last_offset_delta()) + 1).sum()
}

/// An end of a replica's log, whoever leads.
pub(crate) fn list_offset(cluster: &Cluster, id: i32, timestamp: i64) -> i64 {
    let partition = ListOffsetsPartition { timestamp, current_leader_epoch: -1, ..Default::default() };
    let topic = ListOffsetsTopic { name: TOPIC.to_owned(), partitions: vec![partition], ..Default::default() };
    // The replica id of a tool that asks any replica.
    let request = ListOffsetsRequest { replica_id: -2, topics: vec![topic], ..Default::default() };
    node(cluster, id).ask(&request).topics[0].partitions[0].offset
}

pub(crate) fn log_start(cluster: &Cluster, id: i32) -> i64 {
    list_offset(cluster, id, -2)
}

pub(crate) fn log_end(cluster: &Cluster, id: i32) -> i64 {
    list_offset(cluster, id, -1)
}

/// Sets configurations of a topic or a broker.
pub(crate) fn configure(cluster: &Cluster, kind: i8, name: &str, configs: &[(&str, &str)]) {
    let config = |(name, value): &(&str, &str)| AlterableConfig {
        name: (*name).to_owned(),
        config_operation: 0,
        value: Some((*value).to_owned()),
        ..Default::default()
    };
    let resource = AlterConfigsResource {
        resource_type: kind,
        resource_name: name.to_owned(),
        configs: configs.iter().map(config).collect(),
        ..Default::default()
    };
    let request = IncrementalAlterConfigsRequest { resources: vec![resource], ..Default::default() };
    // A broker's own are set at the broker.
    let at = if kind == BROKER_RESOURCE { name.parse().unwrap_or(1) } else { 1 };
    let answer = await_answer(cluster, "the configuration is set", &node(cluster, at).send(&request));
    assert_eq!(answer.responses[0].error_code, 0, "{answer:?}");
    steps(cluster, 50);
}

/// Gives the replicas another order: the first is the one that is preferred.
pub(crate) fn reorder(cluster: &Cluster, replicas: &[i32]) {
    let partition = ReassignablePartition { replicas: Some(replicas.to_vec()), ..Default::default() };
    let topic = ReassignableTopic { name: TOPIC.to_owned(), partitions: vec![partition], ..Default::default() };
    let request = AlterPartitionReassignmentsRequest { topics: vec![topic], timeout_ms: 10_000, ..Default::default() };
    let answer = await_answer(cluster, "the order is another", &cluster.nodes[0].send(&request));
    assert_eq!((answer.error_code, answer.responses[0].partitions[0].error_code), (0, 0), "{answer:?}");
    steps(cluster, 50);
}

/// Has another replica lead.
pub(crate) fn move_leader(cluster: &Cluster, replicas: &[i32]) {
    reorder(cluster, replicas);
    elect_preferred(cluster);
    await_leader(cluster, replicas[0]);
}

/// Has the preferred replica lead again.
pub(crate) fn elect_preferred(cluster: &Cluster) {
    let topic = TopicPartitions { topic: TOPIC.to_owned(), partitions: vec![0], ..Default::default() };
    let request = ElectLeadersRequest {
        election_type: 0,
        topic_partitions: Some(vec![topic]),
        timeout_ms: 10_000,
        ..Default::default()
    };
    let answer = await_answer(cluster, "the preferred replica is elected", &cluster.nodes[0].send(&request));
    assert_eq!(answer.error_code, 0, "{answer:?}");
}
