//! A client's line to a server that may go away at any moment, but may never keep silent.

use ottla_protocol::{ApiKey, ErrorCode};
use ottla_tests::raw::Connection;
use serde_json::Value;
use std::io::ErrorKind;
use std::time::{SystemTime, UNIX_EPOCH};

/// How a request ended that was not granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The server said no, with this code.
    Code(i64),
    /// There is no server any more.
    Gone,
}

/// What a step of a client came to.
pub(crate) type Step = Result<(), Refusal>;

#[derive(Debug)]
pub(crate) struct Line {
    address: String,
    connection: Option<Connection>,
}

impl Line {
    pub(crate) fn new(address: String) -> Self {
        Self { address, connection: None }
    }

    /// Asks, over a new connection when the last has ended.
    ///
    /// # Panics
    /// When no answer comes: that is what a server must never do.
    pub(crate) fn ask(&mut self, api: ApiKey, version: i16, body: &Value) -> Result<Value, Refusal> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(&self.address).map_err(|_| Refusal::Gone)?,
        };
        let connection = self.connection.insert(connection);
        connection.ask(api, version, body).map_err(|error| {
            let is_silent = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
            assert!(!is_silent, "no answer to {} {body}: {error}", api.name());
            self.connection = None;
            Refusal::Gone
        })
    }

    /// As [`Self::ask`], for an answer whose code is at this place.
    pub(crate) fn done(&mut self, api: ApiKey, version: i16, body: &Value, code: &str) -> Result<Value, Refusal> {
        let answer = self.ask(api, version, body)?;
        let code = answer.pointer(code).and_then(Value::as_i64).unwrap_or_else(|| panic!("no {code} in {answer}"));
        if code == 0 { Ok(answer) } else { Err(Refusal::Code(code)) }
    }
}

/// Whether a client may be told so by a server whose disk fails: that it should try elsewhere, or later.
pub(crate) fn is_honest(code: i64) -> bool {
    let honest = [
        ErrorCode::KafkaStorageError,
        ErrorCode::NotLeaderOrFollower,
        ErrorCode::LeaderNotAvailable,
        ErrorCode::CoordinatorNotAvailable,
        ErrorCode::CoordinatorLoadInProgress,
        ErrorCode::NotCoordinator,
        ErrorCode::NotController,
        ErrorCode::ConcurrentTransactions,
        ErrorCode::NotEnoughReplicas,
        ErrorCode::UnknownTopicOrPartition,
    ];
    honest.iter().any(|error| i64::from(error.code()) == code)
}

/// Microseconds since 1970, as the journal of the disk counts them.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as u64
}
