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

/// What is said beside a code: as Apache Kafka, which has a sentence for what is wrong with records, and lets some codes speak
/// for themselves.
fn words(code: ErrorCode, error: &impl ToString) -> Option<String> {
    let says_all = matches!(
        code,
        ErrorCode::CorruptMessage
            | ErrorCode::MessageTooLarge
            | ErrorCode::RecordListTooLarge
            | ErrorCode::KafkaStorageError
    );
    (!says_all).then(|| error.to_string())
}

impl From<ErrorCode> for PartitionAppendError {
    fn from(code: ErrorCode) -> Self {
        Self { code, ..Self::default() }
    }
}

impl From<InvalidBatch> for PartitionAppendError {
    fn from(error: InvalidBatch) -> Self {
        let code = ErrorCode::from_code(error.error().0).unwrap_or(ErrorCode::UnknownServerError);
        Self { code, message: words(code, &error), records: error.records }
    }
}

impl From<RebuildError> for PartitionAppendError {
    fn from(error: RebuildError) -> Self {
        let code = ErrorCode::from_code(error.error().0).unwrap_or(ErrorCode::UnknownServerError);
        Self { code, message: words(code, &error), records: Vec::new() }
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
        Self { code, message: words(code, &error), records: Vec::new() }
    }
}
