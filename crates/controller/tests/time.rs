//! What a controller does when nobody asks: sessions that end, leaderships that go back, elections that are overdue.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cluster;

use cluster::{Cluster, assigned, topics};
use ottla_controller::{Controller, Periods, Settings, Task, not_controller};
use ottla_metadata::Partition;
use ottla_protocol::messages::{BrokerHeartbeatRequest, ElectLeadersRequest};
use ottla_types::{NodeId, PartitionIndex, Uuid};
use std::time::Duration;

fn three(configs: &[(&str, &str)]) -> Cluster {
    let mut cluster = Cluster::formatted("");
    for id in 1..=3 {
        cluster.join(id, u128::try_from(id).unwrap());
    }
    let mut topic = assigned("t", &[(0, &[1, 2, 3]), (1, &[2, 3, 1])]);
    topic.configs = cluster::topic("t", 1, 1, configs).configs;
    assert_eq!(cluster.create_topics(&topics([topic])).topics[0].error_code, 0);
    cluster
}

fn epoch(cluster: &Cluster, id: i32) -> i64 {
    cluster.controller.image().cluster.broker(NodeId(id)).unwrap().epoch.0
}

fn alive(cluster: &Cluster, id: i32) -> BrokerHeartbeatRequest {
    cluster.alive(id, epoch(cluster, id))
}

fn beat(cluster: &mut Cluster, id: i32) {
    let request = alive(cluster, id);
    assert!(!cluster.heartbeat(&request).is_fenced);
}

fn leaders(cluster: &Cluster) -> Vec<i32> {
    let topic = cluster.controller.image().topics.topic_by_name("t").unwrap();
    topic.partitions.values().map(|partition| partition.leader.0).collect()
}

#[test]
fn of_several_silent_brokers_the_longest_silent_one_is_fenced_first() {
    let mut cluster = three(&[]);
    for id in [2, 3, 1] {
        cluster.pass(Duration::from_millis(100));
        beat(&mut cluster, id);
    }
    let tasks = cluster.pass(Duration::from_secs(20));
    assert_eq!(tasks, [2, 3, 1].map(|id| Task::Fence(NodeId(id))));
    // The last one to go was the leader of all, and may lead again without loss.
    assert_eq!(leaders(&cluster), [-1, -1]);
    let topic = cluster.controller.image().topics.topic_by_name("t").unwrap();
    let eligible = |partition: &Partition| partition.eligible_leader_replicas == [NodeId(1)];
    assert!(topic.partitions.values().all(|partition| eligible(partition)));
}

#[test]
fn a_heartbeat_that_waits_for_its_turn_keeps_the_session_and_changes_nothing_else() {
    let mut cluster = three(&[]);
    let wish = BrokerHeartbeatRequest { want_fence: true, ..alive(&cluster, 1) };
    for _ in 0..10 {
        cluster.pass(Duration::from_secs(4));
        for id in [2, 3] {
            beat(&mut cluster, id);
        }
        cluster.controller.contact(&wish, cluster.now);
        cluster.controller.expired_heartbeat(&wish);
    }
    assert_eq!(leaders(&cluster), [1, 2]);
    let stranger = BrokerHeartbeatRequest { broker_epoch: wish.broker_epoch + 1, ..wish };
    for _ in 0..3 {
        cluster.controller.contact(&stranger, cluster.now);
        cluster.pass(Duration::from_secs(4));
        for id in [2, 3] {
            beat(&mut cluster, id);
        }
    }
    assert_eq!(leaders(&cluster), [2, 2]);
}

#[test]
fn a_controller_that_stood_still_fences_nobody_for_that() {
    let mut cluster = three(&[]);
    cluster.pass(Duration::from_secs(4));
    cluster.now += Duration::from_secs(3_600);
    assert_eq!(cluster.tick(), []);
    for id in 1..=3 {
        beat(&mut cluster, id);
    }
    assert_eq!(cluster.pass(Duration::from_secs(9)), []);
}

#[test]
fn a_new_controller_gives_every_unfenced_broker_a_whole_session() {
    let mut cluster = three(&[]);
    cluster.pass(Duration::from_secs(8));
    cluster.restart();
    assert_eq!(cluster.pass(Duration::from_secs(9)), []);
    assert_eq!(cluster.pass(Duration::from_secs(1)).len(), 3);
}

#[test]
fn a_broker_that_is_unfenced_while_its_directory_fails_does_not_lead_from_there() {
    let mut cluster = Cluster::formatted("");
    let mut first = cluster::registration(1, 1);
    let (bad, good) = (Uuid::from_u128(0xbad0), Uuid::from_u128(0x600d));
    first.log_dirs = vec![bad];
    let epoch = cluster.register(&first).broker_epoch;
    cluster.heartbeat(&cluster.alive(1, epoch));
    cluster.create_topics(&topics([assigned("t", &[(0, &[1])])]));
    // The broker has got a second directory.
    let mut again = cluster::registration(1, 2);
    again.log_dirs = vec![bad, good];
    again.previous_broker_epoch = epoch;
    let epoch = cluster.register(&again).broker_epoch;
    let request = BrokerHeartbeatRequest { offline_log_dirs: vec![bad], ..cluster.alive(1, epoch) };
    assert!(!cluster.heartbeat(&request).is_fenced);
    let topic = cluster.controller.image().topics.topic_by_name("t").unwrap();
    let partition = topic.partitions.get(&PartitionIndex(0)).unwrap();
    assert_eq!((partition.leader, &*partition.in_sync_replicas), (NodeId::NONE, &[][..]));
    assert_eq!(partition.eligible_leader_replicas, [NodeId(1)]);
}

