//! Nodes of this build and of Apache Kafka in one cluster, while librdkafka writes and (but where one is replaced by the other) a
//! group copies with transactions: nothing that was acknowledged is lost, repeated or out of order, and all is copied exactly once,
//! whoever leads, follows, coordinates, controls, stops or dies.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on ends")]

use ottla_oracle::{Node, NodeOptions, Oracle, free_port};
use ottla_tests::{Copied, Guest, Load, Server, Wrote, binary, copy_all_the_while, run, write_all_the_while};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(120);
const TOPIC: &str = "mixed";
const COPY: &str = "copied";
const PARTITIONS: usize = 6;
/// That of the oracle's nodes.
const CLUSTER_ID: &str = "b3R0bGEtb3JhY2xlLWlkLQ";
/// A dead node is found dead by its session at the latest.
const SESSION_MS: &str = "4000";

fn tool(name: &str, bootstrap: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(binary().unwrap());
    command.args([name, "--bootstrap-server", bootstrap]).args(arguments);
    run(&mut command).unwrap()
}

fn create_topic(bootstrap: &str, name: &str) {
    let replicated = ["--create", "--topic", name, "--partitions", "6", "--replication-factor", "3"];
    tool("kafka-topics", bootstrap, &[&replicated[..], &["--config", "min.insync.replicas=2"]].concat());
}

/// What goes on all the while: a writer, and the group that copies what it writes.
struct Loads {
    writer: Load,
    copiers: Load,
}

impl Loads {
    fn start(bootstrap: &str) -> Self {
        create_topic(bootstrap, TOPIC);
        create_topic(bootstrap, COPY);
        let writer = write_all_the_while(bootstrap, TOPIC, PARTITIONS).unwrap();
        Self { writer, copiers: copy_all_the_while(bootstrap, TOPIC, COPY, PARTITIONS).unwrap() }
    }

    /// Ends both and checks what they have found out. `said` is for the message of a failure.
    fn check(self, said: impl FnOnce() -> String) {
        let wrote = Wrote::of(self.writer).unwrap();
        let copied = Copied::of(self.copiers).unwrap();
        println!("{wrote:?}\n{copied:?}");
        assert!(wrote.is_exact() && copied.is_exact(), "{wrote:?}\n{copied:?}\n{}", said());
    }
}

/// The active controller, as a broker tells it; `None` while there is none.
fn active_controller(bootstrap: &str) -> Option<usize> {
    let mut command = Command::new(binary().unwrap());
    command.args(["kafka-metadata-quorum", "--bootstrap-server", bootstrap, "describe", "--status"]);
    let said = run(&mut command).ok()?;
    said.lines().find_map(|line| line.strip_prefix("LeaderId:")?.trim().parse().ok())
}

