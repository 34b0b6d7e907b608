//! Decisions about thousands of partitions at once.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cluster;

use cluster::{Cluster, assigned, registration, topics};
use ottla_controller::{BATCH_RECORDS_MAX, Outcome, Task};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{
    BrokerHeartbeatRequest, DeleteTopicsRequest, ElectLeadersRequest, UnregisterBrokerRequest, delete_topics_request,
    elect_leaders_request,
};
use ottla_types::{NodeId, Offset};

const PARTITIONS: usize = 24_000;

/// Brokers 1 and 2 with 24,000 partitions on both, led by 1.
fn large() -> Cluster {
    let mut cluster = Cluster::formatted("");
    cluster.join(1, 1);
    cluster.join(2, 2);
    let assignments: Vec<(i32, &[i32])> = (0..8_000).map(|index| (index, &[1, 2][..])).collect();
    for name in ["a", "b", "c"] {
        assert_eq!(cluster.create_topics(&topics([assigned(name, &assignments)])).topics[0].error_code, 0);
    }
    assert_eq!(cluster.controller.reading().partitions, PARTITIONS);
    cluster
}

fn epoch(cluster: &Cluster, id: i32) -> i64 {
    cluster.controller.image().cluster.broker(NodeId(id)).unwrap().epoch.0
}

fn led_by(cluster: &Cluster, id: i32) -> usize {
    cluster.controller.image().topics.partitions().filter(|(_, _, p)| p.leader == NodeId(id)).count()
}

/// How long each batch of a decision is.
fn batches<R: Clone>(outcome: &Outcome<R>) -> Vec<usize> {
    outcome.clone().into_batches().0.iter().map(Vec::len).collect()
}

#[test]
fn a_broker_with_thousands_of_partitions_comes_and_goes_in_batches() {
    let mut cluster = large();
    let wish = BrokerHeartbeatRequest { want_fence: true, ..cluster.alive(1, epoch(&cluster, 1)) };
    let context = cluster.context(2);
    let outcome = cluster.controller.heartbeat(&context, &wish);
    // A change for each partition, and last the broker: whatever part of it gets into the log, nobody leads who is fenced.
    assert_eq!(batches(&outcome), [BATCH_RECORDS_MAX, BATCH_RECORDS_MAX, PARTITIONS + 1 - 2 * BATCH_RECORDS_MAX]);
    assert_eq!(outcome.records.last().unwrap().record.name(), "BrokerRegistrationChangeRecord");
    cluster.commit(outcome);
    assert_eq!((led_by(&cluster, 1), led_by(&cluster, 2)), (0, PARTITIONS));

    let wish = BrokerHeartbeatRequest { want_fence: true, ..cluster.alive(2, epoch(&cluster, 2)) };
    cluster.heartbeat(&wish);
    assert_eq!(cluster.controller.reading().offline_partitions, PARTITIONS);
    let alive = cluster.alive(2, epoch(&cluster, 2));
    let context = cluster.context(2);
    let outcome = cluster.controller.heartbeat(&context, &alive);
    assert_eq!(outcome.records[0].record.name(), "BrokerRegistrationChangeRecord");
    assert_eq!(batches(&outcome).len(), 3);
    cluster.commit(outcome);
    assert_eq!(led_by(&cluster, 2), PARTITIONS);
}

#[test]
fn the_next_controller_completes_a_decision_of_which_the_log_has_only_the_first_batch() {
    let mut cluster = large();
    for id in [1, 2] {
        let wish = BrokerHeartbeatRequest { want_fence: true, ..cluster.alive(id, epoch(&cluster, id)) };
        cluster.heartbeat(&wish);
    }
    let alive = cluster.alive(2, epoch(&cluster, 2));
    let context = cluster.context(2);
    let outcome = cluster.controller.heartbeat(&context, &alive);
    let first = outcome.clone().into_batches().0.swap_remove(0);
    cluster.append(outcome);
    let begin = cluster.log.len() - PARTITIONS - 1;
    cluster.controller.commit(Offset(i64::try_from(begin + first.len()).unwrap() - 1));
    cluster.log.truncate(begin + first.len());
    cluster.controller.resign();
    assert_eq!(led_by(&cluster, 2), BATCH_RECORDS_MAX - 1);
    cluster.controller.activate(cluster.now);
    let tasks = cluster.tick();
    assert!(tasks.iter().all(|task| *task == Task::ElectLeaders) && tasks.len() == 15, "{tasks:?}");
    assert_eq!(led_by(&cluster, 2), PARTITIONS);
}

