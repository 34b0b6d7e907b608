//! The producer: batches, sequences, retries.

mod accumulator;
mod answer;
mod batch;
mod delivery;
mod landing;
mod metrics;
mod partitioner;
mod requests;
mod sender;
mod settings;
mod transaction;
mod transactional;

pub use delivery::{Delivery, RecordMetadata};
pub use settings::{Acks, ProducerSettings};

use crate::cluster::{AutoCreate, Cluster, ClusterMetadata};
use crate::error::{ClientError, Result};
use crate::record::ProducerRecord;
use accumulator::Accumulator;
use batch::{compression_level, record_bytes};
use delivery::Decided;
use metrics::ProducerCounters;
use ottla_protocol::ErrorCode;
use ottla_types::TopicPartition;
use parking_lot::Mutex;
use partitioner::Partitioner;
use sender::{Sender, Shared};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

/// Sends records in batches. Cheap to clone; all clones share one buffer, one identity and one order.
///
/// - Records of one partition are delivered in the order of the calls to [`send`](Self::send) that returned, retries
///   included; with idempotence (the default) each exactly once.
/// - `send` returns when the record is in the buffer; the [`Delivery`] it answers with tells its fate. When the buffer
///   is full, `send` waits: that is the back-pressure.
/// - Dropping the last clone gives up what was not sent. [`close`](Self::close) sends it first.
#[derive(Clone)]
pub struct Producer {
    handle: Arc<Handle>,
}

struct Handle {
    shared: Arc<Shared>,
    partitioner: Mutex<Partitioner>,
    memory: Arc<Semaphore>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Some(task) = self.task.lock().take() {
            task.abort();
        }
        self.shared.accumulator.lock().fail_all(&ClientError::Closed);
        self.shared.cluster.close();
    }
}

impl Producer {
    /// A producer. Must be called within a tokio runtime, on which it sends; nothing is sent yet.
    ///
    /// # Errors
    /// A setting is not allowed, or settings contradict each other.
    pub fn new(settings: ProducerSettings) -> Result<Self> {
        settings.check()?;
        let compression = compression_level(&settings)?;
        let cluster = Cluster::new(settings.client.clone())?;
        let accumulator = Accumulator::new(&settings, compression);
        // The least is one record of any size that fits the rest of the settings.
        let memory = Arc::new(Semaphore::new(settings.buffer_bytes.min(Semaphore::MAX_PERMITS)));
        let shared = Arc::new(Shared {
            settings,
            cluster,
            accumulator: Mutex::new(accumulator),
            wake: Notify::new(),
            added: Notify::new(),
            counters: ProducerCounters::default(),
        });
        let task = tokio::spawn(Sender::new(shared.clone()).run());
        let handle = Handle { shared, partitioner: Mutex::default(), memory, task: Mutex::new(Some(task)) };
        Ok(Self { handle: Arc::new(handle) })
    }

    /// The cluster that records go to.
    pub fn cluster(&self) -> &Cluster {
        &self.handle.shared.cluster
    }

    /// Puts a record into the buffer, waiting while `buffer.memory` is used up: that is the back-pressure. The fate of the
    /// record is told by the answered [`Delivery`].
    ///
    /// Dropping this future before it is ready: the record is not sent.
    ///
    /// # Errors
    /// The record can't be sent at all: it is too large, its topic or partition does not exist, the metadata or the
    /// memory could not be had within `max.block.ms`, or the producer is closed.
    pub async fn send(&self, record: ProducerRecord) -> Result<Delivery> {
        let settings = &self.handle.shared.settings;
        let deadline = Instant::now() + settings.block_max;
        let bytes = record_bytes(&record);
        if bytes > settings.request_bytes_max {
            let (limit, key) = (settings.request_bytes_max, "max.request.size");
            return Err(ClientError::RecordTooLarge { bytes, limit, key });
        }
        if bytes > settings.buffer_bytes {
            let (limit, key) = (settings.buffer_bytes, "buffer.memory");
            return Err(ClientError::RecordTooLarge { bytes, limit, key });
        }
        let metadata = self.metadata_of(&record, deadline).await?;
        let permit = self.memory(bytes, deadline).await?;
        let partition = self.partition(&record, &metadata, bytes)?;
        let timestamp = record.timestamp.unwrap_or_else(now_ms);
        let partition = TopicPartition::new(record.topic.as_str(), partition);
        let shared = &self.handle.shared;
        let (delivery, tell) =
            shared.accumulator.lock().append(&partition, &record, timestamp, permit, Instant::now())?;
        if tell {
            shared.wake.notify_one();
        }
        Ok(delivery)
    }

