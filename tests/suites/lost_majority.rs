//! Two of three voters are lost for ever, with their disks: `ottla recover-quorum` makes the third the only one, clients go on, and new
//! nodes take the places of those that are gone.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on ends")]

use ottla_oracle::{NodeOptions, Oracle, free_port};
use ottla_tests::{Server, Wrote, binary, run, write_all_the_while};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(90);
/// That of the oracle's nodes.
const CLUSTER_ID: &str = "b3R0bGEtb3JhY2xlLWlkLQ";
const DIRECTORIES: [&str; 3] = ["JEXY6aqzQY-32P5TStzaFg", "MvDxzVmcRsaTz33bUuRU6A", "07R5amHmR32VDA6jHkGbTA"];

/// Where a node is reached, by clients and by controllers.
type Ports = (u16, u16);

fn ottla(arguments: &[&str]) -> String {
    run(Command::new(binary().unwrap()).args(arguments)).unwrap()
}

fn refused(arguments: &[&str]) -> String {
    let error = run(Command::new(binary().unwrap()).args(arguments)).unwrap_err();
    error.to_string()
}

fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "never came to pass: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn properties(server: &Server) -> String {
    server.directory().join("server.properties").display().to_string()
}

/// Three nodes, each voter and broker, whose voters stand in the log or in the properties.
struct Quorum {
    ports: [Ports; 3],
    nodes: Vec<Server>,
}

impl Quorum {
    fn start(voters_in_log: bool) -> Self {
        let ports = [(); 3].map(|()| (free_port().unwrap(), free_port().unwrap()));
        let prepare = |(id, (port, controller)): (usize, &Ports)| {
            let text = format!(
                "process.roles=broker,controller\nnode.id={id}\ncontroller.listener.names=CONTROLLER\n\
                 listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\nlog.dirs=DIRECTORY/data\n{}\n\
                 broker.session.timeout.ms=3000\nbroker.heartbeat.interval.ms=500\n",
                voters(&ports, voters_in_log)
            );
            Server::prepare(*port, &text).unwrap()
        };
        let nodes: Vec<Server> = (1..).zip(&ports).map(prepare).collect();
        let initial: Vec<String> = (1..)
            .zip(ports.iter().zip(DIRECTORIES))
            .map(|(id, ((_, controller), directory)): (usize, _)| format!("{id}@127.0.0.1:{controller}:{directory}"))
            .collect();
        let initial = initial.join(",");
        for node in &nodes {
            let file = properties(node);
            let mut arguments = vec!["kafka-storage", "format", "-t", CLUSTER_ID, "-c", &file];
            if voters_in_log {
                arguments.extend(["--initial-controllers", &initial]);
            }
            ottla(&arguments);
        }
        let mut quorum = Self { ports, nodes };
        quorum.nodes.iter_mut().for_each(|node| node.begin().unwrap());
        quorum.nodes.iter_mut().for_each(|node| node.wait_for_answer().unwrap());
        quorum
    }

    fn bootstrap(&self) -> String {
        self.ports.map(|(port, _)| format!("127.0.0.1:{port}")).join(",")
    }

    fn survivor(&self) -> String {
        format!("127.0.0.1:{}", self.ports[0].0)
    }

    /// The second and the third are gone, disks and all, and the first can't decide.
    fn lose_two(&mut self) {
        for node in self.nodes.iter_mut().skip(1) {
            node.kill().unwrap();
            fs::remove_dir_all(node.directory().join("data")).unwrap();
        }
    }

    fn backup(&self) -> PathBuf {
        self.nodes[0].directory().join("backup")
    }

    /// What the operator does, with all that is refused on the way.
    fn recover(&mut self) {
        let file = properties(&self.nodes[0]);
        let running = refused(&["recover-quorum", "--config", &file, "--execute"]);
        assert!(running.contains("stop the node first"), "{running}");
        self.nodes[0].stop().unwrap();
        self.recover_stopped();
    }

    fn recover_stopped(&mut self) {
        let (file, backup) = (properties(&self.nodes[0]), self.backup().display().to_string());
        let command = ["recover-quorum", "--config", &file, "--backup", &backup, "--lost", "2,3"];
        let before = files(&self.nodes[0]);
        let dry = ottla(&command);
        assert!(dry.contains("WARNING") && dry.contains("Nothing was changed"), "{dry}");
        assert_eq!(files(&self.nodes[0]), before);
        assert!(!self.backup().exists());
        let done = ottla(&[&command[..], &["--execute"]].concat());
        assert!(done.contains("Done."), "{done}");
        assert!(self.backup().join("quorum-state").exists());
    }

    fn said(&self) -> String {
        self.nodes.iter().map(Server::log).collect::<Vec<_>>().join("\n--- the next node\n")
    }
}

fn voters(ports: &[Ports; 3], in_log: bool) -> String {
    let address = |(id, (_, controller)): (usize, &Ports)| {
        if in_log { format!("127.0.0.1:{controller}") } else { format!("{id}@127.0.0.1:{controller}") }
    };
    let all: Vec<String> = (1..).zip(ports).map(address).collect();
    format!("controller.quorum.{}={}", if in_log { "bootstrap.servers" } else { "voters" }, all.join(","))
}

/// The files of a node's metadata log, with their contents.
fn files(node: &Server) -> Vec<(PathBuf, Vec<u8>)> {
    let directory = fs::read_dir(node.directory().join("data/__cluster_metadata-0")).unwrap();
    let mut files: Vec<_> =
        directory.map(|entry| entry.unwrap().path()).map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    files.sort();
    files
}

