//! Every topic configuration key takes effect at run time, without a restart, and the same one as in Apache Kafka: each is
//! changed on a topic that has records, on both servers, and what is seen before and after is compared.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on ends")]

#[path = "topic_keys/side.rs"]
mod side;

use ottla_oracle::{NodeOptions, Oracle};
use ottla_records::Compression;
use ottla_tests::Server;
use serde_json::{Value, json};
use side::{HOUR, Place, Records, Topic, now};
use std::collections::BTreeSet;
use std::thread;

/// The servers look after their logs often, so that the test need not wait.
const SETTINGS: [(&str, &str); 6] = [
    ("log.cleaner.backoff.ms", "100"),
    ("log.retention.check.interval.ms", "200"),
    ("log.initial.task.delay.ms", "200"),
    ("log.flush.interval.ms", "86400000"),
    ("log.flush.scheduler.interval.ms", "100"),
    ("log.flush.offset.checkpoint.interval.ms", "200"),
];
/// With one replica these change nothing.
const WITHOUT_EFFECT_ON_ONE_NODE: [&str; 4] = [
    "follower.replication.throttled.replicas",
    "leader.replication.throttled.replicas",
    "min.insync.replicas",
    "unclean.leader.election.enable",
];
const MIB: &str = "1048576";

/// What is seen before a change and after it.
type Seen = (Value, Value);

/// The keys that a case shows, and what it does with a topic of its own.
type Case = (&'static [&'static str], fn(&mut Topic) -> Seen);

