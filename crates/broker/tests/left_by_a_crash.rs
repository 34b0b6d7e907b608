//! What a crash leaves on the disk, and a start has to make sense of.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests may stop at what they did not expect")]

mod harness;

use bytes::Bytes;
use harness::{Running, World};
use ottla_env::{Disk, DiskOperation};
use ottla_env_sim::{CrashMode, Fault, FaultKind};
use ottla_protocol::RecordSet;
use ottla_protocol::messages::delete_topics_request::DeleteTopicState;
use ottla_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use ottla_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use ottla_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use ottla_protocol::messages::{
    DeleteTopicsRequest, IncrementalAlterConfigsRequest, ListOffsetsRequest, ProduceRequest,
};
use ottla_records::{BatchBuilder, BatchOptions, Compressor, RecordToWrite};
use ottla_types::Timestamp;
use std::path::Path;
use std::time::Duration;

fn latest_offset(running: &Running, topic: &str) -> (i16, i64) {
    let partition = ListOffsetsPartition { partition_index: 0, timestamp: -1, ..Default::default() };
    let topic = ListOffsetsTopic { name: topic.to_owned(), partitions: vec![partition], ..Default::default() };
    let response = running.ask(&ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..Default::default() });
    let answer = &response.topics[0].partitions[0];
    (answer.error_code, answer.offset)
}

/// A record of this length with a key, in a batch of its own.
fn produce(running: &Running, topic: &str, key: &str, length: usize) {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    let value = vec![7; length];
    let timestamp = Timestamp(1_700_000_000_000);
    builder.append(&RecordToWrite { timestamp, key: Some(key.as_bytes()), value: Some(&value), headers: &[] }).unwrap();
    let records = RecordSet::from(Bytes::from(builder.build_vec(&mut Compressor::default()).unwrap()));
    let data = PartitionProduceData { index: 0, records, ..Default::default() };
    let topic = TopicProduceData { name: topic.to_owned(), partition_data: vec![data], ..Default::default() };
    let request = ProduceRequest { acks: -1, timeout_ms: 1000, topic_data: vec![topic], ..Default::default() };
    assert_eq!(running.send_version(&request, 12).partition().unwrap().error_code, 0);
}

/// Compaction takes the last record of a sealed segment, so that the next one does not begin where it ends. The node's default
/// is not to compact: only the topic says that this gap is right, and nothing behind it may be taken for torn off.
#[test]
fn the_gap_that_compaction_has_left_between_segments_is_no_end_of_the_log() {
    let world = World::new("/data", "");
    let running = world.start();
    let configs = [("cleanup.policy", "compact"), ("segment.bytes", "1048576"), ("min.cleanable.dirty.ratio", "0.001")];
    running.create_topic("compacted", 1, &configs);
    // Two records fill a segment.
    for key in ["x", "y", "y", "z"] {
        produce(&running, "compacted", key, 450_000);
    }
    produce(&running, "compacted", "w", 450_000);
    assert_eq!(latest_offset(&running, "compacted"), (0, 5));
    let before = world.disk.length(Path::new("/data/compacted-0/00000000000000000000.log")).unwrap();
    running.node.compact();
    let after = world.disk.length(Path::new("/data/compacted-0/00000000000000000000.log")).unwrap();
    assert!(after < before, "the first y is gone: {before} bytes became {after}");
    drop(running);
    world.disk.crash(CrashMode::KeepAll);
    assert_eq!(latest_offset(&world.start(), "compacted"), (0, 5));
}

/// A topic was deleted and made anew, and the machine died before the directory of the first had its new name.
#[test]
fn the_log_of_a_deleted_topic_does_not_keep_a_new_one_of_its_name_from_being_served() {
    let world = World::new("/data", "");
    let running = world.start();
    running.create_topic("topic", 1, &[]);
    produce(&running, "topic", "k", 1);
    let old = world.disk.list(Path::new("/data/topic-0")).unwrap();
    let topics = vec![DeleteTopicState { name: Some("topic".to_owned()), ..Default::default() }];
    let response = running.ask(&DeleteTopicsRequest { topics, timeout_ms: 1000, ..Default::default() });
    assert_eq!(response.responses[0].error_code, 0);
    running.create_topic("topic", 1, &[]);
    let entries = world.disk.list(Path::new("/data")).unwrap();
    let deleted = entries.iter().find(|(name, _)| name.starts_with("topic-0.") && name.ends_with("-delete")).unwrap();
    drop(running);
    world.disk.crash(CrashMode::KeepAll);
    // As it would be without the renaming.
    world.disk.remove_directory(Path::new("/data/topic-0")).unwrap();
    world.disk.rename(&Path::new("/data").join(&deleted.0), Path::new("/data/topic-0")).unwrap();
    assert_eq!(world.disk.list(Path::new("/data/topic-0")).unwrap().len(), old.len());
    let running = world.start();
    assert_eq!(latest_offset(&running, "topic"), (0, 0));
    let entries = world.disk.list(Path::new("/data")).unwrap();
    assert!(entries.iter().any(|(name, _)| name.ends_with("-stray")), "{entries:?}");
}

