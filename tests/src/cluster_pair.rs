//! Three nodes of Ottla and three of Apache Kafka, alike as far as they can be.

use crate::answers::{Listeners, Side, ask_both};
use crate::{Server, free_port};
use ottla_oracle::{Node, NodeOptions, Oracle};
use serde_json::Value;
use std::io;
use std::net::TcpListener;
use std::path::Path;
use std::thread;
use tempfile::TempDir;

/// Nodes of a cluster.
const NODES: usize = 3;

/// Nothing is to happen by itself while requests are compared, and the first node is to be the active controller: the others
/// stand for election much later, and on a slow machine nobody is taken for dead.
const SETTINGS: [(&str, &str); 18] = [
    ("group.initial.rebalance.delay.ms", "0"),
    ("log.retention.ms", "-1"),
    ("log.initial.task.delay.ms", "3600000"),
    ("log.cleaner.backoff.ms", "3600000"),
    ("broker.session.timeout.ms", "120000"),
    ("broker.heartbeat.interval.ms", "500"),
    ("controller.quorum.fetch.timeout.ms", "60000"),
    ("leader.imbalance.check.interval.seconds", "86400"),
    ("replica.lag.time.max.ms", "120000"),
    ("offsets.topic.num.partitions", "9"),
    ("offsets.topic.replication.factor", "3"),
    ("transaction.state.log.num.partitions", "9"),
    ("transaction.state.log.replication.factor", "3"),
    ("transaction.state.log.min.isr", "2"),
    ("share.coordinator.state.topic.replication.factor", "3"),
    ("share.coordinator.state.topic.min.isr", "2"),
    ("default.replication.factor", "3"),
    ("auto.create.topics.enable", "false"),
];
/// So long do the second and the third node wait before they stand for election.
const PATIENT_ELECTION_MS: &str = "60000";

/// Both clusters. Each node has two directories for logs and is voter and broker.
#[derive(Debug)]
pub struct ClusterPair {
    /// The nodes of Ottla.
    pub ottla: Vec<Server>,
    /// The nodes of Apache Kafka.
    pub kafka: Vec<Node>,
    /// The connections to Ottla.
    pub ours: Side,
    /// The connections to Apache Kafka.
    pub theirs: Side,
    /// Where a broker that is none seems to listen: `<port of nobody>`.
    _nobody: TcpListener,
    _directories: Vec<TempDir>,
}

impl ClusterPair {
    /// Starts both at the same time.
    ///
    /// # Errors
    /// When a node does not start.
    pub fn start() -> io::Result<Self> {
        let theirs = thread::spawn(start_kafka);
        let (ottla, mut ours) = start_ottla()?;
        let (kafka, directories, mut theirs) =
            theirs.join().map_err(|_| io::Error::other("the start of Apache Kafka panicked"))??;
        let nobody = TcpListener::bind("127.0.0.1:0")?;
        let port = nobody.local_addr()?.port();
        for side in [&mut ours, &mut theirs] {
            side.call("port of nobody", &format!("number port {port}"));
        }
        Ok(Self { ottla, kafka, ours, theirs, _nobody: nobody, _directories: directories })
    }

    /// Asks both. Answers with what they said, Ottla first, and with the places that differ.
    ///
    /// # Errors
    /// When the case is none, or a server is gone.
    pub fn ask(&mut self, case: &Value) -> io::Result<(Value, Value, Vec<String>)> {
        ask_both(case, &mut self.ours, &mut self.theirs)
    }

    /// The addresses of a cluster's nodes for clients, Ottla's and Apache Kafka's.
    pub fn bootstraps(&self) -> [String; 2] {
        [&self.ours, &self.theirs].map(|side| side.brokers().join(","))
    }

    /// Texts that only one of the two clusters has, and what stands for them: Ottla's and Apache Kafka's.
    pub fn names(&self) -> [Vec<(String, String)>; 2] {
        [&self.ours, &self.theirs].map(Side::texts)
    }