    /// Sends everything that is in the buffer, without lingering, and waits until each record has its fate.
    ///
    /// Dropping this future stops waiting; the records are sent all the same.
    pub async fn flush(&self) {
        let shared = &self.handle.shared;
        let fates = {
            let mut accumulator = shared.accumulator.lock();
            accumulator.flushes += 1;
            accumulator.open_fates()
        };
        // Counts down also when this future is dropped.
        let _flushing = Flushing(shared);
        shared.wake.notify_one();
        for fate in fates {
            Decided(fate, None).await;
        }
    }

    /// Sends everything that is in the buffer, waits until each record has its fate, and closes the connections. A
    /// transaction that is open is aborted. Dropping this future gives up what was not sent.
    pub async fn close(&self) {
        self.abort_at_close().await;
        self.handle.shared.accumulator.lock().is_closed = true;
        self.handle.shared.wake.notify_one();
        let task = self.handle.task.lock().take();
        if let Some(task) = task {
            let _ = task.await;
        }
        self.handle.shared.cluster.close();
    }

    /// The metadata with the record's topic in it.
    async fn metadata_of(&self, record: &ProducerRecord, deadline: Instant) -> Result<Arc<ClusterMetadata>> {
        let cluster = &self.handle.shared.cluster;
        let knows = |metadata: &ClusterMetadata| {
            let topic = metadata.topic(&record.topic);
            topic.is_some_and(|topic| !topic.partitions.is_empty())
        };
        let metadata = cluster.metadata();
        if knows(&metadata) {
            return Ok(metadata);
        }
        let mut retry = cluster.retry_for(deadline.saturating_duration_since(Instant::now()));
        loop {
            let mut topics: BTreeSet<String> = cluster.metadata().topics.keys().cloned().collect();
            topics.insert(record.topic.clone());
            let asked = cluster.refresh(Some(&topics), AutoCreate::Allowed);
            let refreshed = tokio::time::timeout(retry.left(), asked).await.unwrap_or_else(|_| {
                let what = format!("the metadata of topic {}", record.topic);
                Err(ClientError::Timeout { what, after: retry.timeout() })
            });
            let error = match refreshed {
                Ok(response) => {
                    let metadata = cluster.metadata();
                    if knows(&metadata) {
                        return Ok(metadata);
                    }
                    topic_error(&response, &record.topic)
                }
                Err(error) => error,
            };
            // A topic that is being created, or was asked for to be, is there a moment later.
            if !error.is_retriable() {
                return Err(error);
            }
            retry.pause(error).await?;
        }
    }

    async fn memory(&self, bytes: usize, deadline: Instant) -> Result<OwnedSemaphorePermit> {
        let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
        let waiting = self.handle.memory.clone().acquire_many_owned(permits);
        match tokio::time::timeout_at(deadline.into(), waiting).await {
            Ok(permit) => permit.map_err(|_| ClientError::Closed),
            Err(_) => {
                let what = "waiting for memory of the producer".to_owned();
                Err(ClientError::Timeout { what, after: self.handle.shared.settings.block_max })
            }
        }
    }

    fn partition(&self, record: &ProducerRecord, metadata: &ClusterMetadata, bytes: usize) -> Result<i32> {
        let Some(topic) = metadata.topic(&record.topic) else { return Err(unknown_topic()) };
        let count = topic.partitions.len();
        if let Some(partition) = record.partition {
            let topic = record.topic.clone();
            let known = metadata.topic(&topic).and_then(|topic| topic.partition(partition)).is_some();
            return if known { Ok(partition) } else { Err(ClientError::UnknownPartition { topic, partition, count }) };
        }
        let settings = &self.handle.shared.settings;
        match &record.key {
            Some(key) if !settings.partitioner_ignores_keys => Ok(Partitioner::by_key(key, count)),
            _ => {
                let mut partitioner = self.handle.partitioner.lock();
                Ok(partitioner.sticky(&record.topic, topic, bytes, settings.batch_bytes))
            }
        }
    }
}

struct Flushing<'a>(&'a Shared);

impl Drop for Flushing<'_> {
    fn drop(&mut self) {
        self.0.accumulator.lock().flushes -= 1;
    }
}

fn unknown_topic() -> ClientError {
    ClientError::Api { code: ErrorCode::UnknownTopicOrPartition, message: None }
}

fn topic_error(response: &ottla_protocol::messages::MetadataResponse, name: &str) -> ClientError {
    let topic = response.topics.iter().find(|topic| topic.name.as_deref() == Some(name));
    topic.and_then(|topic| ClientError::of_code(topic.error_code)).unwrap_or_else(unknown_topic)
}

/// The wall clock, in milliseconds since the epoch.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
