//! What those hear who wait for something when the node stops.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests may stop at what they did not expect")]

mod harness;

use harness::World;
use ottla_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use ottla_protocol::messages::{FetchRequest, MetadataRequest};

/// The version of Fetch that still names topics instead of their ids.
const FETCH_VERSION: i16 = 12;

fn fetch(offset: i64, wait_ms: i32) -> FetchRequest {
    let partition = FetchPartition { fetch_offset: offset, partition_max_bytes: 1_000, ..Default::default() };
    let topic = FetchTopic { topic: "topic".to_owned(), partitions: vec![partition], ..Default::default() };
    FetchRequest { max_wait_ms: wait_ms, min_bytes: 1, max_bytes: 1_000, topics: vec![topic], ..Default::default() }
}

/// A consumer that hears that its offset is out of range begins somewhere else.
#[test]
fn whoever_waits_for_records_is_let_go_without_an_error_when_the_node_stops() {
    let world = World::new("/data", "");
    let running = world.start();
    running.create_topic("topic", 1, &[]);
    assert_eq!(running.produce("topic", 0, -1, 3).partition().unwrap().error_code, 0);
    let waiting = running.send_version(&fetch(3, 60_000), FETCH_VERSION);
    assert!(waiting.take().is_none());
    running.node.release_waiting();
    let late = running.send_version(&fetch(3, 0), FETCH_VERSION);
    for pending in [waiting, late] {
        let answer = pending.take().expect("nobody has to wait any more");
        let partition = &answer.responses[0].partitions[0];
        assert_eq!((answer.error_code, partition.error_code, partition.high_watermark), (0, 0, 3));
    }
}

/// librdkafka forgets every broker that it is not told of, and has no address left when it is told of none.
#[test]
fn the_last_broker_tells_of_itself_while_it_stops() {
    let world = World::new("/data", "");
    let running = world.start();
    running.create_topic("topic", 1, &[]);
    running.node.begin_leaving();
    assert!(running.node.has_left());
    let answer = running.ask(&MetadataRequest { topics: None, ..Default::default() });
    let brokers: Vec<i32> = answer.brokers.iter().map(|broker| broker.node_id).collect();
    assert_eq!(brokers, [answer.controller_id]);
    assert_eq!(answer.topics[0].partitions[0].leader_id, -1, "it leads nothing any more");
}