/// Waits until another node than this one is the active controller.
fn next_active(bootstrap: &str, before: usize) -> usize {
    let end = Instant::now() + PATIENCE;
    loop {
        match active_controller(bootstrap).filter(|active| *active != before) {
            Some(active) => return active,
            None => assert!(Instant::now() < end, "no controller comes after {before}"),
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// Stops active controllers of Apache Kafka, and starts them again, until the one of this build is active. They say whom they would
/// have as their successor. One that is killed can't, and a voter of Apache Kafka says no to every trial as long as it believes in
/// the dead one, so that it is the first to stand itself.
fn become_active(ours: usize, bootstrap: &str, mut theirs: Vec<(usize, &mut Node)>) {
    const TRIES: usize = 5;
    for _ in 0..TRIES {
        let active = next_active(bootstrap, 0);
        if active == ours {
            return;
        }
        let (_, node) =
            theirs.iter_mut().find(|(id, _)| *id == active).expect("the active controller is one of the voters");
        node.stop().unwrap();
        next_active(bootstrap, active);
        node.restart().unwrap();
        wait_until_all_in_sync(bootstrap);
    }
    assert_eq!(active_controller(bootstrap), Some(ours), "after {TRIES} tries");
}

/// Has the active controller decide what administrators ask for, and checks that each node knows it.
fn decide(bootstrap: &str, name: &str) {
    create_topic(bootstrap, name);
    tool("kafka-topics", bootstrap, &["--alter", "--topic", name, "--partitions", "8"]);
    tool(
        "kafka-configs",
        bootstrap,
        &["--alter", "--entity-type", "topics", "--entity-name", name, "--add-config", "retention.ms=1234567"],
    );
    wait_until_all_in_sync(bootstrap);
    for server in bootstrap.split(',') {
        let end = Instant::now() + PATIENCE;
        while !is_known(server, name) {
            assert!(Instant::now() < end, "{server} never knows {name}");
            thread::sleep(Duration::from_millis(50));
        }
    }
    tool("kafka-topics", bootstrap, &["--delete", "--topic", name]);
}

fn is_known(server: &str, name: &str) -> bool {
    let mut command = Command::new(binary().unwrap());
    let said = run(command.args(["kafka-topics", "--bootstrap-server", server, "--describe", "--topic", name]));
    said.is_ok_and(|said| said.contains("PartitionCount: 8") && said.contains("retention.ms=1234567"))
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
        .property("offsets.topic.replication.factor", 3)
        .property("offsets.topic.num.partitions", 6)
        .property("transaction.state.log.replication.factor", 3)
        .property("transaction.state.log.num.partitions", 6)
        .property("transaction.state.log.min.isr", 2)
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
    create_topic(&bootstrap, TOPIC);
    let writer = write_all_the_while(&bootstrap, TOPIC, PARTITIONS).unwrap();
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
    println!("{wrote:?}");
    assert!(wrote.is_exact(), "{wrote:?}\n{}", nodes.iter().map(Guest::said).collect::<String>());
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
    let loads = Loads::start(&bootstrap);
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
    loads.check(|| format!("{}{}", ours[0].log(), ours[1].log()));
}

/// What the nodes of a quorum whose voters stand in its log have in their files.
fn dynamic_member(id: usize, ports: [(u16, u16); 3]) -> NodeOptions {
    let servers = ports.map(|(_, controller)| format!("127.0.0.1:{controller}")).join(",");
    member(id, ports).property("controller.quorum.voters", "").property("controller.quorum.bootstrap.servers", servers)
}

#[test]
fn our_controller_joins_two_voters_of_apache_kafka_and_leads_them() {
    let ports = free_ports();
    let oracle = Oracle::install().unwrap();
    let with = |format: &str, id| NodeOptions { format: vec![format.to_owned()], ..dynamic_member(id, ports) };
    let mut first = oracle.start(&with("--standalone", 2)).unwrap();
    let joining = with("--no-initial-controllers", 3).property("controller.quorum.auto.join.enable", true);
    let mut second = oracle.start(&joining).unwrap();
    let mut properties: String =
        dynamic_member(1, ports).properties.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
    let (port, controller_port) = ports[0];
    properties.push_str(&format!(
        "process.roles=broker,controller\nlisteners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}\n\
         controller.listener.names=CONTROLLER\nlog.dirs=DIRECTORY/data\n"
    ));
    let mut ours = Server::prepare(port, &properties).unwrap();
    ours.launch().unwrap();
    let bootstrap = ports.map(|(port, _)| format!("127.0.0.1:{port}")).join(",");
    let properties = ours.directory().join("server.properties").display().to_string();
    tool("kafka-metadata-quorum", &bootstrap, &["--command-config", &properties, "add-controller"]);
    let end = Instant::now() + PATIENCE;
    while voters(&bootstrap) != [1, 2, 3] {
        assert!(Instant::now() < end, "the voters are {:?}", voters(&bootstrap));
        thread::sleep(Duration::from_millis(100));
    }
    create_topic(&bootstrap, TOPIC);
    let writer = write_all_the_while(&bootstrap, TOPIC, PARTITIONS).unwrap();
    become_active(1, &bootstrap, vec![(2, &mut first), (3, &mut second)]);
    decide(&bootstrap, "decided-by-ottla");
    // The leader is not asked either.
    ours.kill().unwrap();
    next_active(&bootstrap, 1);
    ours.launch().unwrap();
    wait_until_all_in_sync(&bootstrap);
    let wrote = Wrote::of(writer).unwrap();
    println!("{wrote:?}");
    assert!(wrote.is_exact(), "{wrote:?}\n{}", ours.log());
}

/// The voters' ids, as a broker tells them.
fn voters(bootstrap: &str) -> Vec<u64> {
    let said = tool("kafka-metadata-quorum", bootstrap, &["describe", "--status"]);
    let line = said.lines().find_map(|line| line.strip_prefix("CurrentVoters:")).unwrap_or_default();
    let voters: serde_json::Value = serde_json::from_str(line.trim()).unwrap_or_default();
    voters.as_array().into_iter().flatten().filter_map(|voter| voter["id"].as_u64()).collect()
}