#[test]
fn a_crashed_broker_registers_with_the_offset_of_its_first_record_as_epoch() {
    let mut cluster = large();
    cluster.now += std::time::Duration::from_secs(10);
    let context = cluster.context(4);
    let outcome = cluster.controller.register_broker(&context, &registration(1, 9));
    assert_eq!(batches(&outcome).len(), 3);
    let first = i64::try_from(cluster.log.len()).unwrap();
    assert_eq!(cluster.commit(outcome).broker_epoch, first);
    assert_eq!(led_by(&cluster, 2), PARTITIONS);
}

#[test]
fn a_broker_is_struck_out_however_many_partitions_it_has() {
    let mut cluster = large();
    let request = UnregisterBrokerRequest { broker_id: 1, ..Default::default() };
    let outcome = cluster.controller.unregister_broker(&request);
    assert_eq!(batches(&outcome).len(), 3);
    assert_eq!(cluster.commit(outcome).error_code, 0);
    assert_eq!(led_by(&cluster, 2), PARTITIONS);
}

#[test]
fn what_a_user_asks_for_at_once_has_a_limit() {
    let mut cluster = large();
    let too_large = (ErrorCode::PolicyViolation.code(), "Unable to perform excessively large batch operation.");
    let wish = BrokerHeartbeatRequest { want_fence: true, ..cluster.alive(1, epoch(&cluster, 1)) };
    cluster.heartbeat(&wish);
    let wish = BrokerHeartbeatRequest { want_fence: true, ..cluster.alive(2, epoch(&cluster, 2)) };
    cluster.heartbeat(&wish);
    // Broker 1 lacks records, but is alive.
    cluster.heartbeat(&cluster.alive(1, epoch(&cluster, 1)));
    assert_eq!(led_by(&cluster, 1), 0);
    let all = |name: &str| elect_leaders_request::TopicPartitions {
        topic: name.to_owned(),
        partitions: (0..8_000).collect(),
        ..Default::default()
    };
    let request = |topic_partitions| ElectLeadersRequest { election_type: 1, topic_partitions, ..Default::default() };
    let outcome = cluster.controller.elect_leaders(&request(Some(vec![all("a"), all("b")])));
    assert_eq!((outcome.records.len(), outcome.response.error_code), (0, too_large.0));
    let result = &outcome.response.replica_election_results[1].partition_result[7_999];
    assert_eq!((result.error_code, result.error_message.as_deref()), (too_large.0, Some(too_large.1)));
    let outcome = cluster.controller.elect_leaders(&request(Some(vec![all("a")])));
    cluster.commit(outcome);
    assert_eq!(led_by(&cluster, 1), 8_000);

    let names = (0..=10_000).map(|n| format!("t{n}")).collect::<Vec<_>>();
    for part in names.chunks(3_000) {
        let mut request = topics([]);
        request.topics = part.iter().map(|name| assigned(name, &[(0, &[1])])).collect();
        assert!(cluster.create_topics(&request).topics.iter().all(|topic| topic.error_code == 0));
    }
    let topic =
        |name: &String| delete_topics_request::DeleteTopicState { name: Some(name.clone()), ..Default::default() };
    let request = DeleteTopicsRequest { topics: names.iter().map(topic).collect(), ..Default::default() };
    let context = cluster.context(6);
    let outcome = cluster.controller.delete_topics(&context, &request);
    assert_eq!(outcome.records.len(), 0);
    assert!(outcome.response.responses.iter().all(|topic| topic.error_code == too_large.0));
}
