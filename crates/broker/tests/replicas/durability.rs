//! What is told is durable before, where `flush.messages` demands it.

use crate::asking::{
    Consumer, await_answer, await_in_sync, await_leader, create, elect_preferred, length, log_end, produce, records,
    reorder, steps, write,
};
use crate::harness::Pending;
use crate::harness::cluster::Cluster;

const FLUSHED: &[(&str, &str)] = &[("flush.messages", "1"), ("min.insync.replicas", "2")];

#[test]
fn records_are_acknowledged_when_the_disks_of_all_in_sync_replicas_have_them() {
    let mut cluster = Cluster::start(3);
    create(&cluster, &[2, 1, 3], FLUSHED);
    cluster.slow.insert(3);
    let waiting = produce(&cluster, 2, -1, 5);
    steps(&cluster, 100);
    assert_eq!(log_end(&cluster, 3), 5, "the follower has it in its page cache");
    assert!(waiting.partition().is_none(), "but not on its disk");
    assert_eq!(records(&Consumer::at(0).ask(&cluster, 2)), 0);
    cluster.slow.clear();
    let answer = await_answer(&cluster, "it is acknowledged", &waiting);
    assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
}

#[test]
fn what_was_acknowledged_survives_the_loss_of_power_of_two_of_three() {
    let mut cluster = Cluster::start(3);
    create(&cluster, &[2, 3, 1], FLUSHED);
    write(&cluster, 2, 3);
    // The followers' disks are slower than the leader's: they get round to syncing only every eighth step.
    let waiting: Vec<_> = (0..10).map(|_| produce(&cluster, 2, -1, 7)).collect();
    let mut acknowledged = 0;
    for step in 0..4000 {
        cluster.slow = if step % 8 == 7 { [].into() } else { [1, 3].into() };
        cluster.step();
        acknowledged += waiting.iter().filter_map(Pending::partition).filter(|answer| answer.error_code == 0).count();
        if acknowledged == waiting.len() {
            break;
        }
    }
    assert_eq!(acknowledged, 10);
    let written = length(&cluster, 2);
    for id in [2, 3] {
        cluster.lose_power(id);
        assert_eq!(length(&cluster, id), written, "what node {id} has left");
    }
    cluster.slow.clear();
    steps(&cluster, 4000);
    // What led is gone for good; one that lost power and the one that did not have everything.
    cluster.start_again(3);
    cluster.run_until("the broker runs", |cluster| cluster.living().all(|running| running.node.is_running()));
    await_in_sync(&cluster, &[1, 3]);
    assert_eq!((log_end(&cluster, 1), log_end(&cluster, 3)), (73, 73));
    assert_eq!(length(&cluster, 1), length(&cluster, 3));
}

#[test]
fn a_leader_that_becomes_a_follower_tells_of_what_it_appended_when_its_disk_has_it() {
    let mut cluster = Cluster::start(3);
    create(&cluster, &[2, 3, 1], FLUSHED);
    reorder(&cluster, &[3, 2, 1]);
    cluster.slow.insert(2);
    let waiting = produce(&cluster, 2, -1, 5);
    steps(&cluster, 100);
    assert_eq!((log_end(&cluster, 3), log_end(&cluster, 1)), (5, 5));
    elect_preferred(&cluster);
    await_leader(&cluster, 3);
    steps(&cluster, 400);
    assert_eq!(waiting.partition().map(|answer| answer.error_code), Some(6), "it does not lead any more");
    assert_eq!(records(&Consumer::at(0).ask(&cluster, 3)), 0, "the former leader is in sync and has it in memory only");
    cluster.slow.clear();
    cluster.run_until("it is committed", |cluster| records(&Consumer::at(0).ask(cluster, 3)) == 5);
}
