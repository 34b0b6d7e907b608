//! What is acknowledged when, and what happens when the disk fails.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests may stop at what they did not expect")]

mod harness;

use harness::World;
use ottla_env::DiskOperation;
use ottla_env_sim::{CrashMode, Fault, FaultKind};
use ottla_protocol::messages::alter_replica_log_dirs_request::{AlterReplicaLogDir, AlterReplicaLogDirTopic};
use ottla_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use ottla_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use ottla_protocol::messages::{
    AlterReplicaLogDirsRequest, DescribeConfigsRequest, DescribeLogDirsRequest, FindCoordinatorRequest,
    ListOffsetsRequest, MetadataRequest, OffsetCommitRequest, describe_configs_request,
};
use std::sync::atomic::Ordering;
use std::time::Duration;

const STORAGE_ERROR: i16 = 56;

fn latest_offset(running: &harness::Running, topic: &str) -> (i16, i64) {
    let partition = ListOffsetsPartition { partition_index: 0, timestamp: -1, ..Default::default() };
    let topic = ListOffsetsTopic { name: topic.to_owned(), partitions: vec![partition], ..Default::default() };
    let response = running.ask(&ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..Default::default() });
    let answer = &response.topics[0].partitions[0];
    (answer.error_code, answer.offset)
}

#[test]
fn with_flush_messages_1_a_producer_is_answered_after_the_sync_and_not_before() {
    let world = World::new("/data", "");
    let running = world.start();
    running.create_topic("durable", 2, &[("flush.messages", "1")]);
    for acks in [-1, 1] {
        let wakes = running.wakes.load(Ordering::Relaxed);
        let (_, before) = latest_offset(&running, "durable");
        let pending = [running.produce("durable", 0, acks, 2), running.produce("durable", 0, acks, 1)];
        assert!(pending.iter().all(|pending| pending.take().is_none()));
        assert_eq!(latest_offset(&running, "durable"), (0, before), "consumers don't see what is not durable");
        assert_eq!(running.wakes.load(Ordering::Relaxed), wakes + 1);
        running.node.sync();
        let answers = pending.map(|pending| pending.partition().expect("answered by the sync"));
        assert_eq!(answers.map(|answer| (answer.error_code, answer.base_offset)), [(0, before), (0, before + 2)]);
        assert_eq!(latest_offset(&running, "durable"), (0, before + 3));
    }
    drop(running);
    world.disk.crash(CrashMode::LoseAll);
    assert_eq!(latest_offset(&world.start(), "durable"), (0, 6));
}

#[test]
fn by_default_a_producer_is_answered_at_once_as_in_kafka_and_the_configuration_shows_kafkas_value() {
    let world = World::new("/data", "");
    let running = world.start();
    running.create_topic("fast", 1, &[]);
    let answer = running.produce("fast", 0, -1, 3).partition().expect("answered at once");
    assert_eq!((answer.error_code, answer.base_offset), (0, 0));
    assert_eq!(running.wakes.load(Ordering::Relaxed), 0);
    let resource = describe_configs_request::DescribeConfigsResource {
        resource_type: 2,
        resource_name: "fast".to_owned(),
        configuration_keys: Some(vec!["flush.messages".to_owned()]),
        ..Default::default()
    };
    let response = running.ask(&DescribeConfigsRequest { resources: vec![resource], ..Default::default() });
    assert_eq!(response.results[0].configs[0].value.as_deref(), Some("9223372036854775807"));
}

