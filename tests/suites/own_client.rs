//! Our own client library: its examples run on Ottla and on Apache Kafka, and it loses and repeats nothing over restarts.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on ends")]

use ottla_client::{
    Admin, ClientSettings, Consumer, ConsumerSettings, NewTopic, OffsetReset, Producer, ProducerRecord,
    ProducerSettings,
};
use ottla_tests::{Server, Target, binary, run, unique};
use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const RECORDS: usize = 4_000;
const PARTITIONS: i32 = 3;

/// An example of the client library, as `cargo build -p ottla-client --examples` makes it.
fn example(name: &str, arguments: &[&str]) -> Command {
    let path = binary().unwrap().parent().unwrap().join("examples").join(name);
    assert!(path.exists(), "{} is missing: run cargo build -p ottla-client --examples first", path.display());
    let mut command = Command::new(path);
    command.args(arguments);
    command
}

/// The number before the word `records` on a line that begins with it.
fn records_of(said: &str) -> u64 {
    let line = said.lines().find_map(|line| line.strip_suffix(" records"));
    line.unwrap_or_else(|| panic!("no count in {said}")).parse().unwrap()
}

fn examples_run(target: &Target) {
    let servers = target.bootstrap();
    let topic = unique("examples");
    let said = run(&mut example("admin", &[&servers, &topic])).unwrap();
    for expected in ["of 1 brokers", "has 5 partitions", "retention.ms = 60000", "-4: leader ", "deleted"] {
        assert!(said.contains(expected), "{expected} in {said}");
    }
    let topic = unique("examples");
    let said = run(&mut example("produce", &[&servers, &topic, "1000"])).unwrap();
    assert!(said.contains("1000 records in "), "{said}");
    let group = unique("example-group");
    let members: Vec<_> = (0..2)
        .map(|_| {
            let mut member = example("consume_in_a_group", &[&servers, &topic, &group, "6"]);
            member.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let mut read = 0;
    for member in members {
        let output = member.wait_with_output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        read += records_of(&said);
    }
    assert_eq!(read, 1000, "two members read each record once");
    let said = run(&mut example("consume_in_a_group", &[&servers, &topic, &group, "3"])).unwrap();
    assert_eq!(records_of(&said), 0, "everything was committed");
}

#[test]
fn the_examples_run_on_ottla() {
    examples_run(&Target::ottla().unwrap());
}

#[test]
fn the_examples_run_on_apache_kafka() {
    examples_run(&Target::apache_kafka().unwrap());
}

async fn create_topic(servers: &str, name: &str) {
    let admin = Admin::new(ClientSettings::new(servers)).unwrap();
    let topic = NewTopic {
        name: name.to_owned(),
        partitions: Some(PARTITIONS),
        replication_factor: Some(1),
        ..Default::default()
    };
    admin.create_topics(&[topic], false).await.unwrap().remove(name).unwrap().unwrap();
    admin.close();
}

/// Produces numbered records and returns where each was acknowledged.
async fn produce(servers: &str, topic: &str) -> Vec<(i32, i64)> {
    let producer =
        Producer::new(ProducerSettings { linger: Duration::from_millis(1), ..ProducerSettings::new(servers) });
    let producer = producer.unwrap();
    let mut deliveries = Vec::with_capacity(RECORDS);
    for number in 0..RECORDS {
        let record = ProducerRecord::new(topic).key(format!("key-{}", number % 7)).value(number.to_string());
        deliveries.push(producer.send(record).await.unwrap());
        if number % 20 == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    let mut places = Vec::with_capacity(RECORDS);
    for delivery in deliveries {
        let delivered = delivery.await.unwrap();
        places.push((delivered.partition, delivered.offset));
    }
    producer.close().await;
    places
}

/// Reads until `RECORDS` have come, and returns them by their place.
async fn consume(servers: &str, topic: &str) -> BTreeMap<(i32, i64), usize> {
    let settings = ConsumerSettings { offset_reset: OffsetReset::Earliest, ..ConsumerSettings::new(servers) };
    let mut consumer = Consumer::new(settings.group(unique("restarts"))).unwrap();
    consumer.subscribe([topic]).unwrap();
    let mut read = BTreeMap::new();
    let end = Instant::now() + Duration::from_secs(120);
    while read.len() < RECORDS {
        assert!(Instant::now() < end, "{} of {RECORDS} records came", read.len());
        for record in consumer.poll(Duration::from_millis(500)).await.unwrap() {
            let number: usize = std::str::from_utf8(record.value.as_ref().unwrap()).unwrap().parse().unwrap();
            assert_eq!(read.insert((record.partition, record.offset), number), None, "read twice");
        }
    }
    consumer.close().await.unwrap();
    read
}

#[test]
fn an_idempotent_producer_and_a_consumer_bear_restarts_of_the_server() {
    let mut server = Server::start(&[]).unwrap();
    let servers = server.bootstrap();
    let topic = unique("restarts");
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime().block_on(create_topic(&servers, &topic));
    let producing = {
        let (servers, topic) = (servers.clone(), topic.clone());
        thread::spawn(move || runtime().block_on(produce(&servers, &topic)))
    };
    let consuming = {
        let (servers, topic) = (servers, topic);
        thread::spawn(move || runtime().block_on(consume(&servers, &topic)))
    };
    for round in 0..4 {
        thread::sleep(Duration::from_millis(400));
        if round % 2 == 0 {
            server.kill().unwrap()
        } else {
            server.stop().unwrap()
        }
        server.launch().unwrap();
    }
    let places = producing.join().unwrap();
    let read = consuming.join().unwrap();
    for (number, place) in places.iter().enumerate() {
        // An acknowledgement of a batch that had been taken before may come without its offset.
        if place.1 >= 0 {
            assert_eq!(read.get(place), Some(&number), "{place:?}");
        }
    }
    let mut last: BTreeMap<(i32, usize), usize> = BTreeMap::new();
    for ((partition, _), number) in &read {
        let before = last.insert((*partition, number % 7), *number);
        assert!(before.is_none_or(|before| before < *number), "in the order of their keys");
    }
    let mut numbers: Vec<usize> = read.into_values().collect();
    numbers.sort_unstable();
    assert!(numbers.iter().copied().eq(0..RECORDS), "each record once");
}
