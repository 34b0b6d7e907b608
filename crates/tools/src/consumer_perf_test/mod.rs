//! `kafka-consumer-perf-test`: measures how fast a consumer reads.

mod options;

use crate::connection::{block_on_threads, consumer};
use crate::console::Console;
use crate::failure::Stop;
use crate::java::{self, decimal, now_ms};
use crate::metrics::{Metric, print_metrics};
use options::{OPTIONS, PerfOptions, Source};
use ottla_client::{Consumer, ConsumerRecord, Rebalance};
use ottla_types::TopicPartition;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const MEGABYTE: f64 = 1024.0 * 1024.0;
const POLL: Duration = Duration::from_millis(100);

/// Runs the tool.
pub(crate) fn run(arguments: &[String], console: &mut Console) -> i32 {
    match work(arguments, console) {
        Ok(()) => 0,
        Err(stop) => stop.tell(&OPTIONS, console),
    }
}

fn work(arguments: &[String], console: &mut Console) -> Result<(), Stop> {
    let parsed = OPTIONS.parse(arguments).map_err(|error| Stop::Usage(error.to_string()))?;
    options::check(&parsed, console)?;
    if !parsed.has("hide-header") {
        let times = if parsed.has("show-detailed-stats") { "time, threadId" } else { "start.time, end.time" };
        console.line(&format!(
            "{times}, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, rebalance.time.ms, fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec"
        ));
    }
    let options = PerfOptions::new(&parsed, std::process::id())?;
    let done = block_on_threads(measure(&options, console)).map_err(|error| Stop::Message(error.to_string()))?;
    // Java tells of an exception by its message, and then all of it.
    done.map_err(|exception| {
        let message = exception.split_once(": ").map_or(exception.as_str(), |(_, message)| message);
        Stop::Message(format!("{message}\n{exception}"))
    })
}

/// How long the group took to give out its partitions.
struct Joining {
    started: i64,
    assigned: BTreeSet<TopicPartition>,
    all_ms: i64,
    /// Since the last report.
    round_ms: i64,
}

impl Joining {
    fn take(&mut self, rebalance: &Rebalance) {
        match rebalance {
            Rebalance::Revoked(partitions) | Rebalance::Lost(partitions) => {
                self.assigned.retain(|partition| !partitions.contains(partition));
                if self.assigned.is_empty() {
                    self.started = now_ms();
                }
            }
            Rebalance::Assigned(partitions) => {
                if self.assigned.is_empty() {
                    let elapsed = now_ms() - self.started;
                    self.all_ms += elapsed;
                    self.round_ms += elapsed;
                }
                self.assigned.extend(partitions.iter().cloned());
            }
        }
    }
}

/// What was read.
#[derive(Clone, Copy, Default)]
struct Read {
    records: u64,
    bytes: u64,
}

impl Read {
    fn add(&mut self, record: &ConsumerRecord) {
        let length = |bytes: &Option<bytes::Bytes>| bytes.as_ref().map_or(0, bytes::Bytes::len) as u64;
        self.records += 1;
        self.bytes += length(&record.key) + length(&record.value);
    }

    fn megabytes(self) -> f64 {
        self.bytes as f64 / MEGABYTE
    }
}

async fn measure(options: &PerfOptions, console: &mut Console) -> Result<(), String> {
    let mut consumer = consumer(&options.settings)?;
    let started = now_ms();
    let joining = Joining { started, assigned: BTreeSet::new(), all_ms: 0, round_ms: 0 };
    let joining = Arc::new(Mutex::new(joining));
    let listening = joining.clone();
    consumer.set_rebalance_listener(Box::new(move |rebalance| {
        listening.lock().unwrap_or_else(PoisonError::into_inner).take(rebalance);
    }));
    match &options.source {
        Source::Topic(topic) => consumer.subscribe([topic.as_str()]),
        Source::Matching(pattern) => {
            let pattern = pattern.clone();
            consumer.subscribe_matching(move |topic| pattern.is_match(topic))
        }
    }
    .map_err(|error| java::exception(&error))?;
    let read = consume(&mut consumer, options, &joining, console).await?;
    let ended = now_ms();
    if !options.is_detailed {
        let join_ms = joining.lock().unwrap_or_else(PoisonError::into_inner).all_ms;
        total(read, started, ended, join_ms, options, console);
    }
    if options.prints_metrics {
        let client = options.settings.get("client.id").map_or("", String::as_str);
        print_metrics(&metrics(read), client, console);
    }
    // The figures are told; a group that can't be left in good order changes nothing about them.
    let _ = consumer.close().await;
    Ok(())
}

