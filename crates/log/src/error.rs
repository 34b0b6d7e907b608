//! What can go wrong with a log, by what the caller must do about it.

use crate::batch::BatchFault;
use crate::format::FormatError;
use crate::producers::ProducerError;
use ottla_env::DiskError;
use ottla_types::{NodeId, Offset, TopicId, TopicPartition};
use std::path::PathBuf;

/// A place in a segment file where no batch can be read although one was made durable there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} is damaged at byte {position}, where offset {offset} should be: {fault}", path.display())]
pub struct Damage {
    /// The segment file.
    pub path: PathBuf,
    /// The byte at which the damaged batch begins.
    pub position: u64,
    /// The first offset that can't be read.
    pub offset: Offset,
    /// What is wrong there.
    pub fault: BatchFault,
}

/// Why the log can't be used, whatever is asked of it.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The disk failed in this call. After a failed write or sync the whole directory is offline from then on.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The disk is full. What was half written is undone; the same call may succeed when there is space again.
    #[error("the disk is full: {0}")]
    DiskFull(DiskError),
    /// An earlier write or sync in this directory failed, so that nothing in it can be trusted until a restart.
    #[error("the log directory {} is offline since an earlier failure", .0.display())]
    Offline(PathBuf),
    /// The log is closed or deleted.
    #[error("the log of {0} is closed")]
    Closed(TopicPartition),
    /// The log is damaged below what was durable. What is before the damage can be read; nothing can be appended.
    #[error(transparent)]
    Damaged(#[from] Damage),
}

impl StorageError {
    /// The code that clients get: KAFKA_STORAGE_ERROR, which makes them retry elsewhere or later.
    pub const fn code(&self) -> i16 {
        56
    }

    /// Whether the same may succeed later: there was no room, or no descriptor.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::DiskFull(_) => true,
            Self::Disk(error) => error.is_too_many_files(),
            Self::Offline(_) | Self::Closed(_) | Self::Damaged(_) => false,
        }
    }
}

/// Why records were not appended. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The bytes are not whole batches.
    #[error("at byte {position} of the records: {fault}")]
    Corrupt {
        /// Where, in the bytes that were given.
        position: usize,
        /// What is wrong there.
        fault: BatchFault,
    },
    /// A batch breaks a rule that its origin must keep.
    #[error("{0}")]
    InvalidRecord(&'static str),
    /// A batch is larger than `max.message.bytes`.
    #[error("a batch of {size} bytes is larger than the {max} that are allowed")]
    RecordTooLarge {
        /// Its length.
        size: usize,
        /// The configured limit.
        max: u32,
    },
    /// The batches together are larger than a segment.
    #[error("records of {size} bytes do not fit into a segment of {max}")]
    RecordBatchTooLarge {
        /// Their length.
        size: usize,
        /// The configured limit.
        max: u32,
    },
    /// The offsets of replicated records do not rise.
    #[error("the offsets of the records are out of order")]
    OffsetsOutOfOrder,
    /// Replicated records begin before the end of the log.
    #[error("records begin at {first} where the log ends at {end}")]
    UnexpectedOffset {
        /// The first offset given.
        first: Offset,
        /// The last offset given.
        last: Offset,
        /// The log end offset.
        end: Offset,
    },
    /// The producer may not append this.
    #[error(transparent)]
    Producer(#[from] ProducerError),
    /// The log can't be written.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl AppendError {
    /// The code of Kafka's protocol for this error.
    pub const fn code(&self) -> i16 {
        match self {
            Self::Corrupt { .. } => 2,
            Self::InvalidRecord(_) | Self::Producer(ProducerError::InvalidMarker(_)) => 87,
            Self::RecordTooLarge { .. } => 10,
            Self::RecordBatchTooLarge { .. } => 18,
            // Both are faults of a leader towards its follower, for which the protocol has no code.
            Self::OffsetsOutOfOrder | Self::UnexpectedOffset { .. } => -1,
            Self::Producer(ProducerError::InvalidProducerEpoch { .. }) => 47,
            Self::Producer(ProducerError::OutOfOrderSequence { .. }) => 45,
            Self::Producer(ProducerError::InvalidTransactionState(_)) => 48,
            Self::Producer(ProducerError::CoordinatorFenced { .. }) => 52,
            Self::Storage(error) => error.code(),
        }
    }
}

/// Why records were not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The offset is not in the log (OFFSET_OUT_OF_RANGE).
    #[error("offset {requested} is not in the log, which goes from {log_start} to {log_end}")]
    OffsetOutOfRange {
        /// The offset asked for.
        requested: Offset,
        /// The log start offset.
        log_start: Offset,
        /// The log end offset.
        log_end: Offset,
    },
    /// What is stored there is not a batch, or the log can't be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl ReadError {
    /// The code of Kafka's protocol for this error.
    pub const fn code(&self) -> i16 {
        match self {
            Self::OffsetOutOfRange { .. } => 1,
            Self::Storage(error) => error.code(),
        }
    }
}

impl From<DiskError> for ReadError {
    fn from(error: DiskError) -> Self {
        Self::Storage(error.into())
    }
}

impl From<Damage> for ReadError {
    fn from(damage: Damage) -> Self {
        Self::Storage(damage.into())
    }
}

/// Why a log directory can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Another process uses the directory.
    #[error("{} is in use by another process, which holds the lock of {}", .0.display(), .0.join(".lock").display())]
    Locked(PathBuf),
    /// The directory has no `meta.properties`: it must be formatted first.
    #[error("{} is not formatted: it has no meta.properties", .0.display())]
    NotFormatted(PathBuf),
    /// A file whose contents can't be built again is not as it should be.
    #[error("{}: {error}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: FormatError,
    },
    /// The directory belongs to another cluster.
    #[error(
        "{} belongs to the cluster {found}, not to {expected}: name directories of one cluster only in log.dirs",
        path.display()
    )]
    WrongCluster {
        /// The directory.
        path: PathBuf,
        /// The cluster it belongs to.
        found: String,
        /// The cluster of this node.
        expected: String,
    },
    /// The directory belongs to another node.
    #[error(
        "{} belongs to node {found}, not to {expected}: correct node.id, or give this node other directories in log.dirs",
        path.display()
    )]
    WrongNode {
        /// The directory.
        path: PathBuf,
        /// The node it belongs to.
        found: NodeId,
        /// This node.
        expected: NodeId,
    },
    /// Two directories hold the same partition, or have the same id.
    #[error("{} and {} both hold {what}", first.display(), second.display())]
    Twice {
        /// One of them.
        first: PathBuf,
        /// The other.
        second: PathBuf,
        /// What they both hold.
        what: String,
    },
    /// No directory can be used.
    #[error("no log directory is usable")]
    None,
}

/// Why a partition's log could not be made, deleted or given another topic id.
#[derive(Debug, thiserror::Error)]
pub enum PartitionError {
    /// The disk failed, or the directory is offline.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The partition's log exists under another topic id.
    #[error("the log of {partition} belongs to topic id {found}, not to {expected}")]
    InconsistentTopicId {
        /// The partition.
        partition: TopicPartition,
        /// The id in `partition.metadata`.
        found: TopicId,
        /// The id asked for.
        expected: TopicId,
    },
    /// No log directory with this id is online.
    #[error("no such log directory is online")]
    NoDirectory,
    /// The name is none that a topic can have.
    #[error("'{0}' can't be the name of a topic")]
    InvalidTopic(String),
    /// There is no such log.
    #[error("there is no log of {0}")]
    NotHere(TopicPartition),
    /// Such a log exists already.
    #[error("the log of {0} exists")]
    Exists(TopicPartition),
}