const CASES: &[Case] = &[
    (&["max.message.bytes"], |topic| {
        let large = || Records { value_bytes: 3_000, ..Records::default() };
        refusals(topic, large(), &[("max.message.bytes", "1000")])
    }),
    (&["message.timestamp.before.max.ms"], |topic| {
        let old = Records { timestamp: now() - HOUR, ..Records::default() };
        refusals(topic, old, &[("message.timestamp.before.max.ms", "1000")])
    }),
    (&["message.timestamp.after.max.ms"], |topic| {
        let early = Records { timestamp: now() + HOUR / 2, ..Records::default() };
        refusals(topic, early, &[("message.timestamp.after.max.ms", "1000")])
    }),
    (&["max.decompressed.message.bytes"], |topic| {
        let bomb = Records { value_bytes: 100_000, codec: Compression::Gzip, ..Records::default() };
        refusals(topic, bomb, &[("max.decompressed.message.bytes", "10000")])
    }),
    (&WITHOUT_EFFECT_ON_ONE_NODE, |topic| {
        let change = [("min.insync.replicas", "2"), ("unclean.leader.election.enable", "true")];
        refusals(topic, Records::default(), &change)
    }),
    (&["message.timestamp.type"], |topic| {
        let seen = |topic: &mut Topic| {
            let answer = topic.produce(&Records { timestamp: now() - HOUR, ..Records::default() });
            let batch = topic.batches().pop().unwrap();
            json!([
                answer["logAppendTimeMs"].as_i64().unwrap() > 0,
                batch.is_append_time,
                batch.max_timestamp > now() - HOUR / 2
            ])
        };
        let before = seen(topic);
        topic.alter(&[("message.timestamp.type", "LogAppendTime")]);
        (before, seen(topic))
    }),
    (&["compression.type"], |topic| {
        let mut codecs = Vec::new();
        for codec in ["producer", "gzip", "snappy", "lz4", "zstd", "uncompressed", "producer"] {
            topic.alter(&[("compression.type", codec)]);
            topic.produce(&Records { codec: Compression::Gzip, ..Records::default() });
            codecs.push(topic.batches().pop().unwrap().codec.name());
        }
        (json!(codecs[0]), json!(codecs))
    }),
    (&["compression.gzip.level"], |topic| levels(topic, "gzip", "compression.gzip.level", ["1", "9"])),
    (&["compression.lz4.level"], |topic| levels(topic, "lz4", "compression.lz4.level", ["1", "17"])),
    (&["compression.zstd.level"], |topic| levels(topic, "zstd", "compression.zstd.level", ["-100", "3"])),
    (&["segment.bytes"], |topic| {
        let large = Records { value_bytes: 300_000, ..Records::default() };
        (0..5).for_each(|_| _ = topic.produce(&large));
        let before = json!(topic.segments());
        topic.alter(&[("segment.bytes", MIB)]);
        (0..5).for_each(|_| _ = topic.produce(&large));
        (before, json!(topic.segments()))
    }),
    (&["segment.ms"], |topic| {
        let start = now() - HOUR;
        let at = |second: i64| Records { timestamp: start + second * 1000, ..Records::default() };
        (0..4).for_each(|second| _ = topic.produce(&at(second)));
        let before = json!(topic.segments());
        topic.alter(&[("segment.ms", "1500")]);
        (4..9).for_each(|second| _ = topic.produce(&at(second)));
        (before, json!(topic.segments()))
    }),
    (&["segment.jitter.ms"], |topic| {
        // Twenty minutes apart: without jitter a segment has four of them.
        let start = now() - 40 * HOUR;
        topic.alter(&[("segment.ms", "3600000")]);
        sixty(topic, start);
        let before = topic.segments().len();
        topic.alter(&[("segment.jitter.ms", "3600000")]);
        sixty(topic, start + 20 * HOUR);
        let after = topic.segments().len() - before;
        (json!(before), json!(after > before))
    }),
    // For both indexes the timestamps must all be different: only a later one gets an entry.
    (&["index.interval.bytes"], |topic| {
        let fill = |topic: &mut Topic| {
            let at = now() - HOUR + topic.log_end() * 10;
            let record = |number| Records { value_bytes: 1_000, timestamp: at + number, ..Records::default() };
            (0..50).for_each(|number| _ = topic.produce(&record(number)));
            topic.roll();
            topic.sealed_index_bytes()
        };
        let before = fill(topic);
        // A new segment keeps to it.
        topic.alter(&[("index.interval.bytes", "100")]);
        topic.roll();
        (json!(before), json!(fill(topic)))
    }),
    (&["segment.index.bytes"], |topic| {
        let fill = |topic: &mut Topic| {
            let at = now() - HOUR + topic.log_end() * 10;
            let record = |number| Records { timestamp: at + number, ..Records::default() };
            (0..20).for_each(|number| _ = topic.produce(&record(number)));
            json!(topic.segments())
        };
        topic.alter(&[("index.interval.bytes", "0")]);
        let before = fill(topic);
        topic.alter(&[("segment.index.bytes", "64")]);
        topic.roll();
        (before, fill(topic))
    }),
    (&["preallocate"], |topic| {
        topic.alter(&[("segment.bytes", MIB)]);
        topic.produce(&Records::default());
        topic.roll();
        // Apache Kafka makes the file longer, Ottla has the space set aside.
        let is_set_aside = |topic: &Topic| topic.active_bytes_on_disk() >= 1 << 20;
        let before = is_set_aside(topic);
        topic.alter(&[("preallocate", "true")]);
        topic.roll();
        (json!(before), json!(is_set_aside(topic)))
    }),
    (&["retention.ms"], |topic| {
        topic.produce(&Records { timestamp: now() - HOUR, ..Records::default() });
        topic.roll();
        topic.pause();
        let before = topic.log_start();
        topic.alter(&[("retention.ms", "60000")]);
        (json!(before), json!(topic.wait(|topic| topic.log_start() > 0).log_start()))
    }),
    (&["retention.bytes"], |topic| {
        topic.alter(&[("segment.bytes", MIB)]);
        (0..15).for_each(|_| _ = topic.produce(&Records { value_bytes: 300_000, ..Records::default() }));
        topic.pause();
        let before = topic.log_start();
        topic.alter(&[("retention.bytes", "2000000")]);
        topic.wait(|topic| topic.log_start() > 0);
        topic.pause();
        (json!(before), json!(topic.log_start()))
    }),
    (&["file.delete.delay.ms"], |topic| {
        let delete = |topic: &mut Topic| {
            topic.produce(&Records::default());
            topic.roll();
            let end = topic.log_end();
            topic.delete_records(end - 1);
            topic.wait(|topic| topic.segments().len() == 1);
            topic.pause();
        };
        delete(topic);
        let before = topic.files(".log.deleted").len();
        topic.alter(&[("file.delete.delay.ms", "0")]);
        delete(topic);
        (json!(before), json!([before, topic.files(".log.deleted").len()]))
    }),
    (&["cleanup.policy", "min.cleanable.dirty.ratio"], |topic| {
        topic.alter(&[("min.cleanable.dirty.ratio", "1")]);
        write_keys(topic);
        topic.pause();
        let before = topic.offsets();
        topic.alter(&[("cleanup.policy", "compact")]);
        topic.pause();
        assert_eq!(topic.offsets(), before, "not dirty enough");
        topic.alter(&[("min.cleanable.dirty.ratio", "0")]);
        (json!(before), json!(topic.wait(|topic| topic.offsets() != before).offsets()))
    }),
    (&["min.compaction.lag.ms"], |topic| {
        topic.alter(&[("min.compaction.lag.ms", "86400000"), ("min.cleanable.dirty.ratio", "0")]);
        compacted(topic, &[("min.compaction.lag.ms", "0")])
    }),
    (&["max.compaction.lag.ms"], |topic| {
        topic.alter(&[("min.cleanable.dirty.ratio", "1")]);
        compacted(topic, &[("max.compaction.lag.ms", "1000")])
    }),
    (&["delete.retention.ms"], |topic| {
        let compact =
            [("cleanup.policy", "compact"), ("min.cleanable.dirty.ratio", "0"), ("delete.retention.ms", "86400000")];
        topic.alter(&compact);
        topic.produce(&Records { key: "a".to_owned(), ..Records::default() });
        topic.produce(&Records { key: "a".to_owned(), is_tombstone: true, ..Records::default() });
        topic.roll();
        topic.wait(|topic| topic.offsets().first() == Some(&1));
        let before = topic.offsets();
        topic.alter(&[("delete.retention.ms", "0")]);
        topic.produce(&Records { key: "b".to_owned(), is_tombstone: true, ..Records::default() });
        let b = topic.log_end() - 1;
        // The first run that finds it sets its time, and the next takes it away.
        topic.roll();
        topic.wait(|topic| {
            topic.roll();
            topic.pause();
            !topic.offsets().contains(&b)
        });
        (json!(before), json!([topic.offsets().contains(&1), topic.offsets().contains(&b)]))
    }),
    (&["flush.messages"], |topic| flushed(topic, &[("flush.messages", "1")])),
    (&["flush.ms"], |topic| flushed(topic, &[("flush.ms", "100")])),
];