fn create(bootstrap: &str, topic: &str, factor: &str, more: &[&str]) {
    let arguments =
        ["kafka-topics", "--bootstrap-server", bootstrap, "--create", "--topic", topic, "--partitions", "3"];
    ottla(&[&arguments[..], &["--replication-factor", factor], more].concat());
}

fn describe(bootstrap: &str, which: &[&str]) -> String {
    ottla(&[&["kafka-topics", "--bootstrap-server", bootstrap, "--describe"], which].concat())
}

#[test]
fn clients_go_on_when_one_voter_is_left_and_new_nodes_take_the_places_of_those_that_are_lost() {
    let mut quorum = Quorum::start(true);
    let bootstrap = quorum.bootstrap();
    create(&bootstrap, "kept", "3", &["--config", "min.insync.replicas=2"]);
    let writer = write_all_the_while(&bootstrap, "kept", 3).unwrap();
    quorum.lose_two();
    quorum.recover();
    quorum.nodes[0].launch().unwrap();
    let survivor = quorum.survivor();
    wait_for("the survivor leads what it has", || {
        describe(&survivor, &["--topic", "kept"]).lines().filter(|line| line.contains("Leader: 1")).count() == 3
    });
    create(&survivor, "alone", "1", &[]);
    for node in 1..3 {
        let file = properties(&quorum.nodes[node]);
        ottla(&["kafka-storage", "format", "-t", CLUSTER_ID, "-c", &file, "--no-initial-controllers"]);
        quorum.nodes[node].launch().unwrap();
        let added = ottla(&[
            "kafka-metadata-quorum",
            "--bootstrap-server",
            &survivor,
            "--command-config",
            &file,
            "add-controller",
        ]);
        assert!(added.contains("Added"), "{added}");
    }
    wait_for("all replicas are in sync", || describe(&bootstrap, &["--under-replicated-partitions"]).trim().is_empty());
    // The new voters are a majority without the survivor.
    quorum.nodes[0].kill().unwrap();
    create(&bootstrap, "by-the-new", "2", &[]);
    quorum.nodes[0].launch().unwrap();
    wait_for("all replicas are in sync", || describe(&bootstrap, &["--under-replicated-partitions"]).trim().is_empty());
    let wrote = Wrote::of(writer).unwrap();
    assert!(wrote.is_exact(), "{wrote:?}\n{}", quorum.said());
    println!("{wrote:?}");
}

/// Apache Kafka on the directory of the first node, with its ports.
fn apache_kafka(quorum: &Quorum, voters: (&str, String), format: &[&str]) -> ottla_oracle::Node {
    let (port, controller_port) = quorum.ports[0];
    let directory = Some(quorum.nodes[0].directory().to_owned());
    let options =
        NodeOptions { port: Some(port), controller_port: Some(controller_port), directory, ..NodeOptions::default() };
    let options = options.property("controller.quorum.voters", "").property(voters.0, voters.1);
    let options = NodeOptions { format: format.iter().map(|&word| word.to_owned()).collect(), ..options };
    Oracle::install().unwrap().start(&options).unwrap()
}

#[test]
fn apache_kafka_starts_on_what_was_recovered_and_decides() {
    let mut quorum = Quorum::start(true);
    create(&quorum.bootstrap(), "kept", "3", &[]);
    quorum.lose_two();
    quorum.recover();
    let address = format!("127.0.0.1:{}", quorum.ports[0].1);
    let bootstrap_servers = ("controller.quorum.bootstrap.servers", address);
    let mut kafka = apache_kafka(&quorum, bootstrap_servers, &["--no-initial-controllers"]);
    check_alone(&quorum);
    kafka.stop().unwrap();
    // And back: what Apache Kafka has made of it is ours to go on with.
    quorum.nodes[0].launch().unwrap();
    assert!(describe(&quorum.survivor(), &["--topic", "by-the-survivor"]).contains("Leader: 1"));
}

/// It knows what the three knew, and decides without the others.
fn check_alone(quorum: &Quorum) {
    let survivor = quorum.survivor();
    wait_for("the survivor leads what it has", || {
        describe(&survivor, &["--topic", "kept"]).lines().filter(|line| line.contains("Leader: 1")).count() == 3
    });
    let status = ottla(&["kafka-metadata-quorum", "--bootstrap-server", &survivor, "describe", "--replication"]);
    let roles = |role: &str| status.lines().filter(|line| line.contains(role)).count();
    assert_eq!((roles("Leader"), roles("Follower")), (1, 0), "{status}");
    create(&survivor, "by-the-survivor", "1", &[]);
}

#[test]
fn voters_of_the_properties_have_to_be_named_anew_and_then_both_servers_start() {
    let mut quorum = Quorum::start(false);
    create(&quorum.bootstrap(), "kept", "3", &[]);
    quorum.lose_two();
    quorum.nodes[0].stop().unwrap();
    let file = properties(&quorum.nodes[0]);
    let named = format!("controller.quorum.voters=1@127.0.0.1:{}", quorum.ports[0].1);
    let said = refused(&["recover-quorum", "--config", &file, "--execute"]);
    assert!(said.contains(&named), "the line that is to be written: {said}");
    let text = fs::read_to_string(&file).unwrap().replace(&voters(&quorum.ports, false), &named);
    fs::write(&file, text).unwrap();
    quorum.recover_stopped();
    quorum.nodes[0].launch().unwrap();
    check_alone(&quorum);
    quorum.nodes[0].stop().unwrap();
    let only = ("controller.quorum.voters", named.split_once('=').unwrap().1.to_owned());
    let mut kafka = apache_kafka(&quorum, only, &[]);
    assert!(describe(&quorum.survivor(), &["--topic", "by-the-survivor"]).contains("Leader: 1"));
    kafka.stop().unwrap();
}
