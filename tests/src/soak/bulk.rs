use super::latencies::Latencies;
use crate::history::{LogName, Value};
use crate::mixed_load::{created, now_ms};
use ottla_client::{
    ClientError, Consumer, ConsumerSettings, Delivery, GroupProtocol, OffsetReset, Producer, ProducerRecord,
    ProducerSettings,
};
use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The group that reads all of it.
pub const GROUP: &str = "bulk-readers";

const TOPIC: &str = "bulk";
const PARTITIONS: i32 = 6;
const PRODUCERS: u64 = 2;
const CONSUMERS: usize = 2;
const RECORD_BYTES: usize = 1024;

/// Bounds what lies on the disk.
const RETENTION: [(&str, &str); 2] = [("retention.bytes", "67108864"), ("segment.bytes", "16777216")];

/// How often records are due.
const TICK: Duration = Duration::from_millis(10);

/// Deliveries that may wait to be measured.
const UNSETTLED_MAX: usize = 200_000;

/// What the bulk's clients measure, until it is taken.
#[derive(Debug, Default)]
pub struct Measured {
    produce: Mutex<Latencies>,
    delay: Mutex<Latencies>,
    acknowledged: AtomicU64,
    failed: AtomicU64,
    is_over: AtomicBool,
    /// Records a second of all producers; 0 is as many as go.
    rate: AtomicU64,
}

fn taken(latencies: &Mutex<Latencies>) -> Latencies {
    std::mem::take(&mut *latencies.lock().unwrap_or_else(PoisonError::into_inner))
}

impl Measured {
    /// The times from due to acknowledged, and from made to read, since this was last asked.
    pub fn take(&self) -> (Latencies, Latencies) {
        (taken(&self.produce), taken(&self.delay))
    }

    /// How many records were acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// How many could not be delivered, or read.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// From now on so many records a second are sent by all together; 0 is as many as go.
    pub fn set_rate(&self, records_per_second: u64) {
        self.rate.store(records_per_second, Ordering::Relaxed);
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }
}

/// Many records at a given rate, and those who read them.
#[derive(Debug)]
pub struct Bulk {
    /// What is measured.
    pub measured: Arc<Measured>,
    /// Where the records are.
    pub logs: Vec<LogName>,
    threads: Vec<JoinHandle<()>>,
}

impl Bulk {
    /// Starts as fast as it goes.
    ///
    /// # Errors
    /// The topic can't be created.
    pub fn start(address: &str) -> io::Result<Self> {
        let logs = created(address, TOPIC, PARTITIONS, &RETENTION)?;
        let measured = Arc::new(Measured::default());
        let mut threads = Vec::new();
        for _ in 0..PRODUCERS {
            let (address, measured) = (address.to_owned(), measured.clone());
            threads.push(in_thread(move || async move { produce(&address, &measured).await }));
        }
        for _ in 0..CONSUMERS {
            let (address, measured) = (address.to_owned(), measured.clone());
            threads.push(in_thread(move || async move { consume(&address, &measured).await }));
        }
        Ok(Self { measured, logs, threads })
    }

    /// Ends all clients. Answers whether all came to a good end.
    pub fn end(self) -> bool {
        self.measured.is_over.store(true, Ordering::Relaxed);
        self.threads.into_iter().map(JoinHandle::join).all(|ended| ended.is_ok())
    }
}

fn in_thread<F: Future<Output = Result<(), ClientError>>>(work: impl FnOnce() -> F + Send + 'static) -> JoinHandle<()> {
    thread::spawn(move || {
        let ended = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| error.to_string())
            .and_then(|runtime| runtime.block_on(work()).map_err(|error| error.to_string()));
        if let Err(error) = ended {
            eprintln!("a client of the bulk ended: {error}");
        }
    })
}

async fn produce(address: &str, measured: &Arc<Measured>) -> Result<(), ClientError> {
    let producer = Producer::new(ProducerSettings::new(address))?;
    let (sender, receiver) = tokio::sync::mpsc::channel(UNSETTLED_MAX);
    let settling = tokio::spawn(settle(receiver, measured.clone()));
    let text = Value { writer: 0, number: 0 }.text(0, RECORD_BYTES);
    let mut due = Instant::now();
    let mut rest = 0.0;
    while !measured.is_over() {
        let rate = measured.rate.load(Ordering::Relaxed);
        let count = if rate == 0 {
            // As many as the buffer takes: `send` waits.
            due = Instant::now();
            tokio::task::yield_now().await;
            100
        } else {
            due += TICK;
            tokio::time::sleep_until(due.into()).await;
            rest += rate as f64 / PRODUCERS as f64 * TICK.as_secs_f64();
            let count = rest as usize;
            rest -= count as f64;
            count
        };
        for _ in 0..count {
            let delivery = producer.send(ProducerRecord::new(TOPIC).value(text.clone())).await?;
            // Measured from when it was due, so that a server that is slow is not asked less.
            if sender.send((due, delivery)).await.is_err() {
                break;
            }
        }
    }
    drop(sender);
    producer.close().await;
    let _ = settling.await;
    Ok(())
}

async fn settle(mut deliveries: tokio::sync::mpsc::Receiver<(Instant, Delivery)>, measured: Arc<Measured>) {
    while let Some((due, delivery)) = deliveries.recv().await {
        match delivery.await {
            Ok(_) => {
                measured.acknowledged.fetch_add(1, Ordering::Relaxed);
                measured.produce.lock().unwrap_or_else(PoisonError::into_inner).add(due.elapsed());
            }
            Err(_) => {
                measured.failed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

async fn consume(address: &str, measured: &Measured) -> Result<(), ClientError> {
    let settings = ConsumerSettings {
        group_protocol: GroupProtocol::Consumer,
        offset_reset: OffsetReset::Latest,
        auto_commit_interval: Duration::from_secs(1),
        poll_records_max: 5_000,
        ..ConsumerSettings::new(address).group(GROUP)
    };
    let mut consumer = Consumer::new(settings)?;
    consumer.subscribe([TOPIC])?;
    while !measured.is_over() {
        match consumer.poll(Duration::from_millis(200)).await {
            Ok(records) => {
                let now = now_ms();
                let delay = &mut *measured.delay.lock().unwrap_or_else(PoisonError::into_inner);
                for record in records {
                    delay.add(Duration::from_millis(now.saturating_sub(record.timestamp).max(0).unsigned_abs()));
                }
            }
            Err(_) => {
                measured.failed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
    consumer.close().await
}
