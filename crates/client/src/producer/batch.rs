use super::delivery::{BatchAck, BatchOutcome};
use super::settings::ProducerSettings;
use crate::error::{ClientError, Result};
use crate::record::ProducerRecord;
use bytes::Bytes;
use ottla_records::{
    BatchBuilder, BatchOptions, CompressionLevel, Compressor, Decompressor, RecordBatchView, RecordToWrite,
};
use ottla_types::{ProducerEpoch, ProducerId, Sequence, Timestamp};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::OwnedSemaphorePermit;

/// What a record adds to a batch beside key, value and headers, at most.
const RECORD_OVERHEAD: usize = 40;

/// At most how many bytes the record takes in a batch.
pub(super) fn record_bytes(record: &ProducerRecord) -> usize {
    let length = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
    let headers: usize = record.headers.iter().map(|header| 10 + header.key.len() + length(&header.value)).sum();
    RECORD_OVERHEAD + length(&record.key) + length(&record.value) + headers
}

/// The codec and level of the settings.
pub(super) fn compression_level(settings: &ProducerSettings) -> Result<CompressionLevel> {
    let codec = settings.compression;
    let Some(level) = settings.compression_level else { return Ok(CompressionLevel::default_of(codec)) };
    CompressionLevel::new(codec, level).map_err(|error| ClientError::Setting {
        key: format!("compression.{codec}.level"),
        value: level.to_string(),
        allowed: error.allowed.to_owned(),
    })
}

/// Where a batch stands among the batches of its partition: in the order of `send`, parts of one batch in their order.
pub(super) type Order = (u64, i64);

/// A batch that takes records, or that is full and was not sent yet.
pub(super) struct OpenBatch {
    pub(super) id: u64,
    pub(super) builder: BatchBuilder,
    pub(super) outcome: Arc<BatchOutcome>,
    pub(super) created: Instant,
    pub(super) is_full: bool,
    permit: OwnedSemaphorePermit,
}

impl OpenBatch {
    pub(super) fn new(
        id: u64,
        compression: CompressionLevel,
        is_transactional: bool,
        permit: OwnedSemaphorePermit,
        now: Instant,
    ) -> Self {
        let options = BatchOptions { compression, is_transactional, ..BatchOptions::default() };
        Self { id, builder: BatchBuilder::new(options), outcome: Arc::default(), created: now, is_full: false, permit }
    }

    /// Takes the record in, as the one of the answered place in the batch.
    pub(super) fn append(&mut self, record: &ProducerRecord, timestamp: i64) -> Result<i64> {
        let headers: Vec<_> =
            record.headers.iter().map(|header| (header.key.as_bytes(), header.value.as_deref())).collect();
        let written = RecordToWrite {
            timestamp: Timestamp(timestamp),
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: &headers,
        };
        let index = i64::from(self.builder.count());
        self.builder.append(&written).map_err(|_| ClientError::State("the record can't be written"))?;
        Ok(index)
    }

    /// Adds the memory of one more record.
    pub(super) fn add_memory(&mut self, permit: OwnedSemaphorePermit) {
        self.permit.merge(permit);
    }

    /// Encodes it as it will be sent.
    pub(super) fn seal(self, producer: Option<BatchProducer>, compressor: &mut Compressor) -> Sealed {
        let count = self.builder.count();
        let mut builder = self.builder;
        if let Some(producer) = producer {
            builder.set_producer(producer.id, producer.epoch, producer.base_sequence);
        }
        let batch = SealedBatch {
            order: (self.id, 0),
            bytes: Bytes::new(),
            count,
            outcome: self.outcome,
            created: self.created,
            tries: 0,
            producer,
            permit: self.permit,
        };
        match builder.build(compressor) {
            Ok(bytes) => Sealed::Ready(SealedBatch { bytes, ..batch }),
            Err(_) => Sealed::Unwritable(batch),
        }
    }

    /// Gives it up before it was sent.
    pub(super) fn fail(self, error: ClientError) {
        self.outcome.decide(0, Err(error));
    }
}

