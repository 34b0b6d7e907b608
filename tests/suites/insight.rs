//! `ottla status` and `ottla explain` in situations that were made on purpose, and what a server says when its loggers are told to.

#![allow(clippy::unwrap_used, reason = "a test that can't go on ends")]

use ottla_protocol::ApiKey;
use ottla_tests::raw::Connection;
use ottla_tests::{Server, binary, free_port};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::json;
use std::process::Command;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);

/// What the tool says, and its exit code.
fn ottla(server: &Server, arguments: &[&str]) -> (String, i32) {
    let mut command = Command::new(binary().unwrap());
    let output = command.args(arguments).args(["--bootstrap-server", &server.bootstrap()]).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr);
    println!("{arguments:?}\n{said}");
    (said, output.status.code().unwrap())
}

fn client(server: &Server) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", server.bootstrap());
    config
}

fn produce(server: &Server, topic: &str, records: usize) {
    let producer: BaseProducer = client(server).create().unwrap();
    for _ in 0..records {
        producer.send(BaseRecord::<(), str>::to(topic).payload("x")).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
}

fn member(server: &Server, group: &str, topic: &str) -> BaseConsumer {
    let mut config = client(server);
    config.set("group.id", group).set("auto.offset.reset", "earliest").set("enable.auto.commit", "false");
    let consumer: BaseConsumer = config.create().unwrap();
    consumer.subscribe(&[topic]).unwrap();
    consumer
}

/// Polls until a record comes.
fn read_one(consumer: &BaseConsumer) {
    let end = Instant::now() + PATIENCE;
    while !matches!(consumer.poll(Duration::from_millis(100)), Some(Ok(_))) {
        assert!(Instant::now() < end, "no record comes");
    }
}

#[test]
fn a_server_that_is_well_is_shown_on_one_screen() {
    let port = free_port().unwrap();
    let server = Server::start(&[("ottla.metrics.listener", &format!("127.0.0.1:{port}"))]).unwrap();
    produce(&server, "seen", 3);
    let (screen, code) = ottla(&server, &["status"]);
    // The disk is the machine's and not the test's.
    let is_full = screen.contains(" is nearly full: ");
    assert_eq!(code, if is_full { 2 } else { 0 }, "{screen}");
    let verdict = if is_full { "One thing is wrong:" } else { "Nothing is wrong." };
    for part in ["Cluster ", "Broker    0 at 127.0.0.1:", "Topics    1 with 1 partition", "  seen (1 partition)"] {
        assert!(screen.contains(part), "{part} in {screen}");
    }
    for part in ["Disk      broker 0: ", "Requests  since the start, threads idle", "  Produce (99 of 100", verdict] {
        assert!(screen.contains(part), "{part} in {screen}");
    }
    assert!(screen.lines().count() <= 40, "one screen");
}

#[test]
fn a_group_that_lags_without_a_member_is_named() {
    let server = Server::start(&[]).unwrap();
    produce(&server, "lagging", 5);
    let consumer = member(&server, "gone", "lagging");
    read_one(&consumer);
    consumer.commit_consumer_state(rdkafka::consumer::CommitMode::Sync).unwrap();
    consumer.unsubscribe();
    drop(consumer);
    let (screen, code) = ottla(&server, &["status"]);
    assert_eq!(code, 2);
    assert!(screen.contains("- The group gone has 4 records to read and no member that reads."), "{screen}");
    let (said, code) = ottla(&server, &["explain", "group", "gone"]);
    assert_eq!(code, 2);
    assert!(said.contains("It has 4 records to read, most of all lagging-0 with 4."), "{said}");
    assert!(said.contains("Nobody reads them, since it has no member: start its consumers."), "{said}");
}

#[test]
fn a_group_whose_member_does_not_poll_is_explained() {
    let server = Server::start(&[]).unwrap();
    produce(&server, "slow", 1);
    let slow = member(&server, "waiting", "slow");
    read_one(&slow);
    assert_eq!(ottla(&server, &["explain", "group", "waiting"]).1, 0, "one member, which has read everything it can");
    // The first member has to join again for the second one to get in, which it does when it polls.
    let second = member(&server, "waiting", "slow");
    let end = Instant::now() + PATIENCE;
    let said = loop {
        let _ = second.poll(Duration::from_millis(100));
        let (said, code) = ottla(&server, &["explain", "group", "waiting"]);
        if code == 2 {
            break said;
        }
        assert!(Instant::now() < end, "{said}");
    };
    assert!(said.contains("one that takes long between two polls holds all the others up"), "{said}");
    let (screen, _) = ottla(&server, &["status"]);
    assert!(screen.contains("- The group waiting is rebalancing (PreparingRebalance, "), "{screen}");
}

#[test]
fn an_open_transaction_is_what_holds_the_last_stable_offset_back() {
    let server = Server::start(&[]).unwrap();
    produce(&server, "held", 2);
    let (said, code) = ottla(&server, &["explain", "topic", "held"]);
    assert_eq!(code, 0);
    assert!(said.contains("No transaction is open on it: readers of committed records see everything."), "{said}");
    let mut config = client(&server);
    let producer: BaseProducer = config.set("transactional.id", "unfinished").create().unwrap();
    producer.init_transactions(PATIENCE).unwrap();
    producer.begin_transaction().unwrap();
    producer.send(BaseRecord::<(), str>::to("held").payload("x")).unwrap();
    producer.flush(PATIENCE).unwrap();
    produce(&server, "held", 2);
    let (said, code) = ottla(&server, &["explain", "topic", "held"]);
    assert_eq!(code, 0, "a transaction may be open for its timeout");
    assert!(said.contains("held-0: the last stable offset is held back at 2, 3 records before the end."), "{said}");
    assert!(said.contains("The transaction of unfinished has been open for "), "{said}");
    producer.abort_transaction(PATIENCE).unwrap();
}

#[test]
fn what_can_t_be_asked_or_understood_has_another_exit_code() {
    let server = Server::start(&[]).unwrap();
    assert_eq!(ottla(&server, &["explain", "nothing", "x"]).1, 1);
    assert_eq!(ottla(&server, &["explain", "topic", "nothing"]).1, 1);
    let (said, code) = ottla(&server, &["explain", "client", "nobody"]);
    assert_eq!(code, 0);
    assert!(said.contains("No quota is set that the client nobody comes under"), "{said}");
}

fn set_level(server: &Server, logger: &str, level: &str) {
    let configs = json!([{"name": logger, "configOperation": 0, "value": level}]);
    let request = json!({"resources": [{"resourceType": 8, "resourceName": "0", "configs": configs}]});
    let mut connection = Connection::open(&server.bootstrap()).unwrap();
    let answer = connection.ask(ApiKey::IncrementalAlterConfigs, 1, &request).unwrap();
    assert_eq!(answer["responses"][0]["errorCode"], 0, "{answer}");
}

/// Sends what is no request, and waits until the server has closed the connection.
fn send_nonsense(server: &Server) {
    let mut connection = Connection::open(&server.bootstrap()).unwrap();
    connection.send_frame(&[0xff; 16]).unwrap();
    assert!(connection.receive().is_err());
}

fn wait_for_line(server: &Server, text: &str) {
    let end = Instant::now() + PATIENCE;
    while !server.log().contains(text) {
        assert!(Instant::now() < end, "no {text} in {}", server.log());
        std::thread::yield_now();
    }
}

#[test]
fn levels_of_loggers_count_at_once() {
    const LOGGER: &str = "kafka.network.SocketServer";
    let server = Server::start(&[]).unwrap();
    set_level(&server, LOGGER, "FATAL");
    send_nonsense(&server);
    set_level(&server, LOGGER, "DEBUG");
    // That an ordinary connection has ended is told on this level only.
    drop(Connection::open(&server.bootstrap()).unwrap());
    wait_for_line(&server, "DEBUG closed connection");
    set_level(&server, "root", "ERROR");
    send_nonsense(&server);
    wait_for_line(&server, "INFO closed connection");
    let told = server.log().matches("INFO closed connection").count();
    assert_eq!(told, 1, "only the second one, by the logger's own level: {}", server.log());
}
