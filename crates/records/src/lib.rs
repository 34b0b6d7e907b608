//! Record batches: the bytes that lie in logs and travel in Produce and Fetch.
//!
//! A batch is looked at where it lies ([`RecordBatchView`], [`Batches`], [`Record`]), checked before it is appended
//! ([`validate_for_append`]), patched in place with its offsets ([`assign_offsets`], [`ValidatedBatch::patch`]) and
//! built anew only when somebody has records and no batch yet ([`BatchBuilder`]) or a topic wants another codec
//! ([`rebuild()`]). Nothing here reads a file, a clock or a configuration; the caller owns every context and buffer.

mod any;
mod batch;
mod batches;
mod builder;
mod compression;
mod control;
mod invalid;
mod layout;
mod legacy;
mod legacy_upgrade;
mod patch;
mod rebuild;
mod record;
mod records;
mod validate;
mod varint;

pub use any::{AnyBatch, AnyBatches, AnyRecords};
pub use batch::{RecordBatchView, TimestampType};
pub use batches::{BatchError, BatchErrorKind, Batches};
pub use builder::{BatchBuilder, BatchOptions, BuildError, RecordToWrite};
pub use compression::{
    CompressError, Compression, CompressionLevel, Compressor, DECOMPRESSED_BATCH_BYTES_MAX, DecompressError,
    Decompressor, LevelError, UnknownCompression,
};
pub use control::{ControlRecord, ControlRecordError, ControlRecordType, EndTransactionMarker};
pub use invalid::{InvalidBatch, InvalidBatchKind, RecordError, RecordErrorKind};
pub use layout::{BATCH_HEADER_BYTES, LENGTH_PREFIX_BYTES};
pub use legacy::{LegacyMessageView, LegacyRecords};
pub use patch::{assign_offsets, set_log_append_time, set_timestamps};
pub use rebuild::{RebuildError, RebuildOptions, rebuild};
pub use record::{HeaderIter, Headers, Record, RecordHeader};
pub use records::{Records, RecordsError};
pub use validate::{
    AppendAction, AppendOrigin, ReplicatedBatches, ValidatedBatch, ValidationDepth, ValidationOptions,
    validate_for_append, validate_replicated,
};