/// What sealing came to.
pub(super) enum Sealed {
    Ready(SealedBatch),
    /// The codec failed: the records are given up.
    Unwritable(SealedBatch),
}

/// The identity under which a batch is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BatchProducer {
    pub(super) id: ProducerId,
    pub(super) epoch: ProducerEpoch,
    pub(super) base_sequence: Sequence,
}

/// A batch that was encoded: it is in flight, or waits to be sent again.
pub(super) struct SealedBatch {
    pub(super) order: Order,
    pub(super) bytes: Bytes,
    pub(super) count: i32,
    pub(super) outcome: Arc<BatchOutcome>,
    pub(super) created: Instant,
    pub(super) tries: u32,
    pub(super) producer: Option<BatchProducer>,
    permit: OwnedSemaphorePermit,
}

impl SealedBatch {
    /// Decides its fate and gives its memory back.
    pub(super) fn decide(self, result: Result<BatchAck>) {
        self.outcome.decide(self.order.1, result);
        drop(self.permit);
    }

    /// Writes it again under another identity. A batch that can't be read back is left as it was; the broker will
    /// refuse its stale identity.
    pub(super) fn set_producer(&mut self, producer: BatchProducer, compression: CompressionLevel) {
        self.producer = Some(producer);
        if let Some(bytes) = rewrite(&self.bytes, 0, self.count, Some(producer), compression) {
            self.bytes = bytes;
        }
    }

    /// Cuts it into two. The second half's sequences follow on those of the first, as the whole's did.
    pub(super) fn split(mut self, compression: CompressionLevel) -> Result<(Self, Self), Self> {
        let half = self.count / 2;
        if half == 0 {
            return Err(self);
        }
        let second_producer = self
            .producer
            .map(|producer| BatchProducer { base_sequence: producer.base_sequence.plus(half), ..producer });
        let first_bytes = rewrite(&self.bytes, 0, half, self.producer, compression);
        let second_bytes = rewrite(&self.bytes, half, self.count, second_producer, compression);
        let (Some(first_bytes), Some(second_bytes)) = (first_bytes, second_bytes) else { return Err(self) };
        let memory = self.permit.num_permits() / 2;
        let Some(permit) = self.permit.split(memory) else { return Err(self) };
        self.outcome.split();
        let second = Self {
            order: (self.order.0, self.order.1 + i64::from(half)),
            bytes: second_bytes,
            count: self.count - half,
            outcome: self.outcome.clone(),
            created: self.created,
            tries: 0,
            producer: second_producer,
            permit,
        };
        Ok((Self { bytes: first_bytes, count: half, ..self }, second))
    }
}

/// Writes the records from place `start` up to `end` of an encoded batch into a new one.
fn rewrite(
    bytes: &[u8],
    start: i32,
    end: i32,
    producer: Option<BatchProducer>,
    compression: CompressionLevel,
) -> Option<Bytes> {
    let view = RecordBatchView::parse(bytes).ok()?;
    // The batch is our own: it decompresses to what was once in this client's bounded memory.
    let mut decompressor = Decompressor::new(usize::MAX);
    let mut builder = BatchBuilder::new(BatchOptions {
        compression,
        is_transactional: view.is_transactional(),
        ..BatchOptions::default()
    });
    if let Some(producer) = producer {
        builder.set_producer(producer.id, producer.epoch, producer.base_sequence);
    }
    for (index, record) in (0..).zip(view.records(&mut decompressor).ok()?) {
        let record = record.ok()?;
        if !(start..end).contains(&index) {
            continue;
        }
        let headers: Vec<_> = record.headers.iter().map(|header| (header.key, header.value)).collect();
        let (timestamp, key, value) = (record.timestamp, record.key, record.value);
        builder.append(&RecordToWrite { timestamp, key, value, headers: &headers }).ok()?;
    }
    builder.build(&mut Compressor::new()).ok()
}
