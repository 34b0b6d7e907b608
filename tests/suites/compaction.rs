//! The same history, compacted by Ottla and by Apache Kafka: the same records are left.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on ends")]

use ottla_client::{
    Admin, ClientSettings, Consumer, ConsumerSettings, NewTopic, OffsetReset, Producer, ProducerRecord,
    ProducerSettings,
};
use ottla_oracle::{NodeOptions, Oracle};
use ottla_tests::{Server, unique};
use ottla_types::TopicPartition;
use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

/// After so long the next record begins a new segment.
const SEGMENT_MS: u64 = 1_000;
const PATIENCE: Duration = Duration::from_secs(60);
/// Compaction looks often, so that the test need not wait.
const SETTINGS: [(&str, &str); 2] = [("log.cleaner.backoff.ms", "100"), ("log.retention.check.interval.ms", "1000")];

/// A record as a consumer sees it: offset, key, value.
type Seen = (i64, String, Option<String>);

/// A topic on one server.
struct Side {
    servers: String,
    topic: String,
}

impl Side {
    async fn new(servers: String) -> Self {
        let topic = unique("compacted");
        let admin = Admin::new(ClientSettings::new(&servers)).unwrap();
        let configs = [
            ("cleanup.policy", "compact".to_owned()),
            ("segment.ms", SEGMENT_MS.to_string()),
            ("min.cleanable.dirty.ratio", "0.0001".to_owned()),
            ("delete.retention.ms", "0".to_owned()),
        ];
        let configs = configs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let new = NewTopic {
            name: topic.clone(),
            partitions: Some(1),
            replication_factor: Some(1),
            configs,
            ..Default::default()
        };
        admin.create_topics(&[new], false).await.unwrap().remove(&topic).unwrap().unwrap();
        admin.close();
        Self { servers, topic }
    }

    /// Two idempotent producers in turn, each record a batch of its own: the offsets are then the same on both servers.
    async fn write(&self, history: &[(String, Option<String>)]) {
        let producer = || Producer::new(ProducerSettings::new(&self.servers)).unwrap();
        let producers = [producer(), producer()];
        for (number, (key, value)) in history.iter().enumerate() {
            let mut record =
                ProducerRecord::new(self.topic.as_str()).key(key.clone()).header("number", number.to_string());
            if let Some(value) = value {
                record = record.value(value.clone());
            }
            producers[number % 2].send(record).await.unwrap().await.unwrap();
        }
        for producer in producers {
            producer.close().await;
        }
    }

    async fn read(&self, end: i64) -> Vec<Seen> {
        let settings = ConsumerSettings { offset_reset: OffsetReset::Earliest, ..ConsumerSettings::new(&self.servers) };
        let mut consumer = Consumer::new(settings).unwrap();
        consumer.assign([TopicPartition::new(self.topic.as_str(), 0)]);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let mut seen: Vec<Seen> = Vec::new();
        while seen.last().is_none_or(|(offset, ..)| offset + 1 < end) {
            for record in consumer.poll(Duration::from_millis(500)).await.unwrap() {
                seen.push((
                    record.offset,
                    text(record.key.as_ref().unwrap()),
                    record.value.as_ref().map(|value| text(value)),
                ));
            }
        }
        consumer.close().await.unwrap();
        seen
    }

    /// Reads until only so many records are left.
    async fn read_compacted(&self, end: i64, left: usize) -> Vec<Seen> {
        let until = Instant::now() + PATIENCE;
        loop {
            let seen = self.read(end).await;
            if seen.len() <= left {
                return seen;
            }
            assert!(Instant::now() < until, "{} records are left at {}, {left} were to be", seen.len(), self.servers);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

fn history(rounds: u32) -> Vec<(String, Option<String>)> {
    let mut history = Vec::new();
    for round in 0..rounds {
        for key in 0..15u32 {
            // Some keys are written rarely, some are deleted, some come back after that.
            if (round + key) % (1 + key % 4) == 0 {
                let is_deleted = key % 5 == 3 && round % 3 == 1 || key == 14;
                history.push((format!("key-{key}"), (!is_deleted).then(|| format!("value {round} of {key}"))));
            }
        }
    }
    history
}

fn last_of_each(history: &[(String, Option<String>)]) -> BTreeMap<String, (i64, Option<String>)> {
    (0..).zip(history).map(|(offset, (key, value))| (key.clone(), (offset, value.clone()))).collect()
}

#[test]
fn the_same_records_are_left_by_ottla_and_by_apache_kafka() {
    let mut options = NodeOptions::default();
    for (key, value) in SETTINGS {
        options = options.property(key, value);
    }
    let kafka = Oracle::at_home().start(&options).unwrap();
    let ottla = Server::start(&SETTINGS).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let sides = [Side::new(ottla.bootstrap()).await, Side::new(kafka.bootstrap_server()).await];
        let mut written = history(12);
        for side in &sides {
            side.write(&written).await;
        }
        thread::sleep(Duration::from_millis(SEGMENT_MS + 200));
        // The first record of the next segment: everything before it is compacted.
        let marker = ("marker".to_owned(), Some("1".to_owned()));
        written.push(marker.clone());
        let (end, last) = (written.len() as i64, last_of_each(&written));
        let mut left = Vec::new();
        for side in &sides {
            side.write(std::slice::from_ref(&marker)).await;
            left.push(side.read_compacted(end, last.len()).await);
        }
        // Apache Kafka may have had its second run already, and then has no tombstones any more.
        let values = |seen: &[Seen]| seen.iter().filter(|(_, _, value)| value.is_some()).cloned().collect::<Vec<_>>();
        assert_eq!(values(&left[0]), values(&left[1]), "Ottla and Apache Kafka");
        assert!(left[1].iter().all(|record| left[0].contains(record)), "{:?} {:?}", left[0], left[1]);
        let expected: BTreeMap<_, _> =
            left[0].iter().map(|(offset, key, value)| (key.clone(), (*offset, value.clone()))).collect();
        assert_eq!(expected, last, "the last record of each key, tombstones too");
        // A second run takes the tombstones away, whose time is over at once.
        thread::sleep(Duration::from_millis(SEGMENT_MS + 200));
        written.push(marker.clone());
        let kept = last_of_each(&written).into_iter().filter(|(_, (_, value))| value.is_some()).count();
        let mut left = Vec::new();
        for side in &sides {
            side.write(std::slice::from_ref(&marker)).await;
            // The marker of before is replaced only when its own segment is compacted together with the next one's.
            left.push(side.read_compacted(end + 1, kept + 1).await);
        }
        assert_eq!(left[0], left[1], "Ottla and Apache Kafka");
        assert!(left[0].iter().all(|(_, _, value)| value.is_some()), "no tombstone is left");
    });
}
