//! Compaction of the same topic.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::Failure;
use crate::broker::{Broker, Kind, Shop};
use crate::report::{Better, Report};
use crate::wire::{Batch, produce};

const SEGMENT_BYTES: &str = "268435456";
const SEGMENTS: usize = 2;
const KEYS: u64 = 1_000_000;
const RECORDS_A_BATCH: usize = 100;
const TOPICS: usize = 3;
const PATIENCE: Duration = Duration::from_secs(120);
/// How often it is looked whether the run has ended.
const LOOK: Duration = Duration::from_millis(2);

/// Each in turn: the topic is written, and as soon as its last segment but one is sealed compaction may begin. The time goes on
/// until the directory's checkpoint says that all sealed segments are compacted.
pub fn compare(shop: &Shop, report: &mut Report) -> Result<(), Failure> {
    for kind in [Kind::Ottla, Kind::Kafka] {
        eprintln!("{kind:?}: compaction");
        let broker = shop.start(kind)?;
        broker.connect()?.set_of_all_brokers("log.cleaner.backoff.ms", "10")?;
        // Not counted: the cleaner may still rest as long as it was told at the start.
        compacted(&broker, "not-counted")?;
        for number in 0..TOPICS {
            let taken = compacted(&broker, &format!("keyed-{number}"))?;
            report.add(kind, "compaction of 512 MiB, a million keys", "ms", Better::Less, taken.as_secs_f64() * 1000.0);
        }
    }
    Ok(())
}

fn compacted(broker: &Broker, topic: &str) -> Result<Duration, Failure> {
    let mut client = broker.connect()?;
    // No part of the topic alone is dirty enough: the first segment waits for the others.
    let configs =
        [("cleanup.policy", "compact"), ("segment.bytes", SEGMENT_BYTES), ("min.compaction.lag.ms", "86400000")];
    client.create_topic_with(topic, 1, &configs)?;
    let directory = broker.data().join(format!("{topic}-0"));
    let (mut random, mut answer) = (1, Vec::new());
    let first = produce(topic, 0, 1, &Batch::keyed(RECORDS_A_BATCH, KEYS, &mut random)?)?;
    client.produce_until_acknowledged(&first, Duration::from_secs(30))?;
    while segments(&directory)? <= SEGMENTS {
        for _ in 0..100 {
            let request = produce(topic, 0, 1, &Batch::keyed(RECORDS_A_BATCH, KEYS, &mut random)?)?;
            client.ask_into(&request, &mut answer)?;
            crate::wire::check_produced(&answer)?;
        }
    }
    // What was written is on disk first, so that neither waits for that.
    Command::new("sync").status()?;
    let began = Instant::now();
    client.set_of_topic(topic, "min.compaction.lag.ms", "0")?;
    while !is_compacted(&broker.data(), topic)? {
        if began.elapsed() > PATIENCE {
            return Err(Failure::from("compaction does not come about"));
        }
        thread::sleep(LOOK);
    }
    let taken = began.elapsed();
    client.delete_topic(topic)?;
    Ok(taken)
}

fn segments(directory: &Path) -> Result<usize, Failure> {
    let names = fs::read_dir(directory)?.map(|entry| entry.map(|entry| entry.file_name()));
    let names = names.collect::<Result<Vec<_>, _>>()?;
    Ok(names.iter().filter(|name| name.to_string_lossy().ends_with(".log")).count())
}

fn is_compacted(data: &Path, topic: &str) -> Result<bool, Failure> {
    match fs::read_to_string(data.join("cleaner-offset-checkpoint")) {
        Ok(text) => Ok(text.lines().any(|line| line.starts_with(&format!("{topic} 0 ")) && !line.ends_with(" 0"))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error.into()),
    }
}