/// The error code of the same records before and after.
fn refusals(topic: &mut Topic, records: Records, change: &[(&str, &str)]) -> Seen {
    let before = topic.produce(&records)["errorCode"].clone();
    topic.alter(change);
    (before, topic.produce(&records)["errorCode"].clone())
}

/// Whether the better level makes less of the same records.
fn levels(topic: &mut Topic, codec: &str, key: &str, levels: [&str; 2]) -> Seen {
    topic.alter(&[("compression.type", codec)]);
    let sizes = levels.map(|level| {
        topic.alter(&[(key, level)]);
        topic.produce(&Records { value_bytes: 200_000, is_text: true, ..Records::default() });
        topic.batches().pop().unwrap().bytes
    });
    (json!(false), json!(sizes[1] < sizes[0]))
}

fn sixty(topic: &mut Topic, start: i64) {
    for number in 0..60 {
        topic.produce(&Records { timestamp: start + number * HOUR / 3, ..Records::default() });
    }
}

fn write_keys(topic: &mut Topic) {
    for key in ["a", "b", "a", "c", "b", "a"] {
        topic.produce(&Records { key: key.to_owned(), ..Records::default() });
    }
    topic.roll();
}

/// The offsets that are left of a topic, which is not compacted before the change.
fn compacted(topic: &mut Topic, change: &[(&str, &str)]) -> Seen {
    topic.alter(&[("cleanup.policy", "compact")]);
    write_keys(topic);
    topic.pause();
    let before = topic.offsets();
    topic.alter(change);
    let after = topic.wait(|topic| topic.offsets() != before).offsets();
    (json!(before), json!(after))
}

/// Whether what is appended gets below the recovery point. Ottla's moves by itself too, so that nothing is said of before.
fn flushed(topic: &mut Topic, change: &[(&str, &str)]) -> Seen {
    topic.alter(change);
    topic.produce(&Records::default());
    let end = topic.log_end();
    topic.wait(|topic| topic.recovery_point() == Some(end));
    (json!(false), json!(true))
}

/// Does all cases on one server, each on a topic of its own, at the same time.
fn run(place: &Place) -> Vec<Seen> {
    thread::scope(|scope| {
        let running: Vec<_> = CASES
            .iter()
            .map(|(keys, case)| (keys, scope.spawn(move || case(&mut Topic::new(place, keys[0])))))
            .collect();
        running
            .into_iter()
            .map(|(keys, run)| run.join().unwrap_or_else(|_| (json!(place.name), json!(format!("{keys:?} failed")))))
            .collect()
    })
}

#[test]
fn every_key_takes_the_same_effect_without_a_restart() {
    let mut options = NodeOptions::default();
    for (key, value) in SETTINGS {
        options = options.property(key, value);
    }
    let kafka = Oracle::at_home().start(&options).unwrap();
    let ottla = Server::start(&SETTINGS).unwrap();
    let places = [
        Place { name: "Ottla", address: ottla.bootstrap(), data: ottla.directory().join("data") },
        Place { name: "Apache Kafka", address: kafka.bootstrap_server(), data: kafka.directory().join("data") },
    ];
    let [ours, theirs] = places.map(|place| run(&place));
    let mut wrong = Vec::new();
    for ((keys, _), (ours, theirs)) in CASES.iter().zip(ours.iter().zip(&theirs)) {
        println!("{keys:?}: {} -> {}", ours.0, ours.1);
        let has_effect = **keys != WITHOUT_EFFECT_ON_ONE_NODE;
        if ours != theirs || (ours.0 != ours.1) != has_effect {
            wrong.push(format!("{keys:?}: {ours:?} on Ottla, {theirs:?} on Apache Kafka"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_key_that_ottla_obeys_is_among_them() {
    let obeyed: BTreeSet<&str> =
        ottla_config::keys::TOPIC.iter().filter(|key| key.obeyed && !key.internal).map(|key| key.name).collect();
    let shown = CASES.iter().flat_map(|(keys, _)| keys.iter().copied()).collect();
    assert_eq!(obeyed, shown);
}
