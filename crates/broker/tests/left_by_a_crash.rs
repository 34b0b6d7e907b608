//! What a crash leaves on the disk, and a start has to make sense of.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests may stop at what they did not expect")]

mod harness;

use bytes::Bytes;
use harness::{Running, World};
use ottla_env::Disk;
use ottla_env_sim::CrashMode;
use ottla_protocol::RecordSet;
use ottla_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use ottla_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use ottla_protocol::messages::{ListOffsetsRequest, ProduceRequest};
use ottla_records::{BatchBuilder, BatchOptions, Compressor, RecordToWrite};
use ottla_types::Timestamp;
use std::path::Path;

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
