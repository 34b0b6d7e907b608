//! What is measured.

use std::thread;
use std::time::{Duration, Instant};

use crate::Failure;
use crate::awake::Awake;
use crate::broker::{Broker, Kind};
use crate::load::{Shape, closed_loop, open_loop};
use crate::report::{Better, Report};
use crate::wire::{Batch, Client, fetch, fetched_bytes, produce, produce_all};

/// How much is done of everything.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    pub rounds: usize,
    /// How long an idle broker is watched.
    pub idle: Duration,
    /// How long the Java machine is warmed up.
    pub warm_up: Duration,
    /// The number of requests is divided by this.
    pub divisor: usize,
    /// How long a fixed rate is kept.
    pub open_loop: Duration,
}

impl Effort {
    pub const FULL: Self = Self {
        rounds: 3,
        idle: Duration::from_secs(3),
        warm_up: Duration::from_secs(20),
        divisor: 1,
        open_loop: Duration::from_secs(5),
    };
    pub const QUICK: Self = Self {
        rounds: 1,
        idle: Duration::from_secs(1),
        warm_up: Duration::from_secs(6),
        divisor: 4,
        open_loop: Duration::from_secs(2),
    };
}

const PARTITIONS: i32 = 1000;
/// Requests a second at which latencies are taken.
const RATES: [u32; 2] = [1_000, 10_000];

/// The size of a batch and how it is sent.
#[derive(Clone, Copy)]
struct Sending {
    name: &'static str,
    batch_bytes: usize,
    shape: Shape,
    requests: usize,
}

const SENDINGS: [Sending; 4] = [
    Sending { name: "1 record a request, 1 connection", batch_bytes: 1, shape: shape(1, 1), requests: 10_000 },
    Sending { name: "1 record a request, 16 connections", batch_bytes: 1, shape: shape(16, 1), requests: 40_000 },
    Sending { name: "16 KiB batches, 5 in flight", batch_bytes: 16 << 10, shape: shape(1, 5), requests: 8_000 },
    // What kafka-clients takes for the largest request still has room for its header.
    Sending { name: "1 MiB batches, 5 in flight", batch_bytes: 1_000_000, shape: shape(1, 5), requests: 400 },
];

const fn shape(connections: usize, window: usize) -> Shape {
    Shape { connections, window }
}

const VALUES: [(usize, &str); 2] = [(100, "100 B"), (1024, "1 KiB")];
const ACKS: [(i16, &str); 2] = [(1, "acks=1"), (-1, "acks=all")];

/// A broker that does nothing, without partitions and with many.
pub fn idle(broker: &Broker, effort: &Effort, report: &mut Report) -> Result<(), Failure> {
    report.add(broker.kind, "start to first acknowledged produce", "ms", Better::Less, broker.start_ms);
    rest(broker, effort, report, "0 partitions")?;
    let mut client = broker.connect()?;
    let started = Instant::now();
    client.create_topic("idle", PARTITIONS)?;
    let request = produce_all("idle", 0..PARTITIONS, -1, &Batch::new(100, 1)?)?;
    client.produce_until_acknowledged(&request, Duration::from_secs(60))?;
    let what = "create 1,000 partitions until each took a record";
    report.add(broker.kind, what, "ms", Better::Less, started.elapsed().as_secs_f64() * 1e3);
    rest(broker, effort, report, "1,000 partitions")
}

fn rest(broker: &Broker, effort: &Effort, report: &mut Report, with: &str) -> Result<(), Failure> {
    thread::sleep(effort.idle);
    let (before, since) = (broker.process.processor_seconds()?, Instant::now());
    thread::sleep(effort.idle);
    let share = (broker.process.processor_seconds()? - before) / since.elapsed().as_secs_f64();
    // Less than this can't be told from nothing.
    let percent = (share * 100.0).max(0.001);
    report.add(broker.kind, &format!("idle, {with}: processor time"), "% of a core", Better::Less, percent);
    let memory = broker.process.resident_mib()?;
    report.add(broker.kind, &format!("idle, {with}: resident memory"), "MiB", Better::Less, memory);
    Ok(())
}

