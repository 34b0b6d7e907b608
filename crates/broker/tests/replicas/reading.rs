//! Consumers that read from followers (KIP-392), and who is told where the leader is (KIP-951).

use crate::asking::{Consumer, create, node, produce, records, steps, write};
use crate::harness::cluster::Cluster;
use ottla_protocol::messages::ProduceResponse;

const OFFSET_OUT_OF_RANGE: i16 = 1;
const NOT_LEADER_OR_FOLLOWER: i16 = 6;
const FENCED_LEADER_EPOCH: i16 = 74;
const UNKNOWN_LEADER_EPOCH: i16 = 75;

fn in_racks() -> Cluster {
    Cluster::start_each(3, |id| {
        format!(
            "broker.rack=rack{id}\n\
             replica.selector.class=org.apache.kafka.common.replica.RackAwareReplicaSelector"
        )
    })
}

#[test]
fn a_consumer_is_sent_to_the_replica_in_its_rack_and_served_there() {
    let cluster = in_racks();
    create(&cluster, &[2, 1, 3], &[]);
    write(&cluster, 2, 10);
    steps(&cluster, 200);
    let in_rack = |rack| Consumer { rack, ..Consumer::at(0) };
    let sent = in_rack("rack3").ask(&cluster, 2);
    assert_eq!((sent.error_code, sent.preferred_read_replica, records(&sent), sent.high_watermark), (0, 3, 0, 10));
    // It does not wait for records first.
    let patient = Consumer { wait_ms: 10_000, offset: 10, ..in_rack("rack3") };
    assert_eq!(patient.ask(&cluster, 2).preferred_read_replica, 3);
    let read = in_rack("rack3").ask(&cluster, 3);
    assert_eq!((read.error_code, read.preferred_read_replica, records(&read), read.high_watermark), (0, -1, 10, 10));
    for rack in ["rack2", "elsewhere", ""] {
        let read = in_rack(rack).ask(&cluster, 2);
        assert_eq!((read.preferred_read_replica, records(&read)), (-1, 10), "{rack}");
    }
}

#[test]
fn without_a_selector_consumers_read_from_the_leader() {
    let cluster = Cluster::start_each(3, |id| format!("broker.rack=rack{id}"));
    create(&cluster, &[2, 1, 3], &[]);
    write(&cluster, 2, 10);
    let read = Consumer { rack: "rack3", ..Consumer::at(0) }.ask(&cluster, 2);
    assert_eq!((read.preferred_read_replica, records(&read)), (-1, 10));
}

#[test]
fn a_replica_that_is_not_in_sync_or_lacks_the_offset_is_not_named() {
    let mut cluster = in_racks();
    create(&cluster, &[2, 1, 3], &[]);
    write(&cluster, 2, 10);
    let in_rack = Consumer { rack: "rack3", ..Consumer::at(0) };
    cluster.lose_power(3);
    crate::asking::await_in_sync(&cluster, &[1, 2]);
    let read = in_rack.ask(&cluster, 2);
    assert_eq!((read.preferred_read_replica, records(&read)), (-1, 10));
}

#[test]
fn a_follower_gives_what_is_committed_and_nothing_more() {
    let mut cluster = in_racks();
    create(&cluster, &[2, 1, 3], &[("flush.messages", "1")]);
    write(&cluster, 2, 10);
    steps(&cluster, 200);
    // The other follower's disk holds up what is committed.
    cluster.slow.insert(1);
    let waiting = produce(&cluster, 2, -1, 5);
    let patient = Consumer { offset: 10, wait_ms: 60_000, ..Consumer::at(0) }.send(&cluster, 3);
    steps(&cluster, 200);
    assert_eq!(crate::asking::log_end(&cluster, 3), 15);
    assert!(waiting.partition().is_none());
    assert_eq!(records(&Consumer::at(0).ask(&cluster, 3)), 10);
    let between = Consumer::at(12).ask(&cluster, 3);
    assert_eq!((between.error_code, records(&between)), (0, 0), "it is there and not committed");
    assert_eq!(Consumer::at(16).ask(&cluster, 3).error_code, OFFSET_OUT_OF_RANGE);
    assert!(patient.take().is_none());
    // A consumer that waits here hears of it as soon as it is committed.
    cluster.slow.clear();
    steps(&cluster, 200);
    let read = patient.take().expect("the records have come").responses[0].partitions[0].clone();
    assert_eq!((records(&read), read.high_watermark), (5, 15));
}

#[test]
fn followers_refuse_old_clients_and_other_epochs() {
    let cluster = Cluster::start(3);
    create(&cluster, &[2, 1, 3], &[]);
    write(&cluster, 2, 1);
    steps(&cluster, 200);
    let code = |consumer: Consumer| consumer.ask(&cluster, 3).error_code;
    assert_eq!(code(Consumer { version: 10, ..Consumer::at(0) }), NOT_LEADER_OR_FOLLOWER);
    assert_eq!(code(Consumer { version: 11, ..Consumer::at(0) }), 0);
    let (_, partition) = crate::asking::partition(node(&cluster, 3)).unwrap();
    let epoch = partition.leader_epoch;
    assert_eq!(code(Consumer { epoch, ..Consumer::at(0) }), 0);
    assert_eq!(code(Consumer { epoch: epoch + 1, ..Consumer::at(0) }), UNKNOWN_LEADER_EPOCH);
    crate::asking::move_leader(&cluster, &[3, 1, 2]);
    let stale = Consumer { epoch, ..Consumer::at(0) }.ask(&cluster, 2);
    assert_eq!((stale.error_code, stale.current_leader.leader_id), (FENCED_LEADER_EPOCH, 3));
}

fn hint(response: &ProduceResponse) -> (i16, i32, Vec<(i32, String, i32)>) {
    let partition = &response.responses[0].partition_responses[0];
    let endpoints = response.node_endpoints.iter().map(|node| (node.node_id, node.host.clone(), node.port));
    (partition.error_code, partition.current_leader.leader_id, endpoints.collect())
}

#[test]
fn who_comes_to_the_wrong_broker_is_told_where_the_leader_is() {
    let cluster = Cluster::start(3);
    create(&cluster, &[2, 1], &[]);
    let leader = (2, "node2".to_owned(), 19092);
    // Node 1 follows, node 3 has no replica.
    for wrong in [1, 3] {
        let told = produce(&cluster, wrong, -1, 1).take().unwrap();
        assert_eq!(hint(&told), (NOT_LEADER_OR_FOLLOWER, 2, vec![leader.clone()]), "node {wrong}");
    }
    let told = Consumer::at(0).send(&cluster, 3).take().unwrap();
    let partition = &told.responses[0].partitions[0];
    assert_eq!((partition.error_code, partition.current_leader.leader_id), (NOT_LEADER_OR_FOLLOWER, 2));
    assert!(partition.current_leader.leader_epoch >= 0);
    let endpoints: Vec<_> = told.node_endpoints.iter().map(|n| (n.node_id, n.host.clone(), n.port)).collect();
    assert_eq!(endpoints, [leader]);
    // Older clients do not know of it.
    let told = Consumer { version: 15, ..Consumer::at(0) }.send(&cluster, 3).take().unwrap();
    assert!(told.node_endpoints.is_empty());
}
