//! Nodes of this build and of Apache Kafka in one cluster, while librdkafka writes: nothing that was acknowledged is lost,
//! repeated or out of order, whoever leads, follows, controls, stops or dies.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on ends")]

use ottla_oracle::{Node, NodeOptions, Oracle, free_port};
use ottla_tests::{Guest, Server, Wrote, binary, run, write_all_the_while};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(120);
const TOPIC: &str = "mixed";
/// That of the oracle's nodes.
const CLUSTER_ID: &str = "b3R0bGEtb3JhY2xlLWlkLQ";
/// A dead node is found dead by its session at the latest.
const SESSION_MS: &str = "4000";

fn tool(name: &str, bootstrap: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(binary().unwrap());
    command.args([name, "--bootstrap-server", bootstrap]).args(arguments);
    run(&mut command).unwrap()
}

fn create_topic(bootstrap: &str) {
    let replicated = ["--create", "--topic", TOPIC, "--partitions", "6", "--replication-factor", "3"];
    tool("kafka-topics", bootstrap, &[&replicated[..], &["--config", "min.insync.replicas=2"]].concat());
}

fn wait_until_all_in_sync(bootstrap: &str) {
    let end = Instant::now() + PATIENCE;
    while !tool("kafka-topics", bootstrap, &["--describe", "--under-replicated-partitions"]).trim().is_empty() {
        assert!(Instant::now() < end, "the replicas never came in sync");
        thread::sleep(Duration::from_millis(200));
    }
}

/// A voter and broker of three, on these ports.
fn member(id: usize, ports: [(u16, u16); 3]) -> NodeOptions {
    let (port, controller_port) = ports[id - 1];
    let voters: Vec<_> = (1..).zip(ports).map(|(id, (_, controller))| format!("{id}@127.0.0.1:{controller}")).collect();
    NodeOptions { port: Some(port), controller_port: Some(controller_port), ..NodeOptions::default() }
        .property("node.id", id)
        .property("controller.quorum.voters", voters.join(","))
        .property("broker.session.timeout.ms", SESSION_MS)
        .property("broker.heartbeat.interval.ms", 500)
}

/// Three nodes of Apache Kafka, which need each other to start.
fn apache_cluster(ports: [(u16, u16); 3]) -> Vec<Node> {
    let oracle = Oracle::install().unwrap();
    let starts: Vec<_> = (1..=3)
        .map(|id| {
            let (oracle, options) = (oracle.clone(), member(id, ports));
            thread::spawn(move || oracle.start(&options).unwrap())
        })
        .collect();
    starts.into_iter().map(|start| start.join().unwrap()).collect()
}

fn free_ports() -> [(u16, u16); 3] {
    [(); 3].map(|()| (free_port().unwrap(), free_port().unwrap()))
}

#[test]
fn a_cluster_of_apache_kafka_is_replaced_node_by_node_and_goes_back() {
    let ports = free_ports();
    let mut nodes = apache_cluster(ports);
    let bootstrap = ports.map(|(port, _)| format!("127.0.0.1:{port}")).join(",");
    create_topic(&bootstrap);
    let writer = write_all_the_while(&bootstrap, TOPIC, 6).unwrap();
    let mut guests = Vec::new();
    for (index, node) in nodes.iter_mut().enumerate() {
        // One of them is not asked.
        if index == 1 {
            node.kill()
        } else {
            node.stop().unwrap()
        }
        guests.push(Guest::start(node).unwrap());
        wait_until_all_in_sync(&bootstrap);
    }
    for (index, (node, guest)) in nodes.iter_mut().zip(guests).enumerate() {
        if index == 1 {
            guest.kill().unwrap()
        } else {
            guest.stop().unwrap()
        }
        node.restart().unwrap();
        wait_until_all_in_sync(&bootstrap);
    }
    let wrote = Wrote::of(writer).unwrap();
    assert!(wrote.is_exact(), "{wrote:?}\n{}", nodes.iter().map(Guest::said).collect::<String>());
    println!("{wrote:?}");
}

#[test]
fn a_broker_of_apache_kafka_works_under_our_controller_beside_our_brokers() {
    let ports = free_ports();
    let voters = format!("1@127.0.0.1:{}", ports[0].1);
    let first = format!(
        "node.id=1\nlisteners=PLAINTEXT://127.0.0.1:{}\nlog.dirs=DIRECTORY/data\ncontroller.quorum.voters={voters}\n\
         broker.session.timeout.ms={SESSION_MS}\n",
        ports[0].0
    );
    let mut ours = vec![Server::prepare(ports[0].0, &first).unwrap()];
    let mut format = Command::new(binary().unwrap());
    let properties = ours[0].directory().join("server.properties");
    run(format.args(["kafka-storage", "format", "-t", CLUSTER_ID, "-c"]).arg(properties)).unwrap();
    ours[0].launch().unwrap();
    let options = NodeOptions { port: Some(ports[1].0), ..NodeOptions::default() }
        .property("node.id", 2)
        .property("process.roles", "broker")
        .property("controller.quorum.voters", &voters)
        .property("broker.heartbeat.interval.ms", 500);
    let mut theirs = Oracle::install().unwrap().start(&options).unwrap();
    let third = format!(
        "broker.id=3\nlisteners=PLAINTEXT://127.0.0.1:{}\nlog.dirs=DIRECTORY/data\ncontroller.quorum.voters={voters}\n",
        ports[2].0
    );
    ours.push(Server::prepare(ports[2].0, &third).unwrap());
    ours[1].launch().unwrap();
    let bootstrap = ports.map(|(port, _)| format!("127.0.0.1:{port}")).join(",");
    create_topic(&bootstrap);
    let writer = write_all_the_while(&bootstrap, TOPIC, 6).unwrap();
    theirs.kill();
    thread::sleep(Duration::from_secs(1));
    theirs.restart().unwrap();
    wait_until_all_in_sync(&bootstrap);
    ours[1].kill().unwrap();
    thread::sleep(Duration::from_secs(1));
    ours[1].launch().unwrap();
    wait_until_all_in_sync(&bootstrap);
    theirs.stop().unwrap();
    theirs.restart().unwrap();
    wait_until_all_in_sync(&bootstrap);
    let wrote = Wrote::of(writer).unwrap();
    assert!(wrote.is_exact(), "{wrote:?}\n{}{}", ours[0].log(), ours[1].log());
    println!("{wrote:?}");
}