/// Work until the Java machine has compiled what is used.
pub fn warm_up(broker: &Broker, effort: &Effort) -> Result<(), Failure> {
    let time = if broker.kind == Kind::Kafka { effort.warm_up } else { effort.warm_up / 10 };
    let until = Instant::now() + time;
    let mut number = 0;
    let mut unrecorded = Report::default();
    while Instant::now() < until {
        number += 1;
        for sending in [SENDINGS[1], SENDINGS[2]] {
            let topic = format!("warm-{number}-{}", sending.batch_bytes);
            produce_cell(broker, &topic, sending, 1, &Batch::new(100, sending.batch_bytes)?, 4)?;
            fetch_cell(broker, &topic, &Batch::new(100, sending.batch_bytes)?, 256 << 20)?;
            broker.connect()?.delete_topic(&topic)?;
        }
        latency(broker, 1000, Duration::from_secs(1), "", &mut unrecorded)?;
    }
    Ok(())
}

/// All cells of produce and fetch of one round, the brokers taking turns in each.
pub fn load(brokers: &[&Broker], round: usize, effort: &Effort, report: &mut Report) -> Result<(), Failure> {
    for (value_bytes, value) in VALUES {
        for sending in SENDINGS {
            let batch = Batch::new(value_bytes, sending.batch_bytes)?;
            for (acks, acks_name) in ACKS {
                let name = format!("produce {value}, {}, {acks_name}", sending.name);
                for (turn, broker) in brokers.iter().enumerate() {
                    let topic = format!("load-{round}-{turn}-{value_bytes}-{}-{acks}", sending.batch_bytes);
                    let topic = format!("{topic}-{}", sending.shape.connections);
                    let used = produce_cell(broker, &topic, sending, acks, &batch, effort.divisor)?;
                    used.report(broker.kind, &name, &batch, report);
                    // What the last one of these has written is fetched.
                    if acks == -1 && sending.shape.connections == 1 {
                        let bytes = if sending.batch_bytes == 1 { 128 << 20 } else { 2 << 30 } / effort.divisor;
                        let used = fetch_cell(broker, &topic, &batch, bytes)?;
                        let stored = sending.name.split(',').next().unwrap_or_default();
                        used.report(broker.kind, &format!("fetch {value}, stored as {stored}"), &batch, report);
                    }
                    broker.connect()?.delete_topic(&topic)?;
                }
            }
        }
    }
    for broker in brokers {
        let memory = broker.process.resident_mib()?;
        report.add(broker.kind, "resident memory under load", "MiB", Better::Less, memory);
    }
    Ok(())
}

/// Latencies at fixed rates.
pub fn latencies(brokers: &[&Broker], effort: &Effort, report: &mut Report) -> Result<(), Failure> {
    for rate in RATES {
        for broker in brokers {
            latency(broker, rate, effort.open_loop, "", report)?;
        }
    }
    let _awake = Awake::begin()?;
    for rate in RATES {
        for broker in brokers {
            latency(broker, rate, effort.open_loop, ", processors kept awake", report)?;
        }
    }
    Ok(())
}

fn latency(broker: &Broker, rate: u32, time: Duration, how: &str, report: &mut Report) -> Result<(), Failure> {
    let mut client = broker.connect()?;
    let topic = format!("latency-{rate}");
    client.create_topic(&topic, 1)?;
    let request = produce(&topic, 0, -1, &Batch::new(1024, 1)?)?;
    client.produce_until_acknowledged(&request, Duration::from_secs(10))?;
    let mut before = 0.0;
    let run = open_loop(broker.port, &request, 4, rate, time, || {
        before = broker.process.processor_seconds()?;
        Ok(())
    })?;
    let share = (broker.process.processor_seconds()? - before) / run.elapsed.as_secs_f64();
    client.delete_topic(&topic)?;
    let name = format!("produce 1 KiB at {rate}/s, acks=all{how}");
    let kept = run.rate >= 0.995 * f64::from(rate);
    for (quantile, label) in [(0.5, "p50"), (0.99, "p99"), (0.999, "p99.9")] {
        let latency = if kept { run.quantile_ms(quantile) } else { f64::NAN };
        report.add(broker.kind, &format!("{name}: {label}"), "ms", Better::Less, latency);
    }
    report.add(broker.kind, &format!("{name}: processor time"), "% of a core", Better::Less, share * 100.0);
    Ok(())
}