    /// What Ottla's nodes have said.
    pub fn said(&self) -> String {
        self.ottla.iter().map(Server::log).collect::<Vec<_>>().join("\n--- the next node\n")
    }
}

/// The properties of the node with this id that are the same on both sides.
fn settings(id: usize, ports: &[(u16, u16)]) -> Vec<(String, String)> {
    let voters: Vec<_> = (1..).zip(ports).map(|(id, (_, controller))| format!("{id}@127.0.0.1:{controller}")).collect();
    let mut all: Vec<(String, String)> = SETTINGS.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let mut set = |key: &str, value: String| all.push((key.to_owned(), value));
    set("node.id", id.to_string());
    set("broker.rack", format!("rack-{id}"));
    set("controller.quorum.voters", voters.join(","));
    if id > 1 {
        set("controller.quorum.election.timeout.ms", PATIENT_ELECTION_MS.to_owned());
    }
    all
}

fn free_ports() -> io::Result<Vec<(u16, u16)>> {
    (0..NODES).map(|_| Ok((free_port()?, free_port()?))).collect()
}

fn side(ports: &[(u16, u16)], directories: &[&Path]) -> Side {
    let address = |port: u16| format!("127.0.0.1:{port}");
    let listeners = |&(broker, controller): &(u16, u16)| -> Listeners { [address(broker), address(controller)] };
    let mut side = Side::new(ports.iter().map(listeners).collect());
    for (id, (directory, (_, controller))) in (1..).zip(directories.iter().zip(ports)) {
        side.call(&format!("controller port of {id}"), &format!("number port {controller}"));
        for number in 1..=2 {
            side.call(&format!("directory {number} of {id}"), &data(directory, number));
        }
    }
    side
}

fn data(directory: &Path, number: usize) -> String {
    directory.join(format!("data-{number}")).display().to_string()
}

fn start_ottla() -> io::Result<(Vec<Server>, Side)> {
    let ports = free_ports()?;
    let mut nodes = Vec::new();
    for (id, (port, _)) in (1..).zip(&ports) {
        let mut properties =
            format!("listeners=PLAINTEXT://127.0.0.1:{port}\nlog.dirs=DIRECTORY/data-1,DIRECTORY/data-2\n");
        settings(id, &ports).iter().for_each(|(key, value)| properties.push_str(&format!("{key}={value}\n")));
        nodes.push(Server::prepare(*port, &properties)?);
    }
    nodes.iter_mut().try_for_each(Server::begin)?;
    nodes.iter_mut().try_for_each(Server::wait_for_answer)?;
    let side = side(&ports, &nodes.iter().map(Server::directory).collect::<Vec<_>>());
    Ok((nodes, side))
}

fn start_kafka() -> io::Result<(Vec<Node>, Vec<TempDir>, Side)> {
    let ports = free_ports()?;
    let directories = (0..NODES).map(|_| tempfile::tempdir()).collect::<io::Result<Vec<_>>>()?;
    let mut starts = Vec::new();
    for (id, directory) in (1..).zip(&directories) {
        let (port, controller_port) = ports[id - 1];
        let options = NodeOptions {
            port: Some(port),
            controller_port: Some(controller_port),
            directory: Some(directory.path().to_owned()),
            ..NodeOptions::default()
        };
        let dirs = [data(directory.path(), 1), data(directory.path(), 2)].join(",");
        let options = settings(id, &ports)
            .into_iter()
            .fold(options.property("log.dirs", dirs), |options, (key, value)| options.property(&key, value));
        starts.push(thread::spawn(move || Oracle::at_home().start(&options)));
    }
    let mut nodes = Vec::new();
    for start in starts {
        let started = start.join().map_err(|_| io::Error::other("the start of a node panicked"))?;
        nodes.push(started.map_err(io::Error::other)?);
    }
    let side = side(&ports, &directories.iter().map(TempDir::path).collect::<Vec<_>>());
    Ok((nodes, directories, side))
}