/// As `three`, but with the given periodic work.
fn with_periods(periods: Periods, configs: &[(&str, &str)]) -> Cluster {
    let mut cluster = three(configs);
    let settings = Settings { periods, ..cluster::settings("") };
    let mut controller = Controller::new(settings, ottla_metadata::MetadataImage::new());
    cluster.replay_into(&mut controller);
    controller.activate(cluster.now);
    cluster.controller = controller;
    cluster
}

const NEVER: Periods = Periods { no_op: None, balance_leaders: None, elect_unclean_leaders: None };

#[test]
fn the_log_moves_also_when_nothing_happens() {
    let mut cluster = with_periods(Periods { no_op: Some(Duration::from_millis(500)), ..NEVER }, &[]);
    cluster.controller.set_voters([1, 2].map(NodeId).into());
    let before = cluster.log.len();
    assert_eq!(cluster.pass(Duration::from_millis(1_900)), [Task::NoOp; 4]);
    assert_eq!(cluster.log.len(), before + 4);
}

#[test]
fn the_log_of_a_voter_that_is_alone_need_not_move_until_another_one_joins_it() {
    let mut cluster = with_periods(Periods { no_op: Some(Duration::from_millis(500)), ..NEVER }, &[]);
    assert_eq!(cluster.pass(Duration::from_secs(2)), []);
    cluster.controller.set_voters([1, 2].map(NodeId).into());
    assert_eq!(cluster.pass(Duration::from_millis(400)), [Task::NoOp], "the other one gets a sign at once");
    cluster.controller.set_voters([2, 1].map(NodeId).into());
    assert_eq!(cluster.pass(Duration::from_secs(1)), [Task::NoOp; 2], "to hear the same again changes nothing");
    cluster.controller.set_voters([NodeId(1)].into());
    assert_eq!(cluster.pass(Duration::from_secs(2)), []);
}

#[test]
fn leaderships_go_back_to_the_preferred_replicas_by_themselves() {
    let mut cluster = with_periods(Periods { balance_leaders: Some(Duration::from_secs(5)), ..NEVER }, &[]);
    let wish = BrokerHeartbeatRequest { want_fence: true, ..alive(&cluster, 1) };
    cluster.heartbeat(&wish);
    beat(&mut cluster, 1);
    assert_eq!(leaders(&cluster), [2, 2]);
    // Not in sync yet: there is nothing to do.
    assert_eq!(cluster.pass(Duration::from_secs(6)), []);
    let context = cluster.context(3);
    let request = cluster.proposal("t", 0, &[1, 2, 3]);
    let outcome = cluster.controller.alter_partition(&context, &request);
    assert_eq!(cluster.commit(outcome).topics[0].partitions[0].error_code, 0);
    for id in 1..=3 {
        beat(&mut cluster, id);
    }
    assert_eq!(cluster.pass(Duration::from_secs(5)), [Task::BalanceLeaders]);
    assert_eq!(leaders(&cluster), [1, 2]);
}

#[test]
fn partitions_that_are_allowed_to_lose_records_get_a_leader_in_time() {
    for (unclean, expected) in [("true", 3), ("false", -1)] {
        let periods = Periods { elect_unclean_leaders: Some(Duration::from_secs(5)), ..NEVER };
        let mut cluster = with_periods(periods, &[("min.insync.replicas", "1")]);
        let context = cluster.context(3);
        let request = cluster.proposal("t", 0, &[1]);
        let outcome = cluster.controller.alter_partition(&context, &request);
        cluster.commit(outcome);
        let wish = BrokerHeartbeatRequest { want_fence: true, ..alive(&cluster, 1) };
        cluster.heartbeat(&wish);
        assert_eq!(leaders(&cluster)[0], -1);
        cluster.set_config("t", "unclean.leader.election.enable", unclean);
        let wish = BrokerHeartbeatRequest { want_fence: true, ..alive(&cluster, 2) };
        cluster.heartbeat(&wish);
        cluster.pass(Duration::from_secs(5));
        assert_eq!(leaders(&cluster)[0], expected);
        let request = ElectLeadersRequest { election_type: 1, topic_partitions: None, ..Default::default() };
        let outcome = cluster.controller.elect_leaders(&request);
        cluster.commit(outcome);
        assert_eq!(leaders(&cluster)[0], 3);
    }
}

#[test]
fn whoever_is_not_the_active_controller_says_who_is() {
    let message = |leader: Option<i32>| not_controller(leader.map(NodeId)).message.unwrap();
    assert_eq!(message(Some(3)), "The active controller appears to be node 3.");
    assert_eq!(message(None), "No controller appears to be active.");
}
