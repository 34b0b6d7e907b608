//! What only threads that meet can do wrong: the other tests give each node one thread.

use crate::asking::{TOPIC, create, isolate, node, partition, records};
use crate::harness::cluster::Cluster;
use crate::harness::{Pending, Running};
use ottla_protocol::messages::fetch_request::{FetchPartition, FetchTopic, ReplicaState};
use ottla_protocol::messages::fetch_response::PartitionData;
use ottla_protocol::messages::{FetchRequest, FetchResponse};
use ottla_types::TopicId;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

/// How many batches are written, one after the other, each acknowledged by all replicas.
const BATCHES: i64 = 4_000;

/// The replicas as which threads fetch: several for each, so that they meet often.
const FETCHERS: [i32; 6] = [2, 3, 2, 3, 2, 3];

/// Far longer than that takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Asks for what comes next, as a replica does that has everything before the offset.
fn send(leader: &Running, replica: i32, topic_id: TopicId, offset: i64, wait_ms: i32) -> Pending<FetchResponse> {
    let partition = FetchPartition {
        fetch_offset: offset,
        current_leader_epoch: -1,
        partition_max_bytes: 1 << 20,
        ..Default::default()
    };
    leader.send(&FetchRequest {
        replica_state: ReplicaState { replica_id: replica, replica_epoch: -1, ..Default::default() },
        max_wait_ms: wait_ms,
        min_bytes: 1,
        max_bytes: 1 << 20,
        session_epoch: -1,
        topics: vec![FetchTopic { topic_id, partitions: vec![partition], ..Default::default() }],
        ..Default::default()
    })
}

/// A fetch that waits for as long as there is nothing new, since the node's clock stands still.
fn fetch(leader: &Running, replica: i32, topic_id: TopicId, offset: i64) -> PartitionData {
    let pending = send(leader, replica, topic_id, offset, 500);
    loop {
        if let Some(answer) = pending.take() {
            return answer.responses[0].partitions[0].clone();
        }
        thread::yield_now();
    }
}

/// Follows the leader until it has everything.
fn follow(leader: &Running, replica: i32, topic_id: TopicId) {
    let mut offset = 0;
    while offset < BATCHES {
        let data = fetch(leader, replica, topic_id, offset);
        assert_eq!(data.error_code, 0, "{data:?}");
        offset += records(&data);
    }
    // The leader is to hear of the last one, too.
    drop(send(leader, replica, topic_id, offset, 0));
}

#[test]
fn fetches_of_followers_and_appends_that_meet_wait_for_nobody_for_ever() {
    let cluster = Cluster::start(3);
    create(&cluster, &[1, 2, 3], &[]);
    isolate(&cluster, 2);
    isolate(&cluster, 3);
    let leader = Arc::clone(&cluster.nodes[0].node);
    let (topic_id, _) = partition(node(&cluster, 1)).unwrap();
    let (done, is_done) = channel();
    for replica in FETCHERS {
        let (leader, done) = (Running::on(leader.clone()), done.clone());
        thread::spawn(move || {
            follow(&leader, replica, topic_id);
            done.send(()).unwrap();
        });
    }
    let writer = Running::on(leader);
    thread::spawn(move || {
        for _ in 0..BATCHES {
            let pending = writer.produce(TOPIC, 0, -1, 1);
            while pending.partition().is_none() {
                thread::yield_now();
            }
        }
        done.send(()).unwrap();
    });
    for _ in 0..=FETCHERS.len() {
        is_done.recv_timeout(PATIENCE).expect("one of the threads waits for ever, or has ended with an error");
    }
}
