//! A node dies while clients write: what was acknowledged is there, once and in order, and writing goes on.

use super::{tool, wait_for};
use ottla_tests::{Cluster, Wrote};
use std::thread::sleep;
use std::time::Duration;

/// Dead nodes are found dead by their sessions at the latest.
const SETTINGS: [(&str, &str); 2] = [("broker.session.timeout.ms", "3000"), ("broker.heartbeat.interval.ms", "500")];

fn create(cluster: &Cluster, topic: &str) {
    let replicated = ["--create", "--topic", topic, "--partitions", "6", "--replication-factor", "3"];
    let safe = ["--config", "min.insync.replicas=2"];
    tool("kafka-topics", &cluster.bootstrap(), &[&replicated[..], &safe].concat());
}

fn active_controller(cluster: &Cluster) -> usize {
    let mut leader = None;
    wait_for("a controller is active", || {
        let said = tool("kafka-metadata-quorum", &cluster.bootstrap(), &["describe", "--status"]);
        let id = said.lines().find_map(|line| line.strip_prefix("LeaderId:"));
        leader = id.and_then(|id| id.trim().parse::<usize>().ok());
        leader.is_some()
    });
    leader.unwrap() - 1
}

fn all_in_sync(cluster: &Cluster) -> bool {
    let under = tool("kafka-topics", &cluster.bootstrap(), &["--describe", "--under-replicated-partitions"]);
    under.trim().is_empty()
}

#[test]
fn nothing_is_lost_when_the_active_controller_and_then_another_node_die() {
    let mut cluster = Cluster::of_voters(3, &SETTINGS).unwrap();
    create(&cluster, "written");
    let writer = cluster.writer("written", 6).unwrap();
    sleep(Duration::from_secs(1));
    for death in 0..2 {
        let active = active_controller(&cluster);
        let victim = if death == 0 { active } else { (active + 1) % 3 };
        cluster.nodes[victim].kill().unwrap();
        sleep(Duration::from_secs(5));
        cluster.nodes[victim].launch().unwrap();
        wait_for("all replicas are in sync", || all_in_sync(&cluster));
    }
    let wrote = Wrote::of(writer).unwrap();
    assert!(wrote.is_exact(), "{wrote:?}\n{}", cluster.said());
    println!("{wrote:?}");
}

#[test]
fn no_client_sees_an_error_when_the_nodes_are_stopped_and_started_one_after_the_other() {
    let mut cluster = Cluster::of_voters(3, &SETTINGS).unwrap();
    create(&cluster, "rolled");
    let writer = cluster.writer("rolled", 6).unwrap();
    for node in 0..3 {
        cluster.nodes[node].stop().unwrap();
        cluster.nodes[node].launch().unwrap();
        wait_for("all replicas are in sync", || all_in_sync(&cluster));
    }
    let wrote = Wrote::of(writer).unwrap();
    assert!(wrote.is_exact(), "{wrote:?}\n{}", cluster.said());
    println!("{wrote:?}");
}
