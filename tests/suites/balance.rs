//! `ottla balance` while clients write: a broker that comes gets its share, one that goes is emptied, and no record is lost, on clusters
//! of Ottla and of Apache Kafka.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on ends")]

use ottla_oracle::{Node, NodeOptions, Oracle, free_port};
use ottla_tests::{Cluster, Server, Wrote, binary, run, write_all_the_while};
use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(120);

fn ottla(name: &str, bootstrap: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary().unwrap());
    command.args([name, "--bootstrap-server", bootstrap]).args(arguments);
    command
}

fn tool(name: &str, bootstrap: &str, arguments: &[&str]) -> String {
    run(&mut ottla(name, bootstrap, arguments)).unwrap()
}

fn refused(bootstrap: &str, arguments: &[&str]) -> String {
    run(&mut ottla("balance", bootstrap, arguments)).unwrap_err().to_string()
}

fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "never came to pass: {what}");
        sleep(Duration::from_millis(100));
    }
}

/// How many replicas each broker has, and of how many it is the first.
fn counts(bootstrap: &str) -> BTreeMap<i32, (usize, usize)> {
    let mut counts = BTreeMap::<i32, (usize, usize)>::new();
    for line in tool("kafka-topics", bootstrap, &["--describe"]).lines() {
        let Some((_, replicas)) = line.split_once("Replicas: ") else { continue };
        let replicas: Vec<i32> =
            replicas.split_whitespace().next().unwrap().split(',').map(|id| id.parse().unwrap()).collect();
        for id in &replicas {
            counts.entry(*id).or_default().0 += 1;
        }
        counts.entry(replicas[0]).or_default().1 += 1;
    }
    counts
}

fn is_even(counts: &BTreeMap<i32, (usize, usize)>) -> bool {
    let within_one = |all: Vec<usize>| all.iter().max().unwrap() - all.iter().min().unwrap() <= 1;
    within_one(counts.values().map(|(replicas, _)| *replicas).collect())
        && within_one(counts.values().map(|(_, leads)| *leads).collect())
}

/// No limit is left at any broker or topic.
fn assert_unlimited(bootstrap: &str) {
    for kind in ["brokers", "topics"] {
        let said = tool("kafka-configs", bootstrap, &["--describe", "--entity-type", kind]);
        assert!(!said.contains("throttled"), "{said}");
    }
}

fn is_moving(bootstrap: &str) -> bool {
    !tool("kafka-reassign-partitions", bootstrap, &["--list"]).contains("No partition reassignments found")
}

/// Told to stop like somebody at a terminal does.
fn interrupt(child: Child) -> (Option<i32>, String) {
    Command::new("kill").arg("-INT").arg(child.id().to_string()).status().unwrap();
    let output = child.wait_with_output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.code(), said)
}

