use core::fmt;

use ottla_types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};
use thiserror::Error;

use crate::batches::{BatchError, BatchErrorKind};
use crate::compression::{DecompressError, UnknownCompression};
use crate::records::RecordsError;

/// Why a batch is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidBatch {
    /// What is wrong.
    pub kind: InvalidBatchKind,
    /// The wrong records with [`InvalidBatchKind::Records`], at most a thousand of them.
    pub records: Vec<RecordError>,
}

/// What is wrong with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidBatchKind {
    /// The bytes hold no whole batch.
    #[error("there is no record batch")]
    NoBatch,
    /// The bytes hold more than one batch.
    #[error("there is more than one record batch")]
    SeveralBatches,
    /// The bytes are not batches of format 2.
    #[error("{0}")]
    Batch(BatchError),
    /// A client must leave the base offset 0.
    #[error("the base offset must be 0, but is {0}")]
    BaseOffset(Offset),
    /// The metadata leader must have set its epoch.
    #[error("the leader epoch must be {expected}, but is {found}")]
    OtherLeaderEpoch {
        /// The epoch in the batch.
        found: LeaderEpoch,
        /// The epoch of the leader.
        expected: LeaderEpoch,
    },
    /// The batch is larger than the topic allows.
    #[error("the record batch has {bytes} bytes, but the largest allowed has {allowed}")]
    TooLarge {
        /// The size of the batch.
        bytes: usize,
        /// `max.message.bytes`.
        allowed: usize,
    },
    /// The checksum is wrong.
    #[error("the record batch is corrupt: its checksum is {stored:#010x}, that of its bytes {computed:#010x}")]
    Checksum {
        /// The CRC-32C in the batch.
        stored: u32,
        /// The CRC-32C of its bytes.
        computed: u32,
    },
    /// The attributes name a codec that does not exist.
    #[error(transparent)]
    UnknownCompression(#[from] UnknownCompression),
    /// The last offset lies before the base offset.
    #[error("the last offset delta {last_offset_delta} is negative")]
    OffsetRange {
        /// The field in the header.
        last_offset_delta: i32,
    },
    /// The record count is not positive.
    #[error("the record count {0} is not positive")]
    Count(i32),
    /// The record count and the offsets in the header contradict each other.
    #[error("the record count {count} does not fit the last offset delta {last_offset_delta}")]
    CountAndOffsets {
        /// The field in the header.
        count: i32,
        /// The field in the header.
        last_offset_delta: i32,
    },
    /// Control records are the brokers' own.
    #[error("clients may not write control records")]
    ControlByClient,
    /// The delete horizon is the cleaner's own.
    #[error("clients may not set a delete horizon")]
    DeleteHorizonByClient,
    /// A producer with an id must number its records.
    #[error("the sequence {sequence} of producer {producer_id} is negative")]
    Sequence {
        /// The base sequence.
        sequence: Sequence,
        /// The producer's id.
        producer_id: ProducerId,
    },
    /// Neither a producer's id nor -1.
    #[error("{0} is not the id of a producer")]
    ProducerId(ProducerId),
    /// A producer with an id has an epoch.
    #[error("the epoch {epoch} of producer {producer_id} is negative")]
    ProducerEpoch {
        /// The producer's epoch.
        epoch: ProducerEpoch,
        /// The producer's id.
        producer_id: ProducerId,
    },
    /// Transactions belong to producers.
    #[error("the batch belongs to a transaction, but to no producer")]
    TransactionalWithoutProducer,
    /// The records can't be read.
    #[error(transparent)]
    Unreadable(#[from] RecordsError),
    /// A record lies at another offset than its place in the batch says.
    #[error("record {index} has another offset than its place in the batch says")]
    OffsetsNotConsecutive {
        /// The record's place in the batch, from 0.
        index: i32,
    },
    /// A record of a compressed batch is larger than the topic allows.
    #[error("record {index} has {bytes} bytes, but the largest allowed has {allowed}")]
    RecordTooLarge {
        /// The record's place in the batch, from 0.
        index: i32,
        /// Its size in bytes with its length prefix.
        bytes: usize,
        /// `max.decompressed.message.bytes`, without a prefix.
        allowed: usize,
    },
    /// Single records break the topic's rules; they are named in [`InvalidBatch::records`].
    #[error("records break the rules of the topic")]
    Records,
    /// The offsets of replicated batches don't grow.
    #[error("the offsets of the record batches do not grow")]
    OffsetsOutOfOrder,
}

/// One record that breaks a rule of the topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordError {
    /// Its place in the batch, from 0: `batch_index` of a Produce answer.
    pub index: i32,
    /// What is wrong; its text is `batch_index_error_message`.
    pub kind: RecordErrorKind,
}