#[test]
fn the_nodes_log_flush_interval_messages_counts_for_topics_without_their_own() {
    let world = World::new("/data", "log.flush.interval.messages=1\noffsets.topic.replication.factor=1");
    let running = world.start();
    running.create_topic("durable", 1, &[]);
    let pending = running.produce("durable", 0, -1, 1);
    assert!(pending.take().is_none());
    running.node.sync();
    assert_eq!(pending.partition().unwrap().error_code, 0);
    // So it does for the topics of coordinators: a committed offset is on the disk when it is acknowledged.
    let find = FindCoordinatorRequest { coordinator_keys: vec!["group".to_owned()], ..Default::default() };
    running.send(&find);
    running.node.tick();
    let partition = OffsetCommitRequestPartition { committed_offset: 1, ..Default::default() };
    let topic =
        OffsetCommitRequestTopic { name: "durable".to_owned(), partitions: vec![partition], ..Default::default() };
    let commit = OffsetCommitRequest { group_id: "group".to_owned(), topics: vec![topic], ..Default::default() };
    let pending = running.send_version(&commit, 8);
    assert!(pending.take().is_none());
    running.node.sync();
    assert_eq!(pending.take().unwrap().topics[0].partitions[0].error_code, 0);
}

#[test]
fn a_produce_whose_sync_does_not_come_in_time_is_told_so() {
    let world = World::new("/data", "");
    let running = world.start();
    running.create_topic("durable", 1, &[("flush.messages", "1")]);
    let pending = running.produce("durable", 0, -1, 1);
    world.clock.advance(Duration::from_millis(1001));
    running.node.tick();
    assert_eq!(pending.partition().unwrap().error_code, 7);
    running.node.sync();
    assert_eq!(latest_offset(&running, "durable"), (0, 1));
}

#[test]
fn a_failed_sync_acknowledges_nothing_and_ends_the_node_when_it_was_its_only_directory() {
    let world = World::new("/data", "");
    let running = world.start();
    running.create_topic("durable", 1, &[("flush.messages", "1")]);
    let pending = running.produce("durable", 0, -1, 1);
    assert_eq!(running.node.failure(), None);
    world.disk.inject(Fault { operation: DiskOperation::Sync, after: 0, times: 1, kind: FaultKind::Error });
    running.node.sync();
    assert_eq!(pending.partition().unwrap().error_code, STORAGE_ERROR);
    assert_eq!(running.produce("durable", 0, -1, 1).partition().unwrap().error_code, STORAGE_ERROR);
    assert_eq!(latest_offset(&running, "durable").0, STORAGE_ERROR);
    assert!(running.node.failure().is_some());
}

#[test]
fn a_failed_directory_takes_its_partitions_along_and_no_others() {
    let world = World::new("/first,/second", "");
    let running = world.start();
    running.create_topic("topic", 8, &[("flush.messages", "1")]);
    let directory_of = |partition: i32| {
        let name = format!("topic-{partition}");
        ["/first", "/second"].into_iter().position(|dir| world.exists(&format!("{dir}/{name}"))).unwrap()
    };
    let directories: Vec<usize> = (0..8).map(directory_of).collect();
    let second = directories.iter().filter(|directory| **directory == 1).count();
    assert!((3..=5).contains(&second), "partitions are spread by number: {directories:?}");
    // All partitions get records; the syncs of the second directory fail, whichever comes first.
    let victim = (0..8).find(|partition| directories[*partition as usize] == 1).unwrap();
    let pending = running.produce("topic", victim, -1, 1);
    world.disk.inject(Fault { operation: DiskOperation::Sync, after: 0, times: 1, kind: FaultKind::Error });
    running.node.sync();
    assert_eq!(pending.partition().unwrap().error_code, STORAGE_ERROR);
    assert_eq!(running.node.failure(), None, "the metadata's directory is sound");
    for partition in 0..8 {
        let pending = running.produce("topic", partition, -1, 1);
        running.node.sync();
        let code = pending.partition().unwrap().error_code;
        let expected = if directories[partition as usize] == 1 { STORAGE_ERROR } else { 0 };
        assert_eq!(code, expected, "partition {partition}");
    }
    world.clock.advance(Duration::from_secs(3));
    running.node.tick();
    // The controller has heard of it: the partitions of that directory have no leader now.
    let code = running.produce("topic", victim, -1, 1).partition().unwrap().error_code;
    assert!(code == 6 || code == STORAGE_ERROR, "{code}");
}