#[test]
fn a_fourth_broker_gets_its_share_and_one_that_goes_is_emptied_while_clients_write() {
    let mut cluster = Cluster::of_voters(3, &[("broker.session.timeout.ms", "3000")]).unwrap();
    let bootstrap = cluster.bootstrap();
    for (topic, partitions) in [("written", "6"), ("bulk", "6")] {
        let create = ["--create", "--topic", topic, "--partitions", partitions, "--replication-factor", "3"];
        tool("kafka-topics", &bootstrap, &[&create[..], &["--config", "min.insync.replicas=2"]].concat());
    }
    let servers = format!("bootstrap.servers={bootstrap}");
    let bulk = ["--topic", "bulk", "--num-records", "20000", "--record-size", "1000", "--throughput", "-1"];
    let mut perf_test = Command::new(binary().unwrap());
    run(perf_test.arg("kafka-producer-perf-test").args(bulk).args(["--producer-props", &servers])).unwrap();
    let writer = cluster.writer("written", 6).unwrap();

    // What docs/operations.md says of growing.
    let first = std::fs::read_to_string(cluster.nodes[0].directory().join("server.properties")).unwrap();
    let voters = first.lines().find(|line| line.starts_with("controller.quorum.voters")).unwrap();
    let port = free_port().unwrap();
    let properties = format!("node.id=4\nlog.dirs=DIRECTORY/data\nlisteners=PLAINTEXT://127.0.0.1:{port}\n{voters}\n");
    let mut fourth = Server::prepare(port, &properties).unwrap();
    fourth.launch().unwrap();
    let before = counts(&bootstrap);
    let dry = tool("balance", &bootstrap, &["--dry-run"]);
    assert!(dry.contains("9 copies") && dry.contains("Nothing was changed."), "{dry}");
    assert_eq!(counts(&bootstrap), before);
    let asked = refused(&bootstrap, &[]);
    assert!(asked.contains("--yes"), "{asked}");

    // Too slow to come to an end, so it is interrupted.
    let mut slow = ottla("balance", &bootstrap, &["--yes", "--throttle", "100"]);
    let slow = slow.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for("it moves", || is_moving(&bootstrap));
    let limited =
        tool("kafka-configs", &bootstrap, &["--describe", "--entity-type", "topics", "--entity-name", "bulk"]);
    assert!(limited.contains("follower.replication.throttled.replicas"), "{limited}");
    let other = refused(&bootstrap, &["--yes"]);
    assert!(other.contains("being reassigned already"), "{other}");
    let (code, said) = interrupt(slow);
    assert!(code == Some(130) && said.contains("--resume"), "{code:?} {said}");
    assert_unlimited(&bootstrap);
    let resumed = tool("balance", &bootstrap, &["--resume", "--throttle", "50000000"]);
    assert!(resumed.contains("no limit is left"), "{resumed}");
    assert!(!is_moving(&bootstrap) && is_even(&counts(&bootstrap)), "{:?}", counts(&bootstrap));
    assert_unlimited(&bootstrap);
    let nothing = tool("balance", &bootstrap, &["--dry-run"]);
    assert!(nothing.contains("there is nothing to do"), "{nothing}");

    let drained = tool("balance", &bootstrap, &["--drain", "4", "--yes", "--throttle", "50000000"]);
    assert!(drained.contains("Broker 4 has no replicas any more"), "{drained}");
    let after = counts(&bootstrap);
    assert!(!after.contains_key(&4) && is_even(&after), "{after:?}");
    assert_unlimited(&bootstrap);
    fourth.stop().unwrap();
    let wrote = Wrote::of(writer).unwrap();
    assert!(wrote.is_exact(), "{wrote:?}\n{}\n{}", cluster.said(), fourth.log());
    println!("{wrote:?}");
    cluster.nodes.clear();
}

/// Three nodes of Apache Kafka, which need each other to start.
fn apache_kafka() -> Vec<Node> {
    let oracle = Oracle::install().unwrap();
    let ports = [(); 3].map(|()| (free_port().unwrap(), free_port().unwrap()));
    let voters: Vec<_> = (1..).zip(ports).map(|(id, (_, controller))| format!("{id}@127.0.0.1:{controller}")).collect();
    let start = |(id, (port, controller)): (i32, (u16, u16))| {
        let options = NodeOptions { port: Some(port), controller_port: Some(controller), ..NodeOptions::default() };
        let options = options.property("node.id", id).property("controller.quorum.voters", voters.join(","));
        let oracle = oracle.clone();
        thread::spawn(move || oracle.start(&options).unwrap())
    };
    let starts: Vec<_> = (1..).zip(ports).map(start).collect();
    starts.into_iter().map(|start| start.join().unwrap()).collect()
}

#[test]
fn brokers_of_apache_kafka_are_balanced_and_emptied_by_the_same_command() {
    let nodes = apache_kafka();
    let bootstrap = nodes.iter().map(Node::bootstrap_server).collect::<Vec<_>>().join(",");
    let assignment = ["1:2", "1:2", "2:1", "1:2", "1:2", "2:1"].join(",");
    tool("kafka-topics", &bootstrap, &["--create", "--topic", "written", "--replica-assignment", &assignment]);
    let writer = write_all_the_while(&bootstrap, "written", 6).unwrap();
    let balanced = tool("balance", &bootstrap, &["--yes", "--throttle", "10000000"]);
    assert!(balanced.contains("4 copies") && balanced.contains("Done"), "{balanced}");
    let after = counts(&bootstrap);
    assert!(after.len() == 3 && is_even(&after), "{after:?}");
    assert_unlimited(&bootstrap);
    let drained = tool("balance", &bootstrap, &["--yes", "--drain", "3", "--throttle", "10000000"]);
    assert!(drained.contains("Broker 3 has no replicas any more"), "{drained}");
    let after = counts(&bootstrap);
    assert!(!after.contains_key(&3) && is_even(&after), "{after:?}");
    assert_unlimited(&bootstrap);
    let wrote = Wrote::of(writer).unwrap();
    assert!(wrote.is_exact(), "{wrote:?}");
    println!("{wrote:?}");
}
