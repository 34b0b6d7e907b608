//! Whole server configurations: what Apache Kafka refuses we refuse, and of what both accept we understand the same.

#![allow(clippy::unwrap_used)]

use ottla_config::{Endpoint, NodeConfig, properties};
use ottla_oracle::Oracle;

/// A node in Kafka's own shape, to be changed a little.
const COMBINED: &str = "process.roles=broker,controller
node.id=1
controller.listener.names=CONTROLLER
controller.quorum.voters=1@localhost:9093
listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093
";

const BROKER: &str = "process.roles=broker
node.id=1
controller.listener.names=CONTROLLER
controller.quorum.voters=3@localhost:9093
";

const CONTROLLER: &str = "process.roles=controller
node.id=1
controller.listener.names=CONTROLLER
controller.quorum.voters=1@localhost:9093
listeners=CONTROLLER://localhost:9093
";

/// Lines to add to one of the above; a later line of the same key replaces the earlier one.
const CHANGES: [(&str, &[&str]); 3] = [
    (
        COMBINED,
        &[
            "",
            "broker.id=1",
            "broker.id=2",
            "node.id=-1",
            "node.id=2",
            "listeners=PLAINTEXT://:9092,CONTROLLER://:9093",
            "listeners=PLAINTEXT://0.0.0.0:9092,CONTROLLER://0.0.0.0:9093\nadvertised.listeners=PLAINTEXT://a:1",
            "listeners=PLAINTEXT://0.0.0.0:9092,CONTROLLER://localhost:9093",
            "listeners=PLAINTEXT://localhost:9092",
            "listeners=CONTROLLER://localhost:9093",
            "listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9092",
            "listeners=PLAINTEXT://localhost:0,CONTROLLER://localhost:0",
            "listeners=PLAINTEXT://127.0.0.1:9092,OTHER://[::1]:9092,CONTROLLER://localhost:9093\n\
             listener.security.protocol.map=PLAINTEXT:PLAINTEXT,OTHER:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "listeners=PLAINTEXT://127.0.0.1:9092,OTHER://127.0.0.2:9092,CONTROLLER://localhost:9093\n\
             listener.security.protocol.map=PLAINTEXT:PLAINTEXT,OTHER:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "listeners=PLAINTEXT://a:9092,PLAINTEXT://b:9095,CONTROLLER://localhost:9093",
            "listeners=OTHER://localhost:9092,CONTROLLER://localhost:9093",
            "listeners=OTHER://localhost:9092,CONTROLLER://localhost:9093\n\
             listener.security.protocol.map=OTHER:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "listeners=OTHER://localhost:9092,CONTROLLER://localhost:9093\ninter.broker.listener.name=OTHER\n\
             listener.security.protocol.map=other:plaintext,controller:plaintext",
            "inter.broker.listener.name=PLAINTEXT",
            "inter.broker.listener.name=plaintext",
            "inter.broker.listener.name=CONTROLLER",
            "inter.broker.listener.name=PLAINTEXT\nsecurity.inter.broker.protocol=PLAINTEXT",
            "advertised.listeners=PLAINTEXT://kafka.example.com:19092",
            "advertised.listeners=PLAINTEXT://kafka.example.com:19092,CONTROLLER://kafka.example.com:19093",
            "advertised.listeners=CONTROLLER://kafka.example.com:19093",
            "advertised.listeners=PLAINTEXT://0.0.0.0:1",
            "advertised.listeners=PLAINTEXT://a:1,CONTROLLER://0.0.0.0:1",
            "advertised.listeners=OTHER://a:1",
            "advertised.listeners=PLAINTEXT://a:1,PLAINTEXT://b:2",
            "advertised.listeners=PLAINTEXT://a:9093",
            "controller.listener.names=",
            "controller.listener.names=OTHER",
            "controller.listener.names=CONTROLLER,OTHER",
            "controller.listener.names=CONTROLLER,PLAINTEXT",
            "controller.quorum.voters=",
            "controller.quorum.voters=2@localhost:9093",
            "controller.quorum.voters=1@localhost:9093,2@b:9093",
            "controller.quorum.voters=\ncontroller.quorum.bootstrap.servers=localhost:9093",
            "listener.security.protocol.map=PLAINTEXT:PLAINTEXT",
            "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:NOTHING",
            "listener.security.protocol.map=PLAINTEXT",
            "log.retention.ms=0",
            "log.retention.ms=-2",
            "log.retention.hours=0",
            "log.retention.minutes=0\nlog.retention.hours=1",
            "log.roll.ms=0",
            "log.roll.jitter.ms=-1",
            "log.dirs=",
            "log.dirs=a,b",
            "log.dirs=a,a",
            "queued.max.request.bytes=1",
            "queued.max.request.bytes=0",
            "queued.max.request.bytes=104857600",
            "max.connections.per.ip=0",
            "max.connections.per.ip=0\nmax.connections.per.ip.overrides=127.0.0.1:5",
            "max.connections.per.ip.overrides=127.0.0.1",
            "max.connections.per.ip.overrides=127.0.0.1:x",
            "log.cleaner.min.compaction.lag.ms=5\nlog.cleaner.max.compaction.lag.ms=4",
            "group.min.session.timeout.ms=6\ngroup.max.session.timeout.ms=5",
            "offsets.topic.compression.codec=9",
            "offsets.topic.compression.codec=4",
            "min.insync.replicas=0",
            "replica.fetch.wait.max.ms=30001",
            "connection.failed.authentication.delay.ms=600000",
            "log.cleaner.dedupe.buffer.size=1",
            "unknown.key=1",
        ],
    ),
    (
        BROKER,
        &[
            "",
            "listeners=PLAINTEXT://:9092",
            "listeners=PLAINTEXT://:9092,CONTROLLER://:9093",
            "controller.quorum.voters=1@localhost:9093",
            "controller.quorum.voters=",
            "controller.quorum.voters=\ncontroller.quorum.bootstrap.servers=a:1,b:2",
            "controller.listener.names=PLAINTEXT",
            "listener.security.protocol.map=PLAINTEXT:PLAINTEXT",
        ],
    ),
    (
        CONTROLLER,
        &[
            "",
            "listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093",
            "advertised.listeners=CONTROLLER://a:1",
            "advertised.listeners=PLAINTEXT://a:1",
            "controller.quorum.voters=2@localhost:9093",
        ],
    ),
];

