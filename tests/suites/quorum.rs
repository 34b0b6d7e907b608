//! A voter of this project's own beside controllers of Apache Kafka: the machine of `ottla-raft` over real connections, with
//! its log and its files in memory. It votes for them, commits with them, leads them, fetches their snapshots, joins them
//! and is removed by their tools.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on ends")]

#[path = "quorum/host.rs"]
mod host;
#[path = "quorum/store.rs"]
mod store;
#[path = "quorum/wire.rs"]
mod wire;

use core::time::Duration;
use host::{Host, Start};
use ottla_oracle::{Node, NodeOptions, Oracle, free_port};
use ottla_raft::{KraftVersion, Membership, Timeouts};
use ottla_types::NodeId;
use std::time::Instant;

/// Everything here takes a second or two; a machine under full load may need ten times that.
const LIMIT: Duration = Duration::from_secs(60);

fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + LIMIT;
    while !is_so() {
        assert!(Instant::now() < end, "never came to pass: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A controller of Apache Kafka and nothing else, so that it starts without a leader.
fn controller(id: i32, port: u16) -> NodeOptions {
    let options = NodeOptions { port: Some(port), controller_port: Some(port), ..Default::default() };
    options
        .property("node.id", id)
        .property("process.roles", "controller")
        .property("listeners", format!("CONTROLLER://127.0.0.1:{port}"))
        .property("advertised.listeners", format!("CONTROLLER://127.0.0.1:{port}"))
}

fn static_voters(ports: [u16; 3]) -> String {
    let voters: Vec<String> = ports.iter().enumerate().map(|(i, port)| format!("{}@127.0.0.1:{port}", i + 1)).collect();
    voters.join(",")
}

/// The bytes of the metadata log of a node of Apache Kafka.
fn kafka_log(node: &Node) -> Vec<u8> {
    std::fs::read(node.directory().join("data/__cluster_metadata-0/00000000000000000000.log")).unwrap()
}

fn quorum_state(node: &Node) -> String {
    std::fs::read_to_string(node.directory().join("data/__cluster_metadata-0/quorum-state")).unwrap()
}

fn leader_of(host: &Host) -> Option<NodeId> {
    host.with(|core| core.raft.leader())
}

fn committed(host: &Host) -> i64 {
    host.with(|core| core.raft.high_watermark().map_or(-1, |offset| offset.0))
}

/// What Kafka's tool says of the quorum, asked at a controller.
fn describe(oracle: &Oracle, node: &Node, what: &str) -> String {
    let bootstrap = node.bootstrap_controller();
    let ran =
        oracle.run_tool("kafka-metadata-quorum", &["--bootstrap-controller", &bootstrap, "describe", what]).unwrap();
    ran.stdout
}

#[test]
fn a_static_voter_votes_for_kafka_commits_with_it_and_leads_it() {
    let oracle = Oracle::install().unwrap();
    let ports = [(); 3].map(|()| free_port().unwrap());
    let voters = static_voters(ports);
    // It stands for no election of its own accord for now.
    let patient = Timeouts { election: Duration::from_secs(3_600), ..Default::default() };
    let start = Start { id: 3, port: ports[2], voters: ports, timeouts: patient, ..Start::default() };
    let host = Host::start(start.clone(), None);
    let options = |i: usize| controller(i as i32 + 1, ports[i]).property("controller.quorum.voters", &voters);

    // Two of three: Kafka's first controller leads by our vote, and commits by our copy.
    let mut first = oracle.start(&options(0)).unwrap();
    wait_for("Kafka's controller leads", || leader_of(&host) == Some(NodeId(1)));
    wait_for("Kafka's controller has committed", || committed(&host) > 3);
    let mut second = oracle.start(&options(1)).unwrap();
    let status = describe(&oracle, &first, "--replication");
    assert!(status.lines().any(|line| line.starts_with("3 ") && line.contains("Follower")), "{status}");

    // What we have is what Kafka has, byte for byte.
    let own = host.with(|core| core.store.log_bytes());
    wait_for("Kafka has written what it sent", || kafka_log(&first).starts_with(&own));

    // The leader falls: the other one is elected, again by our vote.
    first.kill();
    wait_for("the second controller leads", || leader_of(&host) == Some(NodeId(2)));
    let before = committed(&host);
    wait_for("the second controller commits", || committed(&host) > before + 3);

    // Now nobody but us may lead: the controller comes back with patience, we come back without.
    second.kill();
    let store = host.stop();
    let options = options(1).property("controller.quorum.election.timeout.ms", 3_600_000);
    let second = oracle
        .start(&NodeOptions { directory: Some(second.directory().to_owned()), ..options })
        .expect("a node that was killed starts again");
    let host = Host::start(Start { timeouts: Timeouts::default(), ..start }, Some(store));
    wait_for("we lead", || host.with(|core| core.raft.is_leader()));
    // Kafka's copy commits our first record.
    wait_for("we commit", || host.with(|core| core.active));
    let own = host.with(|core| core.store.log_bytes());
    wait_for("Kafka has what we have", || kafka_log(&second) == own);
    wait_for("Kafka knows our leadership", || quorum_state(&second).contains("\"leaderId\":3"));
    // The file is as Kafka writes it. A follower's also says whom it has voted for.
    let followers = quorum_state(&second);
    assert!(followers.contains("\"votedId\":3"), "{followers}");
    let leaders = followers.replace("\"votedId\":3", "\"votedId\":-1");
    assert_eq!(host.with(|core| core.store.quorum_state.clone()), Some(leaders));
    assert!(host.with(|core| core.faults.is_empty()), "{:?}", host.with(|core| core.faults.clone()));
}

#[test]
fn a_replica_fetches_kafkas_snapshot_joins_its_voters_and_is_removed_by_its_tool() {
    let oracle = Oracle::install().unwrap();
    let (port, own_port) = (free_port().unwrap(), free_port().unwrap());
    let options = controller(1, port)
        .property("controller.quorum.voters", "")
        .property("controller.quorum.bootstrap.servers", format!("127.0.0.1:{port}"))
        .property("metadata.log.max.record.bytes.between.snapshots", 2_000);
    let options = NodeOptions { format: vec!["--standalone".to_owned()], ..options };
    let node = oracle.start(&options).unwrap();
    let snapshots = || {
        let files = std::fs::read_dir(node.directory().join("data/__cluster_metadata-0")).unwrap();
        files.filter(|file| file.as_ref().unwrap().file_name().to_string_lossy().ends_with(".checkpoint")).count()
    };
    wait_for("Kafka makes a snapshot", || snapshots() > 1);
    let start = Start {
        id: 2,
        port: own_port,
        bootstrap: Some(port),
        membership: Membership::AutoJoin,
        version: KraftVersion::Dynamic,
        ..Start::default()
    };
    let host = Host::start(start, None);
    wait_for("its snapshot is here", || host.with(|core| core.store.installed.is_some()));
    let (id, bytes) = host.with(|core| core.store.installed.clone()).unwrap();
    let file = node.directory().join("data/__cluster_metadata-0").join(id.file_name());
    assert_eq!(std::fs::read(file).unwrap(), bytes);
    wait_for("we are a voter", || host.with(|core| core.raft.is_voter()));
    // With two voters, Kafka commits nothing without us.
    let before = committed(&host);
    wait_for("both commit", || committed(&host) > before + 3);
    let status = describe(&oracle, &node, "--status");
    assert!(status.contains("\"id\": 2") && status.contains("\"id\": 1"), "{status}");

    let directory = host.with(|core| core.raft.settings().local.wire_directory().to_string());
    let bootstrap = node.bootstrap_controller();
    host.with(|core| core.stay_away());
    let arguments = ["--bootstrap-controller", &bootstrap, "remove-controller", "--controller-id", "2"];
    let arguments = [&arguments[..], &["--controller-directory-id", &directory]].concat();
    let ran = oracle.run_tool("kafka-metadata-quorum", &arguments).unwrap();
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    wait_for("we are no voter any more", || host.with(|core| !core.raft.is_voter()));
    assert!(host.with(|core| core.faults.is_empty()), "{:?}", host.with(|core| core.faults.clone()));
    assert_eq!(host.with(|core| core.raft.voters().ids().collect::<Vec<_>>()), [NodeId(1)]);
}
