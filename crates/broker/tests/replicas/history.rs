//! Faults that replication once had in Apache Kafka, each as it would be seen on three nodes.

use crate::asking::{
    Consumer, await_answer, await_in_sync, await_leader, contents, create, isolate, log_end, log_start, node,
    partition, produce, records, steps, write,
};
use crate::harness::Running;
use crate::harness::cluster::Cluster;

const MIN_TWO: &[(&str, &str)] = &[("min.insync.replicas", "2")];

fn current_leader(cluster: &Cluster) -> i32 {
    partition(node(cluster, 1)).unwrap().1.leader_id
}

/// Cuts the leader off with an uncommitted tail of its own, and waits for another leader among those that are left.
fn replace_leader(cluster: &Cluster, leader: i32, tail: i32) -> i32 {
    isolate(cluster, leader);
    let alone = produce(cluster, leader, 1, tail);
    assert_eq!(alone.partition().unwrap().error_code, 0, "it does not know better");
    cluster.run_until("another leads", |cluster| ![-1, leader].contains(&current_leader(cluster)));
    let next = current_leader(cluster);
    cluster.run_until("it knows", |cluster| {
        partition(node(cluster, next)).is_some_and(|(_, partition)| partition.leader_id == next)
    });
    next
}

/// KIP-101, KIP-279, KAFKA-14704: a leader comes back with records that nobody else has. It cuts them, whatever its high
/// watermark was, and no consumer that reads there sees one of them.
#[test]
fn the_tail_of_a_replaced_leader_goes_and_nobody_sees_it() {
    let cluster = Cluster::start(3);
    create(&cluster, &[2, 3, 1], MIN_TWO);
    write(&cluster, 2, 10);
    let next = replace_leader(&cluster, 2, 5);
    steps(&cluster, 400);
    assert_eq!(write(&cluster, next, 3), 10, "the others go on");
    cluster.network.heal();
    let mut seen = 0;
    for _ in 0..4_000 {
        cluster.step();
        let read = Consumer::at(10).ask(&cluster, 2);
        if read.error_code == 0 && records(&read) > 0 {
            seen = records(&read);
            assert_eq!(seen, 3, "a record that was never committed");
        }
    }
    assert_eq!(seen, 3, "it follows again");
    await_in_sync(&cluster, &[1, 2, 3]);
    assert_eq!(contents(&cluster, 2), contents(&cluster, 1));
    assert_eq!(contents(&cluster, 2), contents(&cluster, 3));
}

/// KIP-279, KAFKA-6361: leaders come and go, each with a tail that it alone has; all logs agree in the end, and hold all that was
/// acknowledged.
#[test]
fn tails_of_many_leaders_are_cut_one_after_the_other() {
    let cluster = Cluster::start(3);
    create(&cluster, &[2, 3, 1], MIN_TWO);
    let mut end = write(&cluster, 2, 4) + 4;
    let mut leader = 2;
    for round in 0..6 {
        if leader == 1 {
            // The controller is on node 1; it hands over in good order.
            let order = if round % 2 == 0 { [2, 3, 1] } else { [3, 2, 1] };
            crate::asking::move_leader(&cluster, &order);
            leader = order[0];
        }
        leader = replace_leader(&cluster, leader, 3 + round);
        steps(&cluster, 400);
        assert_eq!(write(&cluster, leader, 2), end, "round {round}: nothing that was acknowledged is gone");
        end += 2;
        cluster.network.heal();
        // What was lost in the cut is given up after replica.socket.timeout.ms, and not asked again before.
        steps(&cluster, 7_000);
        await_in_sync(&cluster, &[1, 2, 3]);
        assert_eq!(contents(&cluster, 2), contents(&cluster, 1), "round {round}");
        assert_eq!(contents(&cluster, 2), contents(&cluster, 3), "round {round}");
    }
}

/// A leader that was replaced and does not know it acknowledges nothing to who waits for all replicas.
#[test]
fn a_replaced_leader_acknowledges_nothing() {
    let cluster = Cluster::start(3);
    create(&cluster, &[2, 3, 1], MIN_TWO);
    write(&cluster, 2, 1);
    isolate(&cluster, 2);
    let waiting = produce(&cluster, 2, -1, 5);
    let code = await_answer(&cluster, "an answer", &waiting).responses[0].partition_responses[0].error_code;
    assert!([6, 7].contains(&code), "NOT_LEADER_OR_FOLLOWER or REQUEST_TIMED_OUT: {code}");
    assert_eq!(records(&Consumer::at(1).ask(&cluster, 2)), 0);
}