#[test]
fn the_same_configurations_are_accepted_and_understood() {
    let texts: Vec<String> = CHANGES
        .iter()
        .flat_map(|(base, changes)| changes.iter().map(move |change| format!("{base}{change}\n")))
        .collect();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("configs");
    std::fs::write(&path, texts.join("----\n")).unwrap();
    let answers = Oracle::install().unwrap().run_program("NodeConfigs", &[path.to_str().unwrap()]).unwrap();
    assert_eq!(answers.lines().count(), texts.len());
    let mut differences = Vec::new();
    for (text, theirs) in texts.iter().zip(answers.lines()) {
        let ours = facts(text);
        if ours != theirs && !(ours.starts_with('!') && theirs.starts_with('!')) {
            differences.push(format!("{text}  theirs {theirs}\n  ours   {ours}"));
        }
    }
    assert!(differences.is_empty(), "{} of {} differ:\n{}", differences.len(), texts.len(), differences.join("\n"));
    println!("{} configurations compared", texts.len());
}

fn facts(text: &str) -> String {
    match NodeConfig::from_properties(properties::parse(text.as_bytes(), "file").unwrap()) {
        Err(errors) => format!("! {errors}"),
        Ok((config, _)) => {
            let listeners = &config.listeners;
            format!(
                "= {} broker {} controller {} advertised {} {} between {}",
                config.node_id,
                shown(&listeners.broker),
                shown(&listeners.controller),
                shown(&listeners.advertised_broker),
                shown(&listeners.advertised_controller),
                if config.process_roles.broker { &listeners.inter_broker_listener_name } else { "" },
            )
        }
    }
}

fn shown(endpoints: &[Endpoint]) -> String {
    let texts: Vec<String> = endpoints
        .iter()
        .map(|endpoint| {
            let address = &endpoint.address;
            format!(
                "{}://{}:{}/{}",
                endpoint.listener_name,
                address.host,
                address.port,
                endpoint.security_protocol.name()
            )
        })
        .collect();
    format!("[{}]", texts.join(","))
}
