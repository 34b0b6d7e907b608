//! Topics that come, go, come again, grow and are compacted.

use super::calls::{ask, batch, began, produce};
use ottla_protocol::ApiKey;
use ottla_records::{BatchBuilder, BatchOptions, Compression, CompressionLevel, Compressor, RecordToWrite};
use ottla_tests::Asker;
use ottla_tests::raw::base64;
use ottla_types::Timestamp;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, thread};

/// All that last; a topic that only one round has is `round-N`.
pub(crate) const TOPICS: [&str; 8] =
    ["plain", "compacted", "stamped", "cleaned", "short", "again", "grown", super::producers::TOPIC];

/// How long the cleaner may take for a few records.
const PATIENCE: Duration = Duration::from_secs(30);

fn topic(name: &str, partitions: i32, configs: &[(&str, &str)]) -> Value {
    let configs: Value = configs.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
    json!({ "name": name, "numPartitions": partitions, "replicationFactor": 1, "configs": configs })
}

fn create(asker: &mut Asker, topics: &Value) {
    let answer = ask(asker, ApiKey::CreateTopics, 7, &json!({ "topics": topics, "timeoutMs": 30_000 }));
    assert!(answer["topics"].as_array().unwrap().iter().all(|topic| topic["errorCode"] == 0), "{answer}");
}

pub(crate) fn delete(asker: &mut Asker, name: &str) {
    let topics = json!([{ "name": name }]);
    let answer = ask(asker, ApiKey::DeleteTopics, 6, &json!({ "topics": topics, "timeoutMs": 30_000 }));
    assert_eq!(answer["responses"][0]["errorCode"], 0, "{answer}");
}

pub(crate) fn create_all(asker: &mut Asker) {
    let topics = json!([
        topic("plain", 2, &[("retention.ms", "-1"), ("index.interval.bytes", "100")]),
        topic("compacted", 1, &[("cleanup.policy", "compact")]),
        topic("stamped", 1, &[("message.timestamp.type", "LogAppendTime"), ("retention.ms", "-1")]),
        topic(
            "cleaned",
            1,
            &[
                ("cleanup.policy", "compact"),
                // Each append a second after the last begins a segment, and what is sealed is compacted at once.
                ("segment.ms", "500"),
                ("min.cleanable.dirty.ratio", "0.0001"),
            ]
        ),
        topic(
            "short",
            1,
            &[
                ("segment.ms", "500"),
                ("retention.bytes", "100000000"),
                ("flush.messages", "1"),
                ("compression.type", "zstd"),
                ("message.timestamp.after.max.ms", "7200000")
            ]
        ),
        topic("grown", 1, &[]),
        topic(super::producers::TOPIC, 1, &[]),
    ]);
    create(asker, &topics);
}

/// Records of the topic that is compacted: new values, and of every other key a tombstone.
fn cleaned_batch(round: i32, part: i32) -> String {
    let options =
        BatchOptions { compression: CompressionLevel::default_of(Compression::Gzip), ..BatchOptions::default() };
    let mut builder = BatchBuilder::new(options);
    for key in 0..4 {
        let timestamp = Timestamp(began() + i64::from(round * 10 + part) * 2000);
        let (key_text, value) = (format!("key {key}"), format!("round {round} part {part}"));
        let is_tombstone = (key + part) % 4 == 0;
        let value = (!is_tombstone).then_some(value.as_bytes());
        builder.append(&RecordToWrite { timestamp, key: Some(key_text.as_bytes()), value, headers: &[] }).unwrap();
    }
    base64(&builder.build_vec(&mut Compressor::default()).unwrap())
}

pub(crate) fn write(asker: &mut Asker, round: i32, deletes_records: bool) {
    for part in 0..4 {
        produce(asker, "cleaned", 0, None, &cleaned_batch(round, part));
        produce(asker, "short", 0, None, &batch(Compression::Snappy, None, round * 10 + part, 5));
    }
    if round > 0 {
        delete(asker, "again");
    }
    let of_round = format!("round-{round}");
    let again_partitions = 1 + round % 2;
    create(
        asker,
        &json!([topic("again", again_partitions, &[]), topic(&of_round, 1, &[]), topic("short-lived", 2, &[])]),
    );
    for name in ["again", &of_round, "short-lived"] {
        produce(asker, name, 0, None, &batch(Compression::None, None, round, 1 + round as usize));
    }
    if round > 1 {
        delete(asker, &format!("round-{}", round - 2));
    }
    let grown = json!([{ "name": "grown", "count": 2 + round, "assignments": null }]);
    let answer = ask(asker, ApiKey::CreatePartitions, 3, &json!({ "topics": grown, "timeoutMs": 30_000 }));
    assert_eq!(answer["results"][0]["errorCode"], 0, "{answer}");
    for partition in 0..2 + round {
        produce(asker, "grown", partition, None, &batch(Compression::Gzip, None, round, 2));
    }
    if deletes_records {
        delete_records(asker, "plain", 3 + i64::from(round) * 9);
        // To the end of the log: nothing is left of what was there.
        delete_records(asker, "grown", -1);
    }
}

fn delete_records(asker: &mut Asker, topic: &str, offset: i64) {
    let body = json!({ "topics": [{ "name": topic, "partitions": [{ "partitionIndex": 0, "offset": offset }] }], "timeoutMs": 30_000 });
    let answer = ask(asker, ApiKey::DeleteRecords, 2, &body);
    assert_eq!(answer["topics"][0]["partitions"][0]["errorCode"], 0, "{answer}");
}

/// The directory of a partition, wherever it lies in the folder.
fn partition_directory(folder: &Path, name: &str) -> Option<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).find_map(|path| {
        if !path.is_dir() {
            return None;
        }
        if path.file_name().is_some_and(|file| file == name) { Some(path) } else { partition_directory(&path, name) }
    })
}

/// Waits until the compacted topic is compacted up to its active segment: from then on its records stay as they are.
pub(crate) fn wait_until_cleaned(folder: &Path) {
    let end = Instant::now() + PATIENCE;
    loop {
        let (cleaned, active) = cleaned_up_to(folder);
        if cleaned == active {
            return;
        }
        assert!(Instant::now() < end, "compacted up to {cleaned:?}, and the active segment begins at {active:?}");
        thread::sleep(Duration::from_millis(50));
    }
}

fn cleaned_up_to(folder: &Path) -> (Option<i64>, Option<i64>) {
    let directory = partition_directory(folder, "cleaned-0").unwrap();
    let names = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let active = names.filter_map(|name| name.strip_suffix(".log")?.parse::<i64>().ok()).max();
    let checkpoint = fs::read_to_string(directory.parent().unwrap().join("cleaner-offset-checkpoint"));
    let checkpoint = checkpoint.unwrap_or_default();
    let cleaned = checkpoint.lines().find_map(|line| line.strip_prefix("cleaned 0 ")?.parse().ok());
    (cleaned, active)
}