#[test]
fn a_partition_that_found_no_room_is_served_when_there_is_room() {
    let world = World::new("/data", "");
    let running = world.start();
    // The records of the topic are written, its directory is not made.
    world.disk.inject(Fault { operation: DiskOperation::CreateDirectory, after: 0, times: 1, kind: FaultKind::Full });
    running.create_topic("topic", 1, &[]);
    assert_ne!(latest_offset(&running, "topic").0, 0);
    running.node.keep_logs();
    assert_eq!(latest_offset(&running, "topic"), (0, 0));
    assert_eq!(running.node.failure(), None);
}

/// A change of the metadata that makes no partition; the code of its answer.
fn alter(running: &Running, bytes: i32) -> i16 {
    let config =
        AlterableConfig { name: "message.max.bytes".to_owned(), value: Some(bytes.to_string()), ..Default::default() };
    let resource = AlterConfigsResource { resource_type: 4, configs: vec![config], ..Default::default() };
    let request = IncrementalAlterConfigsRequest { resources: vec![resource], ..Default::default() };
    running.ask(&request).responses[0].error_code
}

fn snapshots(world: &World) -> usize {
    let entries = world.disk.list(Path::new("/data/__cluster_metadata-0")).unwrap();
    entries.iter().filter(|(name, _)| name.ends_with(".checkpoint")).count()
}

#[test]
fn a_metadata_snapshot_that_finds_no_room_is_written_later_and_the_change_is_granted() {
    let world = World::new("/data", "metadata.log.max.record.bytes.between.snapshots=1");
    let running = world.start();
    let before = snapshots(&world);
    world.disk.inject(Fault { operation: DiskOperation::Create, after: 0, times: 1, kind: FaultKind::Full });
    assert_eq!(alter(&running, 2_000_001), 0);
    assert_eq!((snapshots(&world), running.node.failure()), (before, None));
    assert_eq!(alter(&running, 2_000_002), 0);
    assert_eq!(snapshots(&world), before + 1);
}

#[test]
fn a_metadata_snapshot_that_fails_ends_the_node_with_the_path_and_the_error() {
    let world = World::new("/data", "metadata.log.max.record.bytes.between.snapshots=1");
    let running = world.start();
    world.disk.inject(Fault { operation: DiskOperation::Rename, after: 0, times: 1, kind: FaultKind::Error });
    assert_ne!(alter(&running, 2_000_001), 0);
    let failure = running.node.failure().expect("nothing can be decided any more");
    assert!(failure.contains("cannot rename /data/__cluster_metadata-0/"), "{failure}");
}

/// Older releases of Apache Kafka formatted without a snapshot: the first records lay in a file of the log directory, and after
/// a first start they are in the log.
#[test]
fn a_directory_that_an_older_release_has_formatted_is_served_fresh_and_used() {
    let world = World::new("/data", "");
    let metadata = Path::new("/data/__cluster_metadata-0");
    let snapshot = metadata.join("00000000000000000000-0000000000.checkpoint");
    world.disk.rename(&snapshot, Path::new("/data/bootstrap.checkpoint")).unwrap();
    let running = world.start();
    running.create_topic("topic", 1, &[]);
    produce(&running, "topic", "k", 1);
    drop(running);
    world.clock.advance(Duration::from_secs(1));
    world.disk.crash(CrashMode::KeepAll);
    world.disk.remove_file(Path::new("/data/bootstrap.checkpoint")).unwrap();
    assert_eq!(latest_offset(&world.start(), "topic"), (0, 1));
}
