//! The jobs that every client family does, by the `rdkafka` crate, on Ottla and on Apache Kafka.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on ends")]

use ottla_tests::{Target, unique};
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);
const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];

type Record = (Option<Vec<u8>>, Option<Vec<u8>>, Vec<(String, Option<Vec<u8>>)>);

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

    fn partitions(&self, topic: &str) -> usize {
        let metadata = self.admin.inner().fetch_metadata(None, PATIENCE).unwrap();
        metadata.topics().iter().find(|t| t.name() == topic).map_or(0, |t| t.partitions().len())
    }

    fn produce(&self, topic: &str, records: &[Record], codec: &str) {
        let producer: FutureProducer = self
            .config()
            .set("compression.type", codec)
            .set("enable.idempotence", "true")
            .set("message.max.bytes", "2000000")
            .set("linger.ms", "5")
            .create()
            .unwrap();
        let mut deliveries = Vec::new();
        for (key, value, headers) in records {
            let mut owned = OwnedHeaders::new();
            for (name, value) in headers {
                owned = owned.insert(Header { key: name, value: value.as_ref() });
            }
            let mut record: FutureRecord<'_, Vec<u8>, Vec<u8>> = FutureRecord::to(topic).headers(owned);
            record.key = key.as_ref();
            record.payload = value.as_ref();
            deliveries.push(producer.send_result(record).map_err(|(error, _)| error).unwrap());
        }
        for delivery in deliveries {
            self.runtime.block_on(delivery).unwrap().map_err(|(error, _)| error).unwrap();
        }
    }

    fn consume_all(&self, topic: &str, count: usize) -> Vec<Record> {
        let consumer: BaseConsumer =
            self.config().set("group.id", unique("reader")).set("enable.auto.commit", "false").create().unwrap();
        let mut assignment = TopicPartitionList::new();
        assignment.add_partition_offset(topic, 0, Offset::Beginning).unwrap();
        consumer.assign(&assignment).unwrap();
        let mut records = Vec::new();
        let end = Instant::now() + PATIENCE;
        while records.len() < count && Instant::now() < end {
            let Some(message) = consumer.poll(Duration::from_millis(200)) else { continue };
            let message = message.unwrap();
            let headers = message.headers().map_or(Vec::new(), |headers| {
                headers.iter().map(|h| (h.key.to_owned(), h.value.map(<[u8]>::to_vec))).collect()
            });
            records.push((message.key().map(<[u8]>::to_vec), message.payload().map(<[u8]>::to_vec), headers));
        }
        records
    }
}

fn topic_life(client: &Client) {
    let topic = unique("my_topic");
    client.create_topic(&topic, 3);
    wait_until("three partitions are seen", || client.partitions(&topic) == 3);
    let grow = NewPartitions::new(&topic, 5);
    let results = client.runtime.block_on(client.admin.create_partitions([&grow], &AdminOptions::new())).unwrap();
    assert_eq!(results, [Ok(topic.clone())]);
    wait_until("five partitions are seen", || client.partitions(&topic) == 5);
    client.delete_topic(&topic);
    wait_until("the topic is gone", || client.partitions(&topic) == 0);
}

fn sample(codec: &str) -> Vec<Record> {
    let some = |bytes: &[u8]| Some(bytes.to_vec());
    let headers = vec![
        ("h1".to_owned(), some(b"x")),
        ("h1".to_owned(), some(b"again")),
        ("empty".to_owned(), some(b"")),
        ("null".to_owned(), None),
    ];
    let mut records = vec![
        (some(b"key"), some(b"value"), headers),
        (None, some(b"no key"), Vec::new()),
        (some(b"tombstone"), None, Vec::new()),
        (some(b"big"), Some(codec.repeat(1_000_000 / codec.len()).into_bytes()), Vec::new()),
    ];
    records.extend((0..500).map(|i| (some(b"k"), Some(format!("{i}-").repeat(i % 50).into_bytes()), Vec::new())));
    records
}

