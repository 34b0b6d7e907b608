//! A partition whose only replica is on a dead broker has no leader: the others are served, and it is too when the broker is back.

use super::{tool, wait_for};
use ottla_tests::{Cluster, Wrote};

#[test]
fn clients_go_on_with_the_other_partitions_while_one_has_no_leader() {
    let mut cluster = Cluster::of_voters(3, &[("broker.session.timeout.ms", "3000")]).unwrap();
    let bootstrap = cluster.bootstrap();
    let assignment = ["--create", "--topic", "thin", "--replica-assignment", "1,2,3"];
    tool("kafka-topics", &bootstrap, &assignment);
    let writer = cluster.writer("thin", 3).unwrap();
    cluster.nodes[2].kill().unwrap();
    let unavailable = || tool("kafka-topics", &bootstrap, &["--describe", "--unavailable-partitions"]);
    wait_for("it has no leader", || unavailable().contains("Partition: 2"));
    let all = tool("kafka-topics", &bootstrap, &["--describe", "--topic", "thin"]);
    let lines: Vec<&str> = all.lines().filter(|line| line.contains("Partition: ")).collect();
    assert_eq!(lines.len(), 3, "{all}");
    assert!(lines[2].contains("Leader: none") && lines[2].contains("Replicas: 3"), "{all}");
    let living = tool("kafka-log-dirs", &bootstrap, &["--describe", "--broker-list", "1,2", "--topic-list", "thin"]);
    assert!(living.contains("thin-0") && living.contains("thin-1"), "{living}");
    cluster.nodes[2].launch().unwrap();
    wait_for("it has a leader again", || unavailable().trim().is_empty());
    let wrote = Wrote::of(writer).unwrap();
    assert!(wrote.is_exact(), "{wrote:?}\n{}", cluster.said());
    println!("{wrote:?}");
}
