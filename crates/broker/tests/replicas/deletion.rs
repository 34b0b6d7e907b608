//! Records that are deleted, on all replicas.

use crate::asking::{TOPIC, await_answer, create, log_end, log_start, node, steps, write};
use crate::harness::Pending;
use crate::harness::cluster::Cluster;
use ottla_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use ottla_protocol::messages::delete_records_response::DeleteRecordsPartitionResult;
use ottla_protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse};

const NOT_LEADER_OR_FOLLOWER: i16 = 6;
const REQUEST_TIMED_OUT: i16 = 7;

fn delete(cluster: &Cluster, at: i32, offset: i64, timeout_ms: i32) -> Pending<DeleteRecordsResponse> {
    let partition = DeleteRecordsPartition { offset, ..Default::default() };
    let topic = DeleteRecordsTopic { name: TOPIC.to_owned(), partitions: vec![partition], ..Default::default() };
    node(cluster, at).send(&DeleteRecordsRequest { topics: vec![topic], timeout_ms, ..Default::default() })
}

fn outcome(response: &DeleteRecordsResponse) -> (i16, i64) {
    let partition: &DeleteRecordsPartitionResult = &response.topics[0].partitions[0];
    (partition.error_code, partition.low_watermark)
}

/// Deletes all that is committed, everywhere.
pub(crate) fn delete_all(cluster: &Cluster, leader: i32) {
    assert_eq!(outcome(&await_answer(cluster, "all is deleted", &delete(cluster, leader, -1, 60_000))).0, 0);
}

#[test]
fn a_deletion_is_answered_when_all_replicas_have_deleted() {
    let cluster = Cluster::start(3);
    create(&cluster, &[2, 1, 3], &[]);
    write(&cluster, 2, 10);
    steps(&cluster, 200);
    let waiting = delete(&cluster, 2, 4, 10_000);
    assert!(waiting.take().is_none(), "nobody else has deleted anything yet");
    let answer = await_answer(&cluster, "it is deleted", &waiting);
    assert_eq!(outcome(&answer), (0, 4));
    for id in 1..=3 {
        assert_eq!((log_start(&cluster, id), log_end(&cluster, id)), (4, 10), "node {id}");
    }
    // All that is committed.
    assert_eq!(outcome(&await_answer(&cluster, "all is deleted", &delete(&cluster, 2, -1, 10_000))), (0, 10));
    assert_eq!(outcome(&delete(&cluster, 3, 4, 10_000).take().unwrap()), (NOT_LEADER_OR_FOLLOWER, -1));
}

#[test]
fn a_deletion_that_a_replica_does_not_follow_times_out_and_is_done_all_the_same() {
    let cluster = Cluster::start(3);
    create(&cluster, &[2, 1, 3], &[]);
    write(&cluster, 2, 10);
    steps(&cluster, 200);
    cluster.network.cut(3, 2);
    // The fetch that waits at the leader is answered before.
    steps(&cluster, 150);
    let waiting = delete(&cluster, 2, 4, 2_000);
    steps(&cluster, 390);
    assert!(waiting.take().is_none(), "its time is not over");
    assert_eq!((log_start(&cluster, 1), log_start(&cluster, 3)), (4, 0));
    let answer = await_answer(&cluster, "its time is over", &waiting);
    assert_eq!(outcome(&answer), (REQUEST_TIMED_OUT, 0));
    cluster.network.heal();
    cluster.run_until("the last one follows", |cluster| log_start(cluster, 3) == 4);
    assert_eq!(outcome(&await_answer(&cluster, "it was deleted before", &delete(&cluster, 2, 2, 2_000))), (0, 4));
}

#[test]
fn a_replica_whose_broker_is_dead_keeps_no_deletion_waiting() {
    let mut cluster = Cluster::start(3);
    create(&cluster, &[2, 1, 3], &[]);
    write(&cluster, 2, 10);
    steps(&cluster, 200);
    cluster.lose_power(3);
    // The controller finds out while it waits.
    let waiting = delete(&cluster, 2, 4, 60_000);
    let answer = await_answer(&cluster, "it is deleted where brokers live", &waiting);
    assert_eq!(outcome(&answer), (0, 4));
    cluster.start_again(3);
    cluster.run_until("the dead one is back and has deleted too", |cluster| log_start(cluster, 3) == 4);
}

#[test]
fn what_retention_removes_at_the_leader_goes_at_the_followers_too() {
    let cluster = Cluster::start(3);
    create(&cluster, &[2, 1, 3], &[("retention.ms", "1000")]);
    write(&cluster, 2, 10);
    steps(&cluster, 10_000);
    assert_eq!(log_start(&cluster, 1), 0);
    node(&cluster, 2).node.keep_logs();
    cluster.run_until("all begin later", |cluster| (1..=3).all(|id| log_start(cluster, id) == 10));
    assert_eq!(write(&cluster, 2, 1), 10);
}
