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