async fn consume(
    consumer: &mut Consumer,
    options: &PerfOptions,
    joining: &Mutex<Joining>,
    console: &mut Console,
) -> Result<Read, String> {
    let mut read = Read::default();
    let mut reported = Report { at: now_ms(), read };
    let mut last_record = Instant::now();
    while read.records < options.records && last_record.elapsed() <= options.timeout {
        let records = consumer.poll(POLL).await.map_err(|error| java::exception(&error))?;
        let Some((first, others)) = records.split_first() else { continue };
        let now = now_ms();
        last_record = Instant::now();
        read.add(first);
        if now - reported.at >= options.interval {
            let mut joining = joining.lock().unwrap_or_else(PoisonError::into_inner);
            if options.is_detailed {
                reported.tell(read, now, joining.round_ms, options, console);
            }
            joining.round_ms = 0;
            reported = Report { at: now, read };
        }
        others.iter().for_each(|record| read.add(record));
        console.progress(&format!("{} of {} records", read.records, options.records));
    }
    if read.records < options.records {
        let timeout = options.timeout.as_millis();
        console.line(&format!(
            "WARNING: Exiting before consuming the expected number of records: timeout ({timeout} ms) exceeded. You can use the --timeout option to increase the timeout."
        ));
    }
    Ok(read)
}

/// What had been read at the last report.
struct Report {
    at: i64,
    read: Read,
}

impl Report {
    fn tell(&self, read: Read, now: i64, join_ms: i64, options: &PerfOptions, console: &mut Console) {
        let records = (read.records - self.read.records) as f64;
        let megabytes = (read.bytes - self.read.bytes) as f64 / MEGABYTE;
        let seconds = (now - self.at) as f64 / 1_000.0;
        let fetch_ms = now - self.at - join_ms;
        let fetching = |amount: f64| if fetch_ms <= 0 { 0.0 } else { amount * 1_000.0 / fetch_ms as f64 };
        console.line(&format!(
            "{}, 0, {}, {}, {}, {}, {join_ms}, {fetch_ms}, {}, {}",
            options.dates.format(now),
            decimal(read.megabytes(), 4),
            decimal(megabytes / seconds, 4),
            read.records,
            decimal(records / seconds, 4),
            decimal(fetching(megabytes), 4),
            decimal(fetching(records), 4),
        ));
        console.flush();
    }
}

fn total(read: Read, started: i64, ended: i64, join_ms: i64, options: &PerfOptions, console: &mut Console) {
    let seconds = (ended - started) as f64 / 1_000.0;
    let fetch_ms = ended - started - join_ms;
    let fetch_seconds = fetch_ms as f64 / 1_000.0;
    let (records, megabytes) = (read.records as f64, read.megabytes());
    console.line(&format!(
        "{}, {}, {}, {}, {}, {}, {join_ms}, {fetch_ms}, {}, {}",
        options.dates.format(started),
        options.dates.format(ended),
        decimal(megabytes, 4),
        decimal(megabytes / seconds, 4),
        read.records,
        decimal(records / seconds, 4),
        decimal(megabytes / fetch_seconds, 4),
        decimal(records / fetch_seconds, 4),
    ));
}

fn metrics(read: Read) -> Vec<Metric> {
    let number = |name, value: u64| Metric::number("consumer-fetch-manager-metrics", name, value as f64);
    vec![number("records-consumed-total", read.records), number("bytes-consumed-total", read.bytes)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_joining_counts_while_nothing_is_assigned() {
        let mut joining = Joining { started: now_ms() - 1_000, assigned: BTreeSet::new(), all_ms: 0, round_ms: 0 };
        let partition = |index| BTreeSet::from([TopicPartition::new("t", index)]);
        joining.take(&Rebalance::Assigned(partition(0)));
        let first = joining.all_ms;
        assert!(first >= 1_000);
        joining.started = 0;
        joining.take(&Rebalance::Assigned(partition(1)));
        joining.take(&Rebalance::Revoked(partition(0)));
        assert_eq!((joining.all_ms, joining.started), (first, 0));
        joining.take(&Rebalance::Revoked(partition(1)));
        assert!(joining.started > 0);
    }
}
