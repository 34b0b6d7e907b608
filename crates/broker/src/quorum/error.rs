use ottla_env::DiskError;
use ottla_log::{AppendError, OpenError, ReadError, StorageError};
use ottla_metadata::ReplayError;
use ottla_protocol::{DecodeError, EncodeError};
use ottla_raft::{BadBatch, MalformedControlRecord, QuorumStateError};
use ottla_records::{BatchError, BuildError, RecordsError};
use std::path::PathBuf;
use thiserror::Error;

/// Why the metadata quorum can't start or go on.
#[derive(Debug, Error)]
pub(crate) enum QuorumError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("the metadata log can't be opened: {0}")]
    Open(#[from] OpenError),
    #[error("the metadata log can't be written: {0}")]
    Append(#[from] AppendError),
    #[error("the metadata log can't be written: {0}")]
    Storage(#[from] StorageError),
    #[error("the metadata log can't be read: {0}")]
    Read(#[from] ReadError),
    #[error("a batch of {} is damaged: {error}", path.display())]
    Batch { path: PathBuf, error: BatchError },
    #[error("the records of a batch of {} can't be read: {error}", path.display())]
    Records { path: PathBuf, error: RecordsError },
    #[error("a metadata record can't be read: {0}")]
    Decode(#[from] DecodeError),
    #[error("a metadata record can't be written: {0}")]
    Encode(#[from] EncodeError),
    #[error("a metadata batch can't be built: {0}")]
    Build(#[from] BuildError),
    #[error("a control record can't be read: {0}")]
    Control(#[from] MalformedControlRecord),
    #[error("the metadata log contradicts itself: {0}")]
    Replay(#[from] ReplayError),
    #[error("{}: {error}", path.display())]
    QuorumState { path: PathBuf, error: QuorumStateError },
    #[error("{} is not text", .0.display())]
    NotText(PathBuf),
    #[error("the metadata log does not follow from its snapshot: {0}")]
    BadBatch(#[from] BadBatch),
    #[error("only a part of a decision could be written: {0}")]
    Half(Box<QuorumError>),
    #[error("the log directory {} holds no metadata; format it first with kafka-storage", .0.display())]
    NoSnapshot(PathBuf),
}