/// KAFKA-9491: after a follower had to begin anew, its high watermark goes on.
#[test]
fn a_follower_that_begins_anew_knows_what_is_committed() {
    let mut cluster = Cluster::start(3);
    create(&cluster, &[2, 1, 3], &[]);
    write(&cluster, 2, 5);
    steps(&cluster, 200);
    cluster.lose_power(3);
    await_in_sync(&cluster, &[1, 2]);
    write(&cluster, 2, 20);
    crate::deletion::delete_all(&cluster, 2);
    write(&cluster, 2, 2);
    cluster.start_again(3);
    await_in_sync(&cluster, &[1, 2, 3]);
    steps(&cluster, 400);
    assert_eq!((log_start(&cluster, 3), log_end(&cluster, 3)), (25, 27));
    let read = Consumer::at(25).ask(&cluster, 3);
    assert_eq!((read.high_watermark, records(&read)), (27, 2));
}

/// KAFKA-15583: with fewer replicas in sync than the topic demands, nothing is committed, whatever the leader appends.
#[test]
fn nothing_is_committed_below_the_minimum_of_replicas_in_sync() {
    let cluster = Cluster::start(3);
    create(&cluster, &[2, 3], MIN_TWO);
    write(&cluster, 2, 5);
    isolate(&cluster, 3);
    await_in_sync_at(&cluster, &[2], &[1, 2]);
    assert_eq!(produce(&cluster, 2, 1, 5).partition().unwrap().error_code, 0);
    assert_eq!(produce(&cluster, 2, -1, 5).partition().unwrap().error_code, 19, "NOT_ENOUGH_REPLICAS");
    steps(&cluster, 400);
    let read = Consumer::at(5).ask(&cluster, 2);
    assert_eq!((read.high_watermark, records(&read)), (5, 0));
    cluster.network.heal();
    await_in_sync(&cluster, &[2, 3]);
    cluster.run_until("it is committed", |cluster| records(&Consumer::at(5).ask(cluster, 2)) == 5);
}

fn in_sync(node: &Running) -> Vec<i32> {
    let mut in_sync = partition(node).map(|(_, partition)| partition.isr_nodes).unwrap_or_default();
    in_sync.sort_unstable();
    in_sync
}

/// As these nodes tell it.
fn await_in_sync_at(cluster: &Cluster, replicas: &[i32], tellers: &[i32]) {
    cluster.run_until("these replicas are in sync", |cluster| {
        tellers.iter().all(|id| in_sync(node(cluster, *id)) == replicas)
    });
}

/// KIP-966: the last replica in sync loses power and what it had not synced. It does not lead the one that left the replicas in
/// sync before, and still has everything that was acknowledged.
#[test]
fn the_last_replica_in_sync_does_not_take_what_it_lost_from_the_others() {
    let mut cluster = Cluster::start(3);
    create(&cluster, &[2, 3], MIN_TWO);
    write(&cluster, 2, 5);
    steps(&cluster, 200);
    isolate(&cluster, 3);
    await_in_sync_at(&cluster, &[2], &[1, 2]);
    cluster.lose_power(2);
    cluster.start_again(2);
    cluster.network.heal();
    cluster.run_until("both run", |cluster| cluster.living().all(|running| running.node.is_running()));
    await_in_sync(&cluster, &[2, 3]);
    steps(&cluster, 400);
    let leader = current_leader(&cluster);
    let read = Consumer::at(0).ask(&cluster, leader);
    assert_eq!((records(&read), read.high_watermark), (5, 5), "led by {leader}");
    assert_eq!(contents(&cluster, 2), contents(&cluster, 3));
}

/// KAFKA-7164, KAFKA-10706: a follower misses several leaders, of which some have written nothing, and agrees all the same.
#[test]
fn a_follower_that_missed_several_leaders_agrees_with_the_last() {
    let cluster = Cluster::start(3);
    create(&cluster, &[2, 1, 3], &[]);
    write(&cluster, 2, 5);
    steps(&cluster, 200);
    // It hears nothing of the controller, and its requests get nowhere.
    isolate(&cluster, 3);
    await_in_sync_at(&cluster, &[1, 2], &[1, 2]);
    for order in [[1, 2, 3], [2, 1, 3], [1, 2, 3]] {
        crate::asking::reorder(&cluster, &order);
        crate::asking::elect_preferred(&cluster);
        cluster.run_until("it leads", |cluster| current_leader(cluster) == order[0]);
        steps(&cluster, 400);
    }
    write(&cluster, 1, 3);
    cluster.network.heal();
    await_leader(&cluster, 1);
    await_in_sync(&cluster, &[1, 2, 3]);
    steps(&cluster, 400);
    assert_eq!(contents(&cluster, 3), contents(&cluster, 1));
}
