//! Members of both group protocols take turns in one group, by the `rdkafka` crate, on Ottla and on Apache Kafka.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on ends")]

use ottla_tests::{Target, unique};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::{FutureProducer, FutureRecord};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

/// A key and a value, the same.
type Record = Vec<u8>;

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "timed out waiting until {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

struct Client {
    bootstrap: String,
    admin: AdminClient<DefaultClientContext>,
    runtime: tokio::runtime::Runtime,
}

impl Client {
    fn new(bootstrap: &str) -> Self {
        let admin = ClientConfig::new().set("bootstrap.servers", bootstrap).create().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { bootstrap: bootstrap.to_owned(), admin, runtime }
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap);
        config
    }

    fn create_topic(&self, topic: &str, partitions: i32) {
        let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
        let results = self.runtime.block_on(self.admin.create_topics([&new], &AdminOptions::new())).unwrap();
        assert_eq!(results, [Ok(topic.to_owned())]);
    }

    fn delete_topic(&self, topic: &str) {
        let results = self.runtime.block_on(self.admin.delete_topics(&[topic], &AdminOptions::new())).unwrap();
        assert_eq!(results, [Ok(topic.to_owned())]);
    }

    fn produce(&self, topic: &str, records: &[Record]) {
        let producer: FutureProducer = self.config().set("linger.ms", "5").create().unwrap();
        let mut deliveries = Vec::new();
        for record in records {
            let record: FutureRecord<'_, Vec<u8>, Vec<u8>> = FutureRecord::to(topic).key(record).payload(record);
            deliveries.push(producer.send_result(record).map_err(|(error, _)| error).unwrap());
        }
        for delivery in deliveries {
            self.runtime.block_on(delivery).unwrap().map_err(|(error, _)| error).unwrap();
        }
    }
}

type Seen = Arc<Mutex<Vec<(i32, i64, Vec<u8>)>>>;

struct Member {
    owned: Arc<Mutex<BTreeSet<i32>>>,
    stopping: Arc<AtomicBool>,
    commit_wanted: Arc<AtomicBool>,
    thread: JoinHandle<Result<(), KafkaError>>,
}

/// How a group comes to its assignment.
#[derive(Clone, Copy)]
enum Protocol {
    /// By an assignor of the client's.
    Classic(&'static str),
    /// By one of the server's (KIP-848).
    Consumer(&'static str),
}

impl Protocol {
    fn put_into(self, config: &mut ClientConfig) {
        match self {
            Self::Classic(assignor) => {
                config.set("session.timeout.ms", "10000").set("heartbeat.interval.ms", "300");
                config.set("partition.assignment.strategy", assignor);
            }
            Self::Consumer(assignor) => {
                config.set("group.protocol", "consumer").set("group.remote.assignor", assignor);
            }
        }
    }
}

impl Member {
    fn start(client: &Client, topic: &str, group: &str, protocol: Protocol, seen: &Seen) -> Self {
        let mut config = client.config();
        config.set("group.id", group).set("auto.offset.reset", "earliest").set("enable.auto.offset.store", "true");
        protocol.put_into(&mut config);
        let consumer: BaseConsumer = config.create().unwrap();
        consumer.subscribe(&[topic]).unwrap();
        let owned = Arc::new(Mutex::new(BTreeSet::new()));
        let stopping = Arc::new(AtomicBool::new(false));
        let commit_wanted = Arc::new(AtomicBool::new(false));
        let (shared, stop, seen) = (owned.clone(), stopping.clone(), seen.clone());
        let wanted = commit_wanted.clone();
        let thread = std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let message = consumer.poll(Duration::from_millis(100));
                *shared.lock().unwrap() = consumer.assignment()?.elements().iter().map(|e| e.partition()).collect();
                if let Some(message) = message.transpose()? {
                    let value = message.payload().unwrap_or_default().to_vec();
                    seen.lock().unwrap().push((message.partition(), message.offset(), value));
                }
                if wanted.load(Ordering::Relaxed) && commit(&consumer) {
                    wanted.store(false, Ordering::Relaxed);
                }
            }
            shared.lock().unwrap().clear();
            commit(&consumer);
            Ok(())
        });
        Self { owned, stopping, commit_wanted, thread }
    }

    fn stop(self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.thread.join().unwrap().unwrap();
    }
}

/// Whether everything is committed. A commit that meets a rebalance is lost.
fn commit(consumer: &BaseConsumer) -> bool {
    let committed = consumer.commit_consumer_state(CommitMode::Sync);
    matches!(committed, Ok(()) | Err(KafkaError::ConsumerCommit(rdkafka::types::RDKafkaErrorCode::NoOffset)))
}

fn covers(members: &[Member], partitions: i32) -> bool {
    let owned: Vec<BTreeSet<i32>> = members.iter().map(|m| m.owned.lock().unwrap().clone()).collect();
    let mut all: Vec<i32> = owned.iter().flatten().copied().collect();
    all.sort_unstable();
    owned.iter().all(|o| !o.is_empty()) && all == (0..partitions).collect::<Vec<_>>()
}

fn values(seen: &Seen) -> BTreeSet<Vec<u8>> {
    seen.lock().unwrap().iter().map(|(_, _, value)| value.clone()).collect()
}

/// A group's members are replaced one by one by members of the other protocol, and back, while records come: each partition has
/// one owner each time, and the group goes on where it has committed.
fn rolling_migration(client: &Client) {
    let (topic, group) = (unique("rolling"), unique("group"));
    client.create_topic(&topic, 6);
    let seen = Seen::default();
    let classic = Protocol::Classic("range");
    let mut members: Vec<Member> = (0..3).map(|_| Member::start(client, &topic, &group, classic, &seen)).collect();
    wait_until("three members own six partitions", || covers(&members, 6));
    let mut expected = BTreeSet::new();
    for (number, protocol) in [Protocol::Consumer("uniform"), classic].into_iter().flat_map(|p| [p; 3]).enumerate() {
        members.remove(0).stop();
        members.push(Member::start(client, &topic, &group, protocol, &seen));
        wait_until("three members of both protocols own six partitions", || covers(&members, 6));
        let value = |i: usize| format!("{number}-{i}").into_bytes();
        let records: Vec<Record> = (0..60).map(value).collect();
        client.produce(&topic, &records);
        expected.extend((0..60).map(value));
        wait_until("the records are read", || values(&seen) == expected);
    }
    members.iter().for_each(|member| member.commit_wanted.store(true, Ordering::Relaxed));
    wait_until("the members have committed", || members.iter().all(|m| !m.commit_wanted.load(Ordering::Relaxed)));
    members.into_iter().for_each(Member::stop);
    let again = Seen::default();
    let late = Member::start(client, &topic, &group, classic, &again);
    client.produce(&topic, &[b"last".to_vec()]);
    wait_until("the last record is read", || !again.lock().unwrap().is_empty());
    late.stop();
    assert_eq!(values(&again), BTreeSet::from([b"last".to_vec()]), "the group did not go on at its committed offsets");
    client.delete_topic(&topic);
}

#[test]
fn members_of_both_protocols_replace_one_another_on_ottla() {
    let target = Target::ottla().unwrap();
    rolling_migration(&Client::new(&target.bootstrap()));
}

#[test]
fn members_of_both_protocols_replace_one_another_on_apache_kafka() {
    let target = Target::apache_kafka().unwrap();
    rolling_migration(&Client::new(&target.bootstrap()));
}
