use ottla_log::{AppendError, StorageError};
use ottla_protocol::ErrorCode;
use ottla_records::{BatchErrorKind, InvalidBatch, RebuildError, RecordError};

/// Why a partition did not append a record set.
#[derive(Debug, Default)]
pub(crate) struct PartitionAppendError {
    pub(crate) code: ErrorCode,
    /// What the producer is told beside the code.
    pub(crate) message: Option<String>,
    /// The records that break a rule of the topic.
    pub(crate) records: Vec<RecordError>,
}

impl From<ErrorCode> for PartitionAppendError {
    fn from(code: ErrorCode) -> Self {
        Self { code, ..Self::default() }
    }
}

impl From<InvalidBatch> for PartitionAppendError {
    fn from(error: InvalidBatch) -> Self {
        let code = ErrorCode::from_code(error.error().0).unwrap_or(ErrorCode::UnknownServerError);
        // As Apache Kafka, which has a sentence where it names the records, and lets the other codes speak for themselves.
        let message = (!error.records.is_empty()).then(|| error.to_string());
        Self { code, message, records: error.records }
    }
}

impl From<RebuildError> for PartitionAppendError {
    fn from(error: RebuildError) -> Self {
        let code = ErrorCode::from_code(error.error().0).unwrap_or(ErrorCode::UnknownServerError);
        code.into()
    }
}

impl From<BatchErrorKind> for PartitionAppendError {
    fn from(error: BatchErrorKind) -> Self {
        tracing::info!(%error, "a producer sent a batch that can't be read");
        Self { code: ErrorCode::CorruptMessage, message: None, records: Vec::new() }
    }
}

impl From<AppendError> for PartitionAppendError {
    fn from(error: AppendError) -> Self {
        if let AppendError::Storage(StorageError::Disk(_) | StorageError::DiskFull(_)) = &error {
            tracing::error!(%error, "records can't be written");
        }
        let code = ErrorCode::from_code(error.code()).unwrap_or(ErrorCode::UnknownServerError);
        code.into()
    }
}
