use crate::{Response, TransactionRecord, TransactionVersion};
use ottla_types::{ProducerEpoch, ProducerId, TopicPartition};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Names one request that waits for its reply. The caller chooses it; a token is never used twice at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// The answer to the request with this token. It leaves when the records of its effects, and all earlier ones, are
/// committed.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// Whose answer it is.
    pub token: Token,
    /// The answer.
    pub response: Response,
}

/// What a timer is for. There is at most one timer of each key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TimerKey {
    /// Transactions that last too long are due to be looked for.
    Timeouts,
    /// Transactional ids that nobody uses are due to be looked for.
    Expiry,
    /// What ends a transaction could not be carried out, and is to be tried again.
    Retry {
        /// The transactional id.
        transactional_id: Arc<str>,
    },
    /// The log was not committed in time after the load: wait for it once more.
    Loaded,
}

/// A timer to set. It fires once after the delay, and replaces the timer of the same key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimerChange {
    /// What for.
    pub key: TimerKey,
    /// Milliseconds from now.
    pub delay_ms: i64,
}

/// Whether the records of one step must be in one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Batching {
    /// All of them or none.
    #[default]
    Atomic,
    /// Each counts by itself; there may be very many.
    Splittable,
}

/// What the machine wants to do once records are committed, or could not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completion {
    /// The end of a transaction is decided: its markers are next.
    Prepared {
        /// The transactional id.
        transactional_id: Arc<str>,
        /// The producer of its markers.
        producer_id: ProducerId,
        /// The epoch of its markers.
        producer_epoch: ProducerEpoch,
    },
    /// A transaction is complete.
    Completed {
        /// The transactional id.
        transactional_id: Arc<str>,
    },
    /// All that the load has read.
    Loaded,
}

/// The markers of one ending transaction that are to be written now. The answer is [`crate::MarkersWritten`]; without one
/// they are not asked for again before the next load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Markers {
    /// The transactional id.
    pub transactional_id: Arc<str>,
    /// The producer.
    pub producer_id: ProducerId,
    /// The epoch that the markers bear.
    pub producer_epoch: ProducerEpoch,
    /// Whether they commit.
    pub commit: bool,
    /// The version of transactions that the markers are checked by.
    pub version: TransactionVersion,
    /// Where.
    pub partitions: BTreeSet<TopicPartition>,
}

/// A transaction that has lasted too long: [`crate::Request::AbortTimedOut`] ends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimedOut {
    /// The transactional id.
    pub transactional_id: Arc<str>,
    /// Its producer.
    pub producer_id: ProducerId,
}

/// What is to be done after a step. Records are appended first and replayed when they are in the log: they are the
/// change. If they can't be appended nothing has changed.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Effects {
    /// To append in this order.
    pub records: Vec<TransactionRecord>,
    /// Whether they must be in one batch.
    pub batching: Batching,
    /// To be given back when the records, and all earlier ones, are committed or have failed.
    pub completion: Option<Completion>,
    /// To release.
    pub replies: Vec<Reply>,
    /// To write. Never together with records.
    pub markers: Vec<Markers>,
    /// To give back as requests.
    pub timed_out: Vec<TimedOut>,
    /// To carry out at once.
    pub timers: Vec<TimerChange>,
}

impl Effects {
    pub(crate) fn reply(&mut self, token: Token, response: Response) {
        self.replies.push(Reply { token, response });
    }

    pub(crate) fn set_timer(&mut self, key: TimerKey, delay_ms: i64) {
        self.timers.push(TimerChange { key, delay_ms });
    }
}