#[test]
fn a_full_disk_refuses_produces_and_takes_them_again_when_there_is_space() {
    let world = World::new("/data", "");
    let running = world.start();
    running.create_topic("topic", 1, &[]);
    assert_eq!(running.produce("topic", 0, -1, 2).partition().unwrap().error_code, 0);
    world.disk.set_capacity(world.disk.used());
    for _ in 0..3 {
        assert_eq!(running.produce("topic", 0, -1, 2).partition().unwrap().error_code, STORAGE_ERROR);
        assert_eq!(latest_offset(&running, "topic"), (0, 2), "what is there can be read");
    }
    world.disk.set_capacity(u64::MAX);
    assert_eq!(running.produce("topic", 0, -1, 2).partition().unwrap().base_offset, 2);
    assert_eq!(running.node.failure(), None);
}

#[test]
fn the_controller_learns_in_which_directories_replicas_lie() {
    let world = World::new("/first,/second", "");
    let running = world.start();
    running.create_topic("topic", 6, &[]);
    running.node.tick();
    drop(running);
    // It is in the metadata: with the second directory gone, its partitions have no leader, and the others have.
    let running = world.start();
    let lost: Vec<i32> = (0..6).filter(|partition| world.exists(&format!("/second/topic-{partition}"))).collect();
    assert_eq!(lost.len(), 3);
    running.create_topic("trigger", 4, &[("flush.messages", "1")]);
    let trigger = (0..4).find(|partition| world.exists(&format!("/second/trigger-{partition}"))).unwrap();
    running.produce("trigger", trigger, 1, 1);
    world.disk.inject(Fault { operation: DiskOperation::Sync, after: 0, times: 1, kind: FaultKind::Error });
    running.node.sync();
    world.clock.advance(Duration::from_secs(3));
    running.node.tick();
    let response = running.ask(&MetadataRequest { topics: None, ..Default::default() });
    let topic = response.topics.iter().find(|topic| topic.name.as_deref() == Some("topic")).unwrap();
    for partition in &topic.partitions {
        let expected = if lost.contains(&partition.partition_index) { -1 } else { 1 };
        assert_eq!(partition.leader_id, expected, "partition {}", partition.partition_index);
    }
}

#[test]
fn a_replica_moves_between_directories_while_it_is_used() {
    let world = World::new("/first,/second", "");
    let running = world.start();
    running.create_topic("topic", 1, &[]);
    running.node.tick();
    let lies_in = |world: &World| {
        ["/first", "/second"].into_iter().filter(|dir| world.exists(&format!("{dir}/topic-0"))).collect::<Vec<_>>()
    };
    let [from] = lies_in(&world)[..] else { panic!("in one directory") };
    let to = if from == "/first" { "/second" } else { "/first" };
    assert_eq!(running.produce("topic", 0, -1, 3).partition().unwrap().base_offset, 0);
    let ask = |path: &str, topic: &str, index: i32| {
        let topic = AlterReplicaLogDirTopic { name: topic.to_owned(), partitions: vec![index], ..Default::default() };
        let dir = AlterReplicaLogDir { path: path.to_owned(), topics: vec![topic], ..Default::default() };
        let response = running.ask(&AlterReplicaLogDirsRequest { dirs: vec![dir], ..Default::default() });
        response.results[0].partitions[0].error_code
    };
    assert_eq!((ask("/third", "topic", 0), ask(to, "none", 0), ask(to, "topic", 7)), (57, 3, 3));
    assert_eq!(ask(to, "topic", 0), 0);
    let described = running.ask(&DescribeLogDirsRequest { topics: None, ..Default::default() });
    let directory = described.results.iter().find(|result| result.log_dir == to).unwrap();
    assert!(directory.topics[0].partitions[0].is_future_key);
    assert_eq!(running.produce("topic", 0, -1, 1).partition().unwrap().base_offset, 3);
    running.node.keep_logs();
    assert_eq!(lies_in(&world), [to]);
    assert_eq!(running.produce("topic", 0, -1, 1).partition().unwrap().base_offset, 4);
    assert_eq!(latest_offset(&running, "topic"), (0, 5));
    running.node.tick();
    drop(running);
    assert_eq!(latest_offset(&world.start(), "topic").0, 0);
}
