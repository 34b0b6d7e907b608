//! What the tests of several nodes ask them, and what they find on their disks.

use super::cluster::Cluster;
use super::{Pending, Running};
use ottla_env::{Disk, OpenMode};
use ottla_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use ottla_protocol::messages::describe_quorum_request::{PartitionData, TopicData};
use ottla_protocol::messages::describe_quorum_response;
use ottla_protocol::messages::metadata_request::MetadataRequestTopic;
use ottla_protocol::messages::{
    CreateTopicsRequest, CreateTopicsResponse, DescribeQuorumRequest, DescribeQuorumResponse, MetadataRequest,
    ProduceResponse,
};
use ottla_records::Batches;
use ottla_types::{LeaderEpoch, Offset};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;

/// Asks a node for a topic of so many partitions with three replicas each.
pub fn create(node: &Running, name: &str, partitions: i32, configs: &[(&str, &str)]) -> Pending<CreateTopicsResponse> {
    let config = |(name, value): &(&str, &str)| CreatableTopicConfig {
        name: (*name).to_owned(),
        value: Some((*value).to_owned()),
        ..Default::default()
    };
    let topic = CreatableTopic {
        name: name.to_owned(),
        num_partitions: partitions,
        replication_factor: 3,
        configs: configs.iter().map(config).collect(),
        ..Default::default()
    };
    node.send(&CreateTopicsRequest { topics: vec![topic], timeout_ms: 10_000, ..Default::default() })
}

/// A partition as a node tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub leader: i32,
    pub replicas: Vec<i32>,
    pub in_sync: Vec<i32>,
}

/// The partitions of a topic as a node tells of them; none if it does not know the topic.
pub fn partitions(node: &Running, name: &str) -> Vec<Told> {
    let topic = MetadataRequestTopic { name: Some(name.to_owned()), ..Default::default() };
    let request = MetadataRequest { topics: Some(vec![topic]), allow_auto_topic_creation: false, ..Default::default() };
    let partitions = node.ask(&request).topics.into_iter().flat_map(|topic| topic.partitions);
    let mut told: Vec<_> = partitions
        .map(|partition| {
            let (mut replicas, mut in_sync) = (partition.replica_nodes, partition.isr_nodes);
            replicas.sort_unstable();
            in_sync.sort_unstable();
            (partition.partition_index, Told { leader: partition.leader_id, replicas, in_sync })
        })
        .collect();
    told.sort_by_key(|(index, _)| *index);
    told.into_iter().map(|(_, told)| told).collect()
}

/// Waits for an answer.
pub fn wait<R: ottla_protocol::Message>(cluster: &Cluster, what: &str, pending: &Pending<R>) -> R {
    let answer = RefCell::new(None);
    cluster.run_until(what, |_| {
        *answer.borrow_mut() = pending.take();
        answer.borrow().is_some()
    });
    answer.into_inner().unwrap()
}

/// Creates a topic by way of a node, and waits until every living node knows it.
pub fn created(cluster: &Cluster, by: i32, name: &str, partitions_count: i32) {
    let pending = create(cluster.node(by), name, partitions_count, &[("min.insync.replicas", "2")]);
    let answer = wait(cluster, "the topic is created", &pending);
    assert_eq!(answer.topics[0].error_code, 0, "{answer:?}");
    cluster.run_until("everybody knows the topic", |cluster| {
        cluster.living().all(|node| !partitions(node, name).is_empty())
    });
}

/// As many replicas of each partition are in sync, on every living node.
pub fn in_sync(cluster: &Cluster, topic: &str, count: usize) {
    cluster.run_until("as many replicas are in sync", |cluster| {
        cluster.living().all(|node| {
            let told = partitions(node, topic);
            !told.is_empty() && told.iter().all(|told| told.in_sync.len() == count && told.leader > 0)
        })
    });
}

