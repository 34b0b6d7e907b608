//! What a client sees that is not ours: librdkafka, told to wait for nothing longer than it must.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};

use crate::Failure;
use crate::admin::ms;

/// The same for both servers. Its own waits are cut short: they are not what is measured.
const SETTINGS: [(&str, &str); 12] = [
    ("enable.idempotence", "true"),
    ("acks", "all"),
    ("linger.ms", "0"),
    ("retry.backoff.ms", "2"),
    ("retry.backoff.max.ms", "10"),
    ("reconnect.backoff.ms", "2"),
    ("reconnect.backoff.max.ms", "10"),
    ("topic.metadata.refresh.fast.interval.ms", "10"),
    ("socket.timeout.ms", "500"),
    ("socket.connection.setup.timeout.ms", "1000"),
    ("socket.nagle.disable", "true"),
    ("message.timeout.ms", "120000"),
];

#[derive(Default)]
struct Seen {
    /// When each record was acknowledged, and how long after it was sent.
    acknowledged: Vec<(Instant, Duration)>,
    failed: Vec<String>,
}

struct Deliveries(Arc<Mutex<Seen>>);

impl ClientContext for Deliveries {
    // Nodes die on purpose here: what the client says of it is no news.
    fn log(&self, _level: RDKafkaLogLevel, _facility: &str, _message: &str) {}

    fn error(&self, _error: KafkaError, _reason: &str) {}
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<Instant>;

    fn delivery(&self, result: &DeliveryResult<'_>, sent: Self::DeliveryOpaque) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(_) => seen.acknowledged.push((Instant::now(), sent.elapsed())),
            Err((error, _)) => seen.failed.push(error.to_string()),
        }
    }
}

/// An idempotent producer at a fixed rate.
pub struct Writer {
    seen: Arc<Mutex<Seen>>,
    over: Arc<AtomicBool>,
    thread: JoinHandle<Result<(), Failure>>,
}

/// What it was told.
pub struct Written {
    pub acknowledged: usize,
    /// Errors that reached the application.
    pub failed: Vec<String>,
    /// The longest time without any acknowledgement, in milliseconds.
    pub gap_ms: f64,
    /// Sorted.
    latencies: Vec<Duration>,
}

impl Writer {
    /// Begins to write records of 100 bytes to the partitions in turn, `rate` of them a second.
    pub fn begin(bootstrap: &str, topic: &str, partitions: i32, rate: u32) -> Result<Self, Failure> {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", bootstrap);
        SETTINGS.iter().for_each(|(key, value)| {
            config.set(*key, *value);
        });
        let producer: ThreadedProducer<Deliveries> = config.create_with_context(Deliveries(seen.clone()))?;
        let over = Arc::new(AtomicBool::new(false));
        let (topic, ending) = (topic.to_owned(), over.clone());
        let thread = thread::spawn(move || write(&producer, &topic, partitions, rate, &ending));
        let writer = Self { seen, over, thread };
        let started = Instant::now();
        while writer.seen.lock().unwrap_or_else(PoisonError::into_inner).acknowledged.is_empty() {
            if started.elapsed() > Duration::from_secs(60) {
                return Err(Failure::from("librdkafka gets nothing acknowledged"));
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(writer)
    }

    /// Ends it, after everything that was sent is answered.
    pub fn finish(self) -> Result<Written, Failure> {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| Failure::from("the writing thread has failed"))??;
        let seen = std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner));
        let gaps = seen.acknowledged.windows(2).map(|pair| pair[1].0 - pair[0].0);
        let gap_ms = ms(gaps.max().unwrap_or_default());
        let mut latencies: Vec<Duration> = seen.acknowledged.iter().map(|(_, latency)| *latency).collect();
        latencies.sort_unstable();
        Ok(Written { acknowledged: latencies.len(), failed: seen.failed, gap_ms, latencies })
    }
}

impl Written {
    /// The latency in milliseconds that this share of the records did not exceed.
    pub fn quantile_ms(&self, quantile: f64) -> f64 {
        let index = (self.latencies.len() as f64 * quantile).ceil() as usize;
        self.latencies.get(index.saturating_sub(1)).map_or(f64::NAN, |latency| ms(*latency))
    }
}

fn write(
    producer: &ThreadedProducer<Deliveries>,
    topic: &str,
    partitions: i32,
    rate: u32,
    over: &AtomicBool,
) -> Result<(), Failure> {
    let value = [b'x'; 100];
    let start = Instant::now();
    let mut number: u32 = 0;
    while !over.load(Ordering::Relaxed) {
        let due = start + Duration::from_secs(1) * number / rate;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let sent = Box::new(Instant::now());
        let record = BaseRecord::<(), [u8], Box<Instant>>::with_opaque_to(topic, sent);
        let record = record.partition(number as i32 % partitions).payload(&value[..]);
        match producer.send(record) {
            Ok(()) => number += 1,
            // Its back-pressure while nothing is acknowledged.
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                thread::sleep(Duration::from_millis(1));
            }
            Err((error, _)) => return Err(error.into()),
        }
    }
    Ok(producer.flush(Duration::from_secs(120))?)
}
