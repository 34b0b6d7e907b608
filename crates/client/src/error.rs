use ottla_protocol::{DecodeError, EncodeError, ErrorCode};
use ottla_types::NodeId;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// The result of every fallible call of this crate.
pub type Result<T, E = ClientError> = std::result::Result<T, E>;

/// Why a call failed.
///
/// Calls retry by themselves whatever Kafka's rules let them retry, until their timeout; an error that a caller sees is
/// therefore final for that call. Cheap to clone: one failed request may end many waiting deliveries.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ClientError {
    /// A setting has a value that it can't have.
    #[error("invalid value '{value}' for {key}: {allowed}")]
    Setting {
        /// The setting's name, as in Kafka's client configuration.
        key: String,
        /// The value that was refused.
        value: String,
        /// What is allowed.
        allowed: String,
    },
    /// No server of `bootstrap.servers` could be reached in time.
    #[error("no bootstrap server could be reached: {reason}")]
    Bootstrap {
        /// What happened at the last server tried.
        reason: String,
    },
    /// The connection could not be made.
    #[error("can't connect to {address}: {source}")]
    Connect {
        /// `host:port`.
        address: String,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// The connection ended before the answer came. Whether the server carried out the request is not known.
    #[error("the connection to {address} was closed")]
    Disconnected {
        /// `host:port`.
        address: String,
    },
    /// The time for the call, or for one request of it, ran out.
    #[error("{what} did not finish within {} ms", after.as_millis())]
    Timeout {
        /// What was waited for.
        what: String,
        /// How long was waited.
        after: Duration,
    },
    /// The server knows no version of this request that this client knows.
    #[error("{address} does not support {api}")]
    UnsupportedApi {
        /// `host:port`.
        address: String,
        /// The request's name.
        api: &'static str,
    },
    /// The server sent bytes that are no valid answer. The connection is closed.
    #[error("malformed answer from {address}: {reason}")]
    Malformed {
        /// `host:port`.
        address: String,
        /// What was wrong with it.
        reason: String,
    },
    /// The request can't be written in the version that the server knows.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The bytes inside an answer (a subscription, an assignment) can't be read.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The server answered with an error code.
    #[error("{}", message.as_deref().unwrap_or_else(|| code.message()))]
    Api {
        /// The code.
        code: ErrorCode,
        /// The server's own words, where it sent any.
        message: Option<String>,
    },
    /// The record is larger than `max.request.size` or than `buffer.memory`.
    #[error("a record of {bytes} bytes is larger than the limit of {limit} bytes ({key})")]
    RecordTooLarge {
        /// The record's size as it would be sent.
        bytes: usize,
        /// The limit.
        limit: usize,
        /// The setting that sets the limit.
        key: &'static str,
    },
    /// The metadata names a node that it does not describe: a broker that is gone or not yet known.
    #[error("node {node} is not known")]
    UnknownNode {
        /// The node.
        node: NodeId,
    },
    /// The topic has no partition of that number.
    #[error("{topic} has no partition {partition}: it has {count}")]
    UnknownPartition {
        /// The topic.
        topic: String,
        /// The partition asked for.
        partition: i32,
        /// How many there are.
        count: usize,
    },
    /// No offset is known for the partition and `auto.offset.reset` is `none`.
    #[error("no offset for {topic}-{partition}, and auto.offset.reset is none")]
    NoOffset {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
    },
    /// Records of the partition can't be read: a checksum, a codec, a length.
    #[error("records of {topic}-{partition} at offset {offset} can't be read: {reason}")]
    CorruptRecords {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The offset that was fetched.
        offset: i64,
        /// What was wrong.
        reason: String,
    },
    /// The transaction can't be committed any more: abort it, then begin the next.
    #[error("the transaction must be aborted: {source}")]
    MustAbort {
        /// Why.
        source: Arc<ClientError>,
    },
    /// The producer can't go on: another one took its transactional id, or it is not allowed to use it. Close it.
    #[error("the producer must be closed: {source}")]
    MustClose {
        /// Why.
        source: Arc<ClientError>,
    },
    /// The record was not sent: its transaction was aborted before.
    #[error("the transaction was aborted before the record was sent")]
    TransactionAborted,
    /// The call does not fit the state of the client, such as a commit without a group.
    #[error("{0}")]
    State(&'static str),
    /// The client was closed.
    #[error("the client is closed")]
    Closed,
}

/// What a caller can do about an error (KIP-1050).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// Make the same call again: the fault may pass. The call itself retried already, until its timeout.
    Retry,
    /// Abort the transaction, then begin the next.
    AbortTransaction,
    /// Close the producer. Where another one took over, that one goes on; else a new one may be made.
    CloseProducer,
    /// Change the call, the settings or the rights: the same call fails again.
    Change,
}

impl ClientError {
    /// The error of a code without words of the server; `None` when the code is no error.
    pub(crate) fn of_code(code: i16) -> Option<Self> {
        Self::of(code, None)
    }

    /// The error of a code with the server's words; `None` when the code is no error.
    pub(crate) fn of(code: i16, message: Option<String>) -> Option<Self> {
        (code != 0).then(|| Self::Api { code: error_code(code), message })
    }

    /// The error code, where the server sent one.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Api { code, .. } => Some(*code),
            Self::MustAbort { source } | Self::MustClose { source } => source.code(),
            _ => None,
        }
    }

    /// What can be done about it.
    pub fn recovery(&self) -> Recovery {
        match self {
            Self::MustAbort { .. } => Recovery::AbortTransaction,
            Self::MustClose { .. } => Recovery::CloseProducer,
            error if error.is_retriable() => Recovery::Retry,
            _ => Recovery::Change,
        }
    }

    /// Whether a newer producer of the same transactional id took this one's place.
    pub fn is_fenced(&self) -> bool {
        matches!(self.code(), Some(ErrorCode::ProducerFenced | ErrorCode::InvalidProducerEpoch))
    }

    /// Whether the server answered with this code.
    pub fn is(&self, code: ErrorCode) -> bool {
        self.code() == Some(code)
    }

    /// Whether the same request may succeed later: a broken connection, a request that timed out, a retriable code.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Api { code, .. } => code.is_retriable(),
            Self::Connect { .. }
            | Self::Disconnected { .. }
            | Self::Timeout { .. }
            | Self::Bootstrap { .. }
            | Self::UnknownNode { .. } => true,
            _ => false,
        }
    }
}

/// The code's meaning; a code that this release does not know is an unknown server error.
pub(crate) fn error_code(code: i16) -> ErrorCode {
    ErrorCode::from_code(code).unwrap_or(ErrorCode::UnknownServerError)
}

/// Succeeds for code 0, fails otherwise.
pub(crate) fn check(code: i16) -> Result<()> {
    ClientError::of_code(code).map_or(Ok(()), Err)
}