/// Writes some batches into each partition at its leader, until all in-sync replicas have them. A leader that has only just
/// become one is asked again, so more may be in the log than is written.
pub fn write(cluster: &Cluster, topic: &str) {
    let count = partitions(cluster.living().next().unwrap(), topic).len();
    for index in 0..count {
        let waiting: RefCell<Option<Pending<ProduceResponse>>> = RefCell::new(None);
        cluster.run_until("records are acknowledged", |cluster| {
            let answer = waiting.borrow().as_ref().map(Pending::partition);
            match answer {
                Some(Some(answer)) if answer.error_code == 0 => return true,
                Some(None) => return false,
                _ => {}
            }
            let leader = partitions(cluster.living().next().unwrap(), topic)[index].leader;
            let leader = cluster.living_ids().find(|id| *id == leader);
            let number = i32::try_from(index).unwrap();
            *waiting.borrow_mut() = leader.map(|leader| cluster.node(leader).produce(topic, number, -1, 7));
            false
        });
    }
}

/// What every living node has of each partition is the same.
pub fn check_equal(cluster: &Cluster, topic: &str) {
    let count = partitions(cluster.living().next().unwrap(), topic).len();
    for index in 0..count {
        let read = |id| batches(cluster, id, &format!("/data/{topic}-{index}"));
        let mut all = cluster.living_ids().map(read);
        let first = all.next().unwrap();
        assert!(all.all(|other| other == first), "partition {index}");
    }
}

/// A batch of a log: its last offset, its epoch and its checksum.
pub type Batch = (Offset, LeaderEpoch, u32);

/// The whole batches of a log on a node's disk, by their first offsets.
pub fn batches(cluster: &Cluster, id: i32, directory: &str) -> BTreeMap<Offset, Batch> {
    let disk = cluster.world(id).disk.below();
    let directory = Path::new(directory);
    let mut batches = BTreeMap::new();
    for (name, _) in disk.list(directory).unwrap_or_default() {
        if !name.ends_with(".log") {
            continue;
        }
        let file = disk.open(&directory.join(&name), OpenMode::Read).unwrap();
        let mut bytes = vec![0; usize::try_from(file.length().unwrap()).unwrap()];
        let read = file.read_at(&mut bytes, 0).unwrap();
        for batch in Batches::new(&bytes[..read]).map_while(Result::ok) {
            let told = (batch.last_offset(), batch.partition_leader_epoch(), batch.checksum());
            batches.insert(batch.base_offset(), told);
        }
    }
    batches
}

/// The metadata log on a node's disk.
pub fn metadata_log(cluster: &Cluster, id: i32) -> BTreeMap<Offset, Batch> {
    batches(cluster, id, "/data/__cluster_metadata-0")
}

/// The request for what the quorum is.
pub fn describe_request() -> DescribeQuorumRequest {
    let topic = TopicData {
        topic_name: "__cluster_metadata".to_owned(),
        partitions: vec![PartitionData { partition_index: 0, ..Default::default() }],
        ..Default::default()
    };
    DescribeQuorumRequest { topics: vec![topic], ..Default::default() }
}

/// What a node says of the quorum.
pub fn describe(cluster: &Cluster, by: i32) -> (DescribeQuorumResponse, describe_quorum_response::PartitionData) {
    let answer = wait(cluster, "the quorum is described", &cluster.node(by).send(&describe_request()));
    assert_eq!(answer.error_code, 0, "{answer:?}");
    let partition = answer.topics[0].partitions[0].clone();
    (answer, partition)
}

/// The ids of the voters, as a node says them.
pub fn voters(cluster: &Cluster, by: i32) -> Vec<i32> {
    let (_, partition) = describe(cluster, by);
    let mut ids: Vec<i32> = partition.current_voters.iter().map(|voter| voter.replica_id).collect();
    ids.sort_unstable();
    ids
}

/// All nodes that live have the same metadata, as far as it is committed anywhere, and all of it is committed on one of them.
pub fn check_metadata(cluster: &Cluster) {
    let committed = |id: i32| cluster.node(id).node.quorum().high_watermark;
    let end = cluster.living_ids().map(committed).min().unwrap();
    let mut known: BTreeMap<Offset, Batch> = BTreeMap::new();
    for id in cluster.living_ids() {
        for (base, batch) in metadata_log(cluster, id).into_iter().filter(|(_, batch)| batch.0.0 < end) {
            let first = *known.entry(base).or_insert(batch);
            assert_eq!(first, batch, "at {base} node {id} has other metadata than another node");
        }
    }
}
