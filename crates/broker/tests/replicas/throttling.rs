//! Replication throttles (KIP-73).

use crate::asking::{BROKER_RESOURCE, TOPIC, TOPIC_RESOURCE, await_in_sync, configure, create, write};
use crate::harness::cluster::Cluster;
use core::time::Duration;
use ottla_env::Clock;

/// Lets a replica miss 3 MB, of which one fetch brings 1 MiB at most, and gives how long it takes to catch up.
fn time_to_catch_up(configs: impl Fn(&Cluster)) -> Duration {
    let mut cluster = Cluster::start(3);
    create(&cluster, &[2, 1, 3], &[("min.insync.replicas", "1")]);
    write(&cluster, 2, 1);
    cluster.lose_power(3);
    await_in_sync(&cluster, &[1, 2]);
    for _ in 0..30 {
        write(&cluster, 2, 9_000);
    }
    configs(&cluster);
    cluster.start_again(3);
    cluster.run_until("the broker runs", |cluster| cluster.living().all(|running| running.node.is_running()));
    let began = cluster.clock.monotonic();
    await_in_sync(&cluster, &[1, 2, 3]);
    // What is in sync is not held back.
    let before = cluster.clock.monotonic();
    for _ in 0..10 {
        write(&cluster, 2, 2_000);
    }
    assert!(cluster.clock.monotonic().since(before) < Duration::from_secs(2));
    before.since(began)
}

#[test]
fn a_replica_that_is_not_throttled_catches_up_at_once() {
    let took = time_to_catch_up(|cluster| {
        configure(cluster, BROKER_RESOURCE, "2", &[("leader.replication.throttled.rate", "100000")]);
        configure(cluster, BROKER_RESOURCE, "", &[("follower.replication.throttled.rate", "100000")]);
        configure(cluster, TOPIC_RESOURCE, TOPIC, &[("leader.replication.throttled.replicas", "0:1,7:2")]);
    });
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn a_leader_gives_a_throttled_replica_no_more_than_its_rate() {
    let took = time_to_catch_up(|cluster| {
        configure(cluster, BROKER_RESOURCE, "2", &[("leader.replication.throttled.rate", "100000")]);
        configure(cluster, TOPIC_RESOURCE, TOPIC, &[("leader.replication.throttled.replicas", "0:2")]);
    });
    assert!(took > Duration::from_secs(15), "{took:?}");
}

#[test]
fn a_throttled_follower_fetches_no_more_than_its_rate() {
    let took = time_to_catch_up(|cluster| {
        configure(cluster, BROKER_RESOURCE, "", &[("follower.replication.throttled.rate", "100000")]);
        configure(cluster, TOPIC_RESOURCE, TOPIC, &[("follower.replication.throttled.replicas", "*")]);
    });
    assert!(took > Duration::from_secs(15), "{took:?}");
}