/// What is wrong with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RecordErrorKind {
    /// A compacted topic needs a key.
    #[error("the topic is compacted, so every record needs a key")]
    MissingKey,
    /// The timestamp is too far from now.
    #[error("the timestamp {timestamp} is not between {earliest} and {latest}")]
    TimestampOutOfRange {
        /// The timestamp of the record.
        timestamp: Timestamp,
        /// The earliest allowed.
        earliest: Timestamp,
        /// The latest allowed.
        latest: Timestamp,
    },
    /// Only a leader may say that a timestamp is that of the append.
    #[error("only a leader may set the timestamp type LogAppendTime")]
    AppendTimeByProducer,
}

impl InvalidBatch {
    /// Kafka's error code to answer with, and its name.
    pub fn error(&self) -> (i16, &'static str) {
        const CORRUPT_MESSAGE: (i16, &str) = (2, "CORRUPT_MESSAGE");
        const MESSAGE_TOO_LARGE: (i16, &str) = (10, "MESSAGE_TOO_LARGE");
        const INVALID_TIMESTAMP: (i16, &str) = (32, "INVALID_TIMESTAMP");
        const INVALID_PRODUCER_EPOCH: (i16, &str) = (47, "INVALID_PRODUCER_EPOCH");
        const UNSUPPORTED_COMPRESSION_TYPE: (i16, &str) = (76, "UNSUPPORTED_COMPRESSION_TYPE");
        const INVALID_RECORD: (i16, &str) = (87, "INVALID_RECORD");
        match &self.kind {
            InvalidBatchKind::Batch(error) => match error.kind {
                BatchErrorKind::OlderFormat { .. } => INVALID_RECORD,
                _ => CORRUPT_MESSAGE,
            },
            InvalidBatchKind::Checksum { .. } => CORRUPT_MESSAGE,
            // The producer splits its batch and tries again, which is the cure for both.
            InvalidBatchKind::TooLarge { .. }
            | InvalidBatchKind::Unreadable(RecordsError::Decompress(DecompressError::LimitExceeded { .. })) => {
                MESSAGE_TOO_LARGE
            }
            InvalidBatchKind::UnknownCompression(_)
            | InvalidBatchKind::Unreadable(RecordsError::UnknownCompression(_)) => UNSUPPORTED_COMPRESSION_TYPE,
            InvalidBatchKind::ProducerEpoch { .. } => INVALID_PRODUCER_EPOCH,
            InvalidBatchKind::Records if self.records.iter().any(RecordError::is_about_time) => INVALID_TIMESTAMP,
            _ => INVALID_RECORD,
        }
    }

    /// The number of Kafka's error code.
    pub fn error_code(&self) -> i16 {
        self.error().0
    }

    /// The name of Kafka's error code.
    pub fn error_name(&self) -> &'static str {
        self.error().1
    }
}

impl RecordError {
    fn is_about_time(&self) -> bool {
        !matches!(self.kind, RecordErrorKind::MissingKey)
    }
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl fmt::Display for InvalidBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.records.first() {
            Some(first) => write!(f, "{}: record {}: {}", self.kind, first.index, first.kind),
            None => self.kind.fmt(f),
        }
    }
}

impl std::error::Error for InvalidBatch {}

impl From<InvalidBatchKind> for InvalidBatch {
    fn from(kind: InvalidBatchKind) -> Self {
        Self { kind, records: Vec::new() }
    }
}

impl From<RecordsError> for InvalidBatch {
    fn from(error: RecordsError) -> Self {
        InvalidBatchKind::Unreadable(error).into()
    }
}
