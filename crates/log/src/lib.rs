//! A partition's log in Kafka's own files: segments, indexes, producer state, recovery, retention.
//!
//! [`LogDirectories`] opens the log directories of a node; [`Log`] is one partition. Decisions (roll? remove? which
//! producer may append?) are pure functions on data; files are touched through the traits of `ottla-env` only. What is
//! durable when is said at each call and, as a whole, in `docs/internals/log.md`.

mod aborted;
mod append;
mod batch;
mod batch_reader;
mod change;
mod checkpoint;
mod closing;
mod compaction;
mod config;
mod context;
mod directories;
mod directory;
mod epoch_file;
mod epochs;
mod error;
mod file_cache;
pub mod format;
mod group_commit;
mod identity;
mod index_cache;
mod listing;
mod log;
mod marker;
mod moving;
pub mod names;
mod producer_recovery;
mod producers;
mod read;
mod recall;
mod recovery;
mod retention;
mod roll;
mod scan;
mod segment;
mod small_file;
mod timestamps;
mod twice;

pub use append::AppendInfo;
pub use batch::{BatchFault, BatchHeader, HEADER_LENGTH, LOG_OVERHEAD};
pub use compaction::{Compacted, CompactionSettings};
pub use config::{CleanupPolicy, LogConfig};
pub use context::Environment;
pub use directories::{DirectoriesOptions, DirectoryDescription, LogDirectories};
pub use directory::{LogDirectory, format_directory, partition_directories, read_meta_properties};
pub use epochs::LeaderEpochs;
pub use error::{AppendError, Damage, OpenError, PartitionError, ReadError, StorageError};
pub use log::{Log, LogOffsets, OffsetMetadata};
pub use moving::{Copied, FutureDescription};
pub use producers::{
    AppendOrigin, BatchMetadata, CompletedTransaction, Prepared, ProducerError, ProducerState, ProducerStates,
    TransactionCheck, TransactionVersion, VerificationGuard, VerificationRequest,
};
pub use read::{FileRange, ReadBound, ReadRequest, ReadSlice};
pub use retention::{Expired, LogFacts, RetentionReason, SegmentFacts, expired};
pub use roll::{ActiveSegment, Incoming, RollReason, roll_reason};
pub use small_file::{read_file, remove_file_if_exists, replace_file};
pub use timestamps::TimestampedOffset;
