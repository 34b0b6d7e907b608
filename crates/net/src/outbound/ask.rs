use bytes::BytesMut;
use core::time::Duration;
use thiserror::Error;

/// Where the correlation id stands in a request and in an answer, behind the length.
pub(super) const REQUEST_CORRELATION: core::ops::Range<usize> = 4..8;
pub(super) const ANSWER_CORRELATION: core::ops::Range<usize> = 0..4;

/// Makes a request for what a greeting has found out.
pub type Encode<K> = Box<dyn FnOnce(&K) -> Result<Framed, String> + Send>;

/// What is done with an answer, or with why there is none.
pub type Done = Box<dyn FnOnce(Result<Answered, AskFailure>) + Send>;

/// One request to another node. `K` is what a greeting has found out about it.
pub struct Ask<K> {
    /// Makes the request once it is known what the other side understands; an error is why that can't be done, and is the
    /// request's answer.
    pub encode: Encode<K>,
    /// How long the answer may take, counted from now. A connection whose answer is late is closed, since answers come
    /// in order.
    pub within: Duration,
    /// What is done with the answer. May give further requests; may not block.
    pub done: Done,
}

/// A request as bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Framed {
    /// The header and what follows it, without the length in front. The correlation id is filled in when it is sent.
    pub bytes: BytesMut,
    /// The version in which it is made; comes back with the answer.
    pub version: i16,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The header and what follows it, without the length in front. The correlation id has been compared.
    pub bytes: BytesMut,
    /// The version of the request.
    pub version: i16,
}

/// Why a request has no answer. Unless it says that nothing was sent, the other side may have done what was asked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AskFailure {
    /// No connection could be made; nothing was sent.
    #[error("can't be reached: {0}")]
    Unreachable(String),
    /// The host is there, and says that nobody listens: the process is not there. Nothing was sent.
    #[error("can't be reached: nobody listens there")]
    Refused,
    /// Not even the host says anything: the attempt to connect was not answered. Nothing was sent.
    #[error("can't be reached: its host says nothing")]
    Silent,
    /// The host does not acknowledge any more what is sent to it, which it does even when the process stands still.
    #[error("its host has gone silent before an answer came")]
    Lost,
    /// The connection has ended before the answer came.
    #[error("the connection has ended before an answer came")]
    Closed,
    /// The answer did not come in time.
    #[error("no answer came in time")]
    TimedOut,
    /// The other side does not understand such a request; nothing was sent.
    #[error("can't be asked: {0}")]
    Unsupported(String),
    /// The other side has sent what no answer is.
    #[error("sent what no answer is: {0}")]
    Malformed(String),
    /// Too many requests wait for an answer from there; nothing was sent.
    #[error("too many requests wait for an answer from there")]
    Overloaded,
    /// This process sends nothing any more.
    #[error("this node is stopping")]
    Stopped,
}

impl AskFailure {
    /// Whether the other side can't have obeyed the request, since it has not got it.
    pub fn says_nothing_was_sent(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Refused | Self::Silent | Self::Unsupported(_) | Self::Overloaded)
    }
}
