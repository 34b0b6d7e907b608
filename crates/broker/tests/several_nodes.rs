//! Nodes of one cluster: a controller that is also a broker, and brokers that follow its metadata.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests may stop at what they did not expect")]

mod harness;

use harness::cluster::Cluster;
use harness::{Pending, Running};
use ottla_protocol::messages::create_topics_request::CreatableTopic;
use ottla_protocol::messages::metadata_request::MetadataRequestTopic;
use ottla_protocol::messages::{
    CreateTopicsRequest, CreateTopicsResponse, DescribeClusterRequest, InitProducerIdRequest, MetadataRequest,
};
use std::cell::RefCell;
use std::collections::BTreeSet;

fn create(node: &Running, name: &str, replicas: i16) -> Pending<CreateTopicsResponse> {
    let topic =
        CreatableTopic { name: name.to_owned(), num_partitions: 6, replication_factor: replicas, ..Default::default() };
    node.send(&CreateTopicsRequest { topics: vec![topic], timeout_ms: 10_000, ..Default::default() })
}

/// The replicas and the leader of each partition, as a node tells them.
fn partitions(node: &Running, name: &str) -> Vec<(Vec<i32>, i32)> {
    let topic = MetadataRequestTopic { name: Some(name.to_owned()), ..Default::default() };
    let request = MetadataRequest { topics: Some(vec![topic]), ..Default::default() };
    let response = node.ask(&request);
    let partitions = response.topics.into_iter().flat_map(|topic| topic.partitions);
    partitions.map(|partition| (partition.replica_nodes, partition.leader_id)).collect()
}

#[test]
fn brokers_find_the_controller_and_every_node_knows_all() {
    let cluster = Cluster::start(3);
    cluster.run_until("everybody knows three brokers", |cluster| {
        cluster.nodes.iter().all(|node| node.ask(&DescribeClusterRequest::default()).brokers.len() == 3)
    });
}

#[test]
fn a_topic_that_is_created_at_a_broker_is_decided_by_the_controller_and_known_to_all() {
    let cluster = Cluster::start(3);
    let created = create(&cluster.nodes[2], "shared", 3);
    let answer = RefCell::new(None);
    cluster.run_until("the topic is created", |_| {
        *answer.borrow_mut() = created.take();
        answer.borrow().is_some()
    });
    let answer = answer.into_inner().unwrap();
    assert_eq!((answer.topics[0].error_code, answer.topics[0].replication_factor), (0, 3), "{answer:?}");
    cluster.run_until("everybody knows the topic", |cluster| {
        cluster.nodes.iter().all(|node| partitions(node, "shared").len() == 6)
    });
    let seen: Vec<_> = cluster.nodes.iter().map(|node| partitions(node, "shared")).collect();
    assert!(seen.iter().all(|other| *other == seen[0]), "{seen:?}");
    for (replicas, leader) in &seen[0] {
        let mut sorted = replicas.clone();
        sorted.sort_unstable();
        assert_eq!((sorted, *leader), (vec![1, 2, 3], replicas[0]));
    }
    // The leaders go round the brokers.
    assert_eq!(seen[0].iter().map(|(_, leader)| *leader).collect::<BTreeSet<_>>().len(), 3);
    assert!(cluster.worlds.iter().all(|world| world.exists("/data/shared-0")));
}

#[test]
fn producer_ids_of_different_brokers_are_different() {
    let cluster = Cluster::start(3);
    let request = InitProducerIdRequest {
        transactional_id: None,
        producer_id: -1,
        producer_epoch: -1,
        transaction_timeout_ms: 1000,
        ..Default::default()
    };
    let asked: Vec<_> = cluster.nodes.iter().map(|node| node.send(&request)).collect();
    let given = RefCell::new(Vec::new());
    cluster.run_until("everybody has an id", |_| {
        let answers = asked.iter().filter_map(Pending::take);
        given.borrow_mut().extend(answers.map(|answer| (answer.error_code, answer.producer_id)));
        given.borrow().len() == 3
    });
    let mut given = given.into_inner();
    given.sort_unstable();
    assert_eq!(given, [(0, 0), (0, 1000), (0, 2000)]);
}

/// Where the records of a partition end on each node, and its high watermark there, as DescribeLogDirs and the files tell.
fn ends(cluster: &Cluster, topic: &str, partition: i32) -> Vec<u64> {
    let segment = format!("/data/{topic}-{partition}/00000000000000000000.log");
    cluster.worlds.iter().map(|world| world.file_length(&segment)).collect()
}