/// What a broker has used for some requests.
struct Used {
    requests: usize,
    batches: usize,
    processor_seconds: f64,
    elapsed: Duration,
}

impl Used {
    fn report(&self, kind: Kind, name: &str, batch: &Batch, report: &mut Report) {
        let gigabytes = (self.batches * batch.value_bytes) as f64 / 1e9;
        let millions = (self.batches * batch.records) as f64 / 1e6;
        report.add(kind, &format!("{name}: processor time"), "s/GB", Better::Less, self.processor_seconds / gigabytes);
        let of_records = format!("{name}: processor time of records");
        report.add(kind, &of_records, "s/million", Better::Less, self.processor_seconds / millions);
        let rate = self.requests as f64 / self.elapsed.as_secs_f64();
        report.add(kind, &format!("{name}: rate"), "requests/s", Better::More, rate);
    }
}

fn produce_cell(
    broker: &Broker,
    topic: &str,
    sending: Sending,
    acks: i16,
    batch: &Batch,
    divisor: usize,
) -> Result<Used, Failure> {
    // What the one before has left the machine to write back would be paid for by this one.
    rustix::fs::sync();
    let mut client = broker.connect()?;
    client.create_topic(topic, 1)?;
    let request = produce(topic, 0, acks, batch)?;
    client.produce_until_acknowledged(&request, Duration::from_secs(10))?;
    let mut before = 0.0;
    let (requests, elapsed) = closed_loop(broker.port, &request, sending.shape, sending.requests / divisor, || {
        before = broker.process.processor_seconds()?;
        Ok(())
    })?;
    let processor_seconds = broker.process.processor_seconds()? - before;
    Ok(Used { requests, batches: requests, processor_seconds, elapsed })
}

/// Fetches `bytes` of the topic's batches, all of one kind, from its beginning and over again, as much as a consumer asks
/// for by default with each request.
fn fetch_cell(broker: &Broker, topic: &str, batch: &Batch, bytes: usize) -> Result<Used, Failure> {
    const FETCH_BYTES_MAX: i32 = 1 << 20;
    let mut client = broker.connect()?;
    let mut answer = Vec::new();
    let mut used = Used { requests: 0, batches: 0, processor_seconds: 0.0, elapsed: Duration::ZERO };
    let end = end_of(&mut client, topic, batch)?;
    let warm = bytes / 10;
    let (mut offset, mut fetched, mut before) = (0, 0, None);
    while fetched < bytes {
        let request = fetch(topic, offset, FETCH_BYTES_MAX)?;
        client.ask_into(&request, &mut answer)?;
        let batches = fetched_bytes(&answer)? / batch.bytes.len();
        if batches == 0 {
            return Err(Failure::from("a Fetch without a whole batch"));
        }
        fetched += batches * batch.bytes.len();
        offset += (batches * batch.records) as i64;
        if offset >= end {
            offset = 0;
        }
        if before.is_some() {
            used.requests += 1;
            used.batches += batches;
        } else if fetched >= warm {
            before = Some((broker.process.processor_seconds()?, Instant::now()));
        }
    }
    let (before, since) = before.ok_or_else(|| Failure::from("too little fetched to measure"))?;
    used.processor_seconds = broker.process.processor_seconds()? - before;
    used.elapsed = since.elapsed();
    Ok(used)
}

/// Where the last whole fetch of the topic may begin: the offset behind its last batch.
fn end_of(client: &mut Client, topic: &str, batch: &Batch) -> Result<i64, Failure> {
    client.end_offset(topic).map(|end| end - batch.records as i64)
}
