//! A log that Apache Kafka wrote, read here: see `data/README.md`.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod memory_log;

use memory_log::MemoryLog;
use ottla_coordinator::{Alarm, LoadError};
use ottla_coordinator::{GroupMachine, GroupRequest, LoadSummary, Now, RecordsSettings, Shard, ShardSettings};
use ottla_env::Monotonic;
use ottla_groups::{GroupSettings, NoTopics, Request, RequestContext, Response};
use ottla_protocol::messages::ListGroupsRequest;
use ottla_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use ottla_records::{Compression, CompressionLevel};
use ottla_types::Timestamp;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const LOG: &[u8] = include_bytes!("data/consumer_offsets.log");
const EXPECTED: &str = include_str!("data/consumer_offsets.txt");

fn now() -> Now {
    Now { wall: Timestamp(1_800_000_000_000), monotonic: Monotonic(0) }
}

fn load(log: MemoryLog) -> (Shard<GroupMachine>, Result<LoadSummary, LoadError>) {
    let settings = ShardSettings {
        records: RecordsSettings {
            compression: CompressionLevel::default_of(Compression::None),
            load_bytes: 4_096,
            decompressed_bytes_max: 1 << 20,
        },
        commit_timeout: Duration::from_secs(5),
        parked_max: 100,
    };
    let machine = GroupMachine::new(GroupSettings::default(), Box::new(|| Arc::new(NoTopics)));
    let shard = Shard::new(machine, Arc::new(log), settings, Arc::new(Alarm::new(Box::new(|| ()))));
    let result = shard.load(now);
    (shard, result)
}

fn ask(shard: &Shard<GroupMachine>, api_version: i16, request: Request) -> Response {
    let cell = Arc::new(Mutex::new(None));
    let answer = cell.clone();
    let context =
        RequestContext { api_version, client_id: "client".into(), client_host: "/127.0.0.1".into(), random: [0; 16] };
    let reply_to = move |response| *answer.lock().unwrap() = Some(response);
    shard.submit(now(), GroupRequest { context, request }, Box::new(reply_to));
    cell.lock().unwrap().take().unwrap()
}

/// What is known here, in the lines of the expectation.
fn lines(shard: &Shard<GroupMachine>) -> Vec<String> {
    let Response::ListGroups(listed) = ask(shard, 5, Request::ListGroups(ListGroupsRequest::default())) else {
        panic!("no list")
    };
    let mut lines = Vec::new();
    for group in listed.groups {
        let group_type = group.group_type[..1].to_uppercase() + &group.group_type[1..];
        lines.push(format!("group {} {group_type} {} {}", group.group_id, group.protocol_type, group.group_state));
        let asked = OffsetFetchRequestGroup { group_id: group.group_id, topics: None, ..Default::default() };
        let Response::OffsetFetch(fetched) = ask(shard, 9, Request::OffsetFetch { group: asked, require_stable: true })
        else {
            panic!("no offsets")
        };
        for topic in fetched.topics {
            for partition in topic.partitions {
                assert_eq!(partition.error_code, 0);
                lines.push(format!(
                    "offset {} {} {} {} {} {}",
                    fetched.group_id,
                    topic.name,
                    partition.partition_index,
                    partition.committed_offset,
                    partition.committed_leader_epoch,
                    partition.metadata.unwrap_or_default()
                ));
            }
        }
    }
    lines.sort();
    lines
}

#[test]
fn groups_and_offsets_of_a_log_of_apache_kafka_are_those_that_it_shows() {
    let log = MemoryLog::default();
    log.push_raw(LOG);
    let (shard, result) = load(log);
    let summary = result.unwrap();
    assert_eq!(summary.unknown, 0);
    assert_eq!(summary.bytes, LOG.len() as u64);
    assert_eq!(lines(&shard), EXPECTED.lines().collect::<Vec<&str>>());
}

#[test]
fn a_damaged_batch_is_found_and_nothing_is_served() {
    let whole = MemoryLog::default();
    whole.push_raw(LOG);
    let batches = whole.batches();
    for batch in 0..batches {
        // Attributes, timestamps, the first record, its key.
        for byte in [21, 40, 61, 70] {
            let log = MemoryLog::default();
            log.push_raw(LOG);
            log.damage(batch, byte);
            let (_, result) = load(log);
            assert!(matches!(result, Err(LoadError::Checksum(_))), "batch {batch} byte {byte}: {result:?}");
        }
    }
}
