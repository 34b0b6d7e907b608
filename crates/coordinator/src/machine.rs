use crate::RecordCodec;
use ottla_env::{Clock, Monotonic};
use ottla_protocol::ErrorCode;
use ottla_types::{Offset, ProducerEpoch, ProducerId, Timestamp};

/// What time it is, by both clocks of the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// For timestamps in records.
    pub wall: Timestamp,
    /// For deadlines.
    pub monotonic: Monotonic,
}

impl Now {
    /// Reads both clocks.
    pub fn of(clock: &dyn Clock) -> Self {
        Self { wall: clock.wall(), monotonic: clock.monotonic() }
    }
}

/// Names a request that waits for its reply, within one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// When a reply may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// At once.
    Now,
    /// When everything that was written before it, the records of its own effects included, is committed.
    Committed,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply<R> {
    /// Whose answer it is.
    pub token: Token,
    /// The answer.
    pub response: R,
    /// When it may leave.
    pub release: Release,
}

/// Whether records are replayed after their append, or have been applied by the machine when it made them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Replaying {
    /// Replay them.
    #[default]
    Replay,
    /// Don't.
    Applied,
}

/// Whether the records of one step must be in one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Batching {
    /// All of them or none.
    #[default]
    Atomic,
    /// Each counts by itself: they may be spread over as many batches as it takes.
    Splittable,
}

/// A timer to set or cancel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimerChange<K> {
    /// Fires once after the delay; replaces the timer of the same key.
    Set {
        /// What for.
        key: K,
        /// Milliseconds from now.
        delay_ms: i64,
    },
    /// The same, but a timer of this key that runs already goes on.
    SetIfAbsent {
        /// What for.
        key: K,
        /// Milliseconds from now.
        delay_ms: i64,
    },
    /// Never fires.
    Cancel {
        /// What for.
        key: K,
    },
}

/// What a machine wants done after a step.
pub struct Effects<M: Machine> {
    /// To append, in this order.
    pub records: Vec<<M::Codec as RecordCodec>::Record>,
    /// Whether to replay them.
    pub replaying: Replaying,
    /// Whether they may be spread over batches.
    pub batching: Batching,
    /// The transaction that they belong to.
    pub producer: Option<(ProducerId, ProducerEpoch)>,
    /// Given back when they are committed or have failed.
    pub completion: Option<M::Completion>,
    /// To release.
    pub replies: Vec<Reply<M::Response>>,
    /// To carry out.
    pub timers: Vec<TimerChange<M::TimerKey>>,
}

impl<M: Machine> Default for Effects<M> {
    fn default() -> Self {
        Self {
            records: Vec::new(),
            replaying: Replaying::default(),
            batching: Batching::default(),
            producer: None,
            completion: None,
            replies: Vec::new(),
            timers: Vec::new(),
        }
    }
}

/// A replicated machine: it decides by its state, says what to write, and changes by what is written.
///
/// The shard calls it under its lock, one step at a time, and carries out the effects of each before the next.
pub trait Machine: Sized + Send + 'static {
    /// What it is asked.
    type Request: Send;
    /// What it answers.
    type Response: Send;
    /// What it wants back when records are committed.
    type Completion: Send;
    /// What its timers are for.
    type TimerKey: Ord + Clone + Send;
    /// How its records become bytes.
    type Codec: RecordCodec;

    /// Takes a request. Its token must be answered exactly once, now or in later effects.
    fn handle(&mut self, now: Timestamp, request: Self::Request, token: Token) -> Effects<Self>;

    /// A timer has fired.
    fn on_timer(&mut self, now: Timestamp, key: &Self::TimerKey) -> Effects<Self>;

    /// The records of the step that gave the completion are committed.
    fn on_committed(&mut self, now: Timestamp, completion: Self::Completion) -> Effects<Self>;

    /// They could not be written, or were not committed in time; `error` is that of the log. Records that were written
    /// but not committed in time stay in the log and may be committed later.
    fn on_append_failed(&mut self, now: Timestamp, completion: Self::Completion, error: ErrorCode) -> Effects<Self>;

    /// Applies a record that lies at the offset; with a producer it belongs to that one's transaction.
    fn replay(
        &mut self,
        now: Timestamp,
        offset: Offset,
        producer_id: Option<ProducerId>,
        record: <Self::Codec as RecordCodec>::Record,
    );

    /// Applies the marker that ends a producer's transaction.
    fn replay_transaction_end(&mut self, producer_id: ProducerId, committed: bool);

    /// The log has been replayed to its end.
    fn on_loaded(&mut self, now: Timestamp) -> Effects<Self>;

    /// The machine is about to be dropped: whoever it keeps waiting must be answered now. Only replies count.
    fn on_unloaded(&mut self) -> Effects<Self>;

    /// The answer to a request that no machine takes.
    fn refuse(request: &Self::Request, error: ErrorCode) -> Self::Response;

    /// Turns an answer that waited for its records into the error that they met.
    fn fail(response: Self::Response, error: ErrorCode) -> Self::Response;
}