fn created(cluster: &Cluster, name: &str, replicas: i16) {
    let created = create(&cluster.nodes[0], name, replicas);
    cluster
        .run_until("the topic is created", |_| created.take().is_some_and(|answer| answer.topics[0].error_code == 0));
    cluster.run_until("everybody knows the topic", |cluster| {
        cluster.nodes.iter().all(|node| partitions(node, name).len() == 6)
    });
}

/// Writes ten batches of seven records into each partition, at its leader, and waits until all in-sync replicas have them.
fn write_to_all(cluster: &Cluster, topic: &str, from: i64) {
    for (index, (_, leader)) in (0..).zip(partitions(cluster.living().next().unwrap(), topic)) {
        let node = &cluster.nodes[usize::try_from(leader).unwrap() - 1];
        let answers: Vec<_> = (0..10).map(|_| node.produce(topic, index, -1, 7)).collect();
        let acknowledged = RefCell::new(Vec::new());
        cluster.run_until("all of it is acknowledged", |_| {
            let came = answers.iter().filter_map(Pending::partition);
            acknowledged.borrow_mut().extend(came.map(|answer| (answer.error_code, answer.base_offset)));
            acknowledged.borrow().len() == 10
        });
        let expected: Vec<_> = (0..10).map(|batch| (0, from + batch * 7)).collect();
        assert_eq!(acknowledged.into_inner(), expected, "partition {index}, led by {leader}");
    }
}

/// What all nodes have of each partition is the same.
fn check_equal(cluster: &Cluster, topic: &str) {
    for index in 0..6 {
        let lengths = ends(cluster, topic, index);
        assert!(lengths[0] > 0 && lengths.iter().all(|length| *length == lengths[0]), "partition {index}: {lengths:?}");
    }
}

/// A follower that has asked before the leader knew that it leads asks again after a second.
fn settle(cluster: &Cluster) {
    (0..400).for_each(|_| cluster.step());
}

#[test]
fn what_all_replicas_have_is_acknowledged_and_the_same_on_all() {
    let cluster = Cluster::start(3);
    created(&cluster, "copied", 3);
    settle(&cluster);
    let leader = usize::try_from(partitions(&cluster.nodes[0], "copied")[0].1).unwrap();
    let waiting = cluster.nodes[leader - 1].produce("copied", 0, -1, 1);
    assert!(waiting.partition().is_none(), "nobody else has it yet");
    cluster.run_until("it is acknowledged", |_| waiting.partition().is_some_and(|answer| answer.error_code == 0));
    check_replicas(&cluster, "copied", 3);
}

/// As many replicas of each partition are in sync.
fn check_replicas(cluster: &Cluster, topic: &str, count: usize) {
    cluster.run_until("as many replicas are in sync", |cluster| {
        cluster.living().all(|node| in_sync(node, topic).iter().all(|in_sync| in_sync.len() == count))
    });
}

fn in_sync(node: &Running, name: &str) -> Vec<Vec<i32>> {
    let topic = MetadataRequestTopic { name: Some(name.to_owned()), ..Default::default() };
    let response = node.ask(&MetadataRequest { topics: Some(vec![topic]), ..Default::default() });
    let partitions = response.topics.into_iter().flat_map(|topic| topic.partitions);
    partitions.map(|partition| partition.isr_nodes).collect()
}

#[test]
fn others_lead_when_a_broker_dies_and_it_gets_everything_when_it_is_back() {
    let mut cluster = Cluster::start(3);
    created(&cluster, "survives", 3);
    settle(&cluster);
    write_to_all(&cluster, "survives", 0);
    check_equal(&cluster, "survives");
    cluster.lose_power(3);
    cluster.run_until("others lead", |cluster| {
        cluster.living().all(|node| partitions(node, "survives").iter().all(|(_, leader)| matches!(leader, 1 | 2)))
    });
    check_replicas(&cluster, "survives", 2);
    settle(&cluster);
    write_to_all(&cluster, "survives", 70);
    cluster.start_again(3);
    cluster.run_until("all brokers run", |cluster| cluster.living().all(|running| running.node.is_running()));
    check_replicas(&cluster, "survives", 3);
    write_to_all(&cluster, "survives", 140);
    check_equal(&cluster, "survives");
}