fn records_in_every_codec(client: &Client) {
    for codec in CODECS {
        let topic = unique(codec);
        client.create_topic(&topic, 1);
        let sent = sample(codec);
        client.produce(&topic, &sent, codec);
        let received = client.consume_all(&topic, sent.len());
        assert_eq!(received.len(), sent.len(), "{codec}");
        for (index, (got, want)) in received.iter().zip(&sent).enumerate() {
            assert!(got == want, "{codec}: record {index} differs");
        }
        client.delete_topic(&topic);
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

fn group_of_three(client: &Client, protocol: Protocol) {
    let (topic, group) = (unique("shared"), unique("group"));
    client.create_topic(&topic, 6);
    let seen = Seen::default();
    let mut members: Vec<Member> = (0..3).map(|_| Member::start(client, &topic, &group, protocol, &seen)).collect();
    wait_until("three members own six partitions", || covers(&members, 6));
    let batch = |prefix: &str, count: usize| -> Vec<Record> {
        (0..count).map(|i| (Some(format!("k{i}").into()), Some(format!("{prefix}-{i}").into()), Vec::new())).collect()
    };
    let expected = |records: &[Record]| records.iter().filter_map(|r| r.1.clone()).collect::<BTreeSet<_>>();
    let first = batch("first", 300);
    client.produce(&topic, &first, "none");
    wait_until("the first records are read", || values(&seen) == expected(&first));
    members.pop().unwrap().stop();
    wait_until("two members own six partitions", || covers(&members, 6));
    members.iter().for_each(|member| member.commit_wanted.store(true, Ordering::Relaxed));
    wait_until("the members have committed", || members.iter().all(|m| !m.commit_wanted.load(Ordering::Relaxed)));
    members.into_iter().for_each(Member::stop);
    let second = batch("second", 50);
    client.produce(&topic, &second, "lz4");
    let again = Seen::default();
    let late = Member::start(client, &topic, &group, protocol, &again);
    wait_until("the second records are read", || again.lock().unwrap().len() >= 50);
    late.stop();
    assert_eq!(values(&again), expected(&second), "the group did not go on at its committed offsets");
    client.delete_topic(&topic);
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
        let records: Vec<Record> = (0..60).map(|i| (Some(value(i)), Some(value(i)), Vec::new())).collect();
        client.produce(&topic, &records, "none");
        expected.extend((0..60).map(value));
        wait_until("the records are read", || values(&seen) == expected);
    }
    members.iter().for_each(|member| member.commit_wanted.store(true, Ordering::Relaxed));
    wait_until("the members have committed", || members.iter().all(|m| !m.commit_wanted.load(Ordering::Relaxed)));
    members.into_iter().for_each(Member::stop);
    let again = Seen::default();
    let late = Member::start(client, &topic, &group, classic, &again);
    let last = vec![(None, Some(b"last".to_vec()), Vec::new())];
    client.produce(&topic, &last, "none");
    wait_until("the last record is read", || !again.lock().unwrap().is_empty());
    late.stop();
    assert_eq!(values(&again), BTreeSet::from([b"last".to_vec()]), "the group did not go on at its committed offsets");
    client.delete_topic(&topic);
}

fn all_jobs(target: &Target) {
    let client = Client::new(&target.bootstrap());
    topic_life(&client);
    records_in_every_codec(&client);
    for protocol in [
        Protocol::Classic("range"),
        Protocol::Classic("cooperative-sticky"),
        Protocol::Consumer("uniform"),
        Protocol::Consumer("range"),
    ] {
        group_of_three(&client, protocol);
    }
    rolling_migration(&client);
}

#[test]
fn rdkafka_does_its_jobs_on_ottla() {
    all_jobs(&Target::ottla().unwrap());
}

#[test]
fn rdkafka_does_its_jobs_on_apache_kafka() {
    all_jobs(&Target::apache_kafka().unwrap());
}
