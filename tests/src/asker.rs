use crate::raw::Connection;
use ottla_protocol::{ApiKey, ErrorCode};
use serde_json::Value;
use std::io;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a server may take until it is ready for a question.
const PATIENCE: Duration = Duration::from_secs(60);

/// A client that asks until the server is there and ready.
#[derive(Debug)]
pub struct Asker {
    address: String,
    connection: Option<Connection>,
}

impl Asker {
    /// Of the server at `host:port`, which need not be there yet.
    pub fn new(address: String) -> Self {
        Self { address, connection: None }
    }

    /// Asks, again and again while nobody listens or the coordinator or leader is not ready.
    ///
    /// # Errors
    /// The server is not ready within a minute; the last answer is in the error.
    pub fn ask(&mut self, api: ApiKey, version: i16, body: &Value) -> io::Result<Value> {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.ask_once(api, version, body) {
                Ok(answer) if !is_not_ready(&answer) => return Ok(answer),
                last if Instant::now() >= end => {
                    return Err(io::Error::other(format!("{} {body}: {last:?}", api.name())));
                }
                _ => sleep(Duration::from_millis(50)),
            }
        }
    }

    fn ask_once(&mut self, api: ApiKey, version: i16, body: &Value) -> io::Result<Value> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(&self.address)?,
        };
        let answer = connection.ask(api, version, body)?;
        self.connection = Some(connection);
        Ok(answer)
    }
}

/// Whether a server says somewhere that it is not there yet with all it has.
fn is_not_ready(answer: &Value) -> bool {
    let topics = [
        ErrorCode::NotLeaderOrFollower,
        ErrorCode::LeaderNotAvailable,
        ErrorCode::UnknownTopicOrPartition,
        ErrorCode::UnknownTopicId,
        ErrorCode::ConcurrentTransactions,
        ErrorCode::KafkaStorageError,
    ];
    has_error(answer, &NOT_READY_COORDINATOR) || has_error(answer, &topics)
}

/// The errors of a coordinator that has to be asked again.
pub(crate) const NOT_READY_COORDINATOR: [ErrorCode; 3] =
    [ErrorCode::CoordinatorLoadInProgress, ErrorCode::CoordinatorNotAvailable, ErrorCode::NotCoordinator];

/// Whether one of these errors is somewhere in an answer.
pub(crate) fn has_error(answer: &Value, errors: &[ErrorCode]) -> bool {
    match answer {
        Value::Array(list) => list.iter().any(|value| has_error(value, errors)),
        Value::Object(members) => members.iter().any(|(name, value)| {
            let is_one = || errors.iter().any(|error| value.as_i64() == Some(error.code().into()));
            has_error(value, errors) || (name.ends_with("rrorCode") && is_one())
        }),
        _ => false,
    }
}
