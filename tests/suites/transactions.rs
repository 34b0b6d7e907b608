//! Transactions by clients that we did not write, on Ottla and on Apache Kafka.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on ends")]

use ottla_tests::{Target, java_client, run, workspace};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use std::process::Command;
use std::time::{Duration, Instant};

/// How long a client may take for one step.
const PATIENCE: Duration = Duration::from_secs(30);

fn java_jobs(target: &Target) {
    println!("{}", run(java_client("TransactionJobs").unwrap().arg(target.bootstrap())).unwrap());
}

fn python_jobs(target: &Target) {
    let python = workspace().join("target/venv/bin/python");
    assert!(python.exists(), "{} is missing: cargo xtask test clients installs it", python.display());
    let script = workspace().join("tests/clients/python/transactional_jobs.py");
    println!("{}", run(Command::new(python).arg(script).arg(target.bootstrap())).unwrap());
}

fn config(target: &Target) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", target.bootstrap()).set("allow.auto.create.topics", "true");
    config
}

/// A producer commits and aborts, and its successor fences it.
fn rdkafka_jobs(target: &Target) {
    let topic = "rdkafka-transactions";
    let producer = |id: &str| {
        let producer: BaseProducer = config(target).set("transactional.id", id).create().unwrap();
        producer.init_transactions(PATIENCE).unwrap();
        producer.begin_transaction().unwrap();
        producer
    };
    let send = |producer: &BaseProducer, value: &str| {
        producer.send(BaseRecord::<(), str>::to(topic).partition(0).payload(value)).unwrap();
        producer.flush(PATIENCE).unwrap();
    };
    let first = producer("rdkafka");
    send(&first, "committed");
    first.commit_transaction(PATIENCE).unwrap();
    first.begin_transaction().unwrap();
    send(&first, "aborted");
    first.abort_transaction(PATIENCE).unwrap();
    first.begin_transaction().unwrap();
    send(&first, "of a zombie");
    let second = producer("rdkafka");
    send(&second, "of the successor");
    assert!(first.commit_transaction(PATIENCE).is_err(), "the zombie is fenced");
    second.commit_transaction(PATIENCE).unwrap();
    assert_eq!(read(target, topic, "read_committed", 2), ["committed", "of the successor"]);
    let all = ["committed", "aborted", "of a zombie", "of the successor"];
    assert_eq!(read(target, topic, "read_uncommitted", 4), all);
}

/// The values of a topic's first partition.
fn read(target: &Target, topic: &str, isolation: &str, count: usize) -> Vec<String> {
    let mut config = config(target);
    config.set("group.id", "rdkafka").set("isolation.level", isolation).set("enable.auto.commit", "false");
    let consumer: BaseConsumer = config.create().unwrap();
    let mut partitions = TopicPartitionList::new();
    partitions.add_partition_offset(topic, 0, Offset::Beginning).unwrap();
    consumer.assign(&partitions).unwrap();
    let mut values = Vec::new();
    let end = Instant::now() + PATIENCE;
    while values.len() < count && Instant::now() < end {
        if let Some(message) = consumer.poll(Duration::from_millis(200)) {
            values.push(String::from_utf8_lossy(message.unwrap().payload().unwrap()).into_owned());
        }
    }
    values
}

#[test]
fn transactions_of_the_java_client_work_on_ottla() {
    java_jobs(&Target::ottla().unwrap());
}

#[test]
fn transactions_of_librdkafka_work_on_ottla() {
    let target = Target::ottla().unwrap();
    python_jobs(&target);
    rdkafka_jobs(&target);
}

#[test]
fn all_of_them_work_on_apache_kafka() {
    let target = Target::apache_kafka().unwrap();
    java_jobs(&target);
    python_jobs(&target);
    rdkafka_jobs(&target);
}
