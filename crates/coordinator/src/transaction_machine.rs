//! The transaction coordinator as a hosted machine.

use crate::{
    Batching, CodecError, Effects, EncodedRecord, Machine, RecordCodec, Release, Replaying, Reply, TimerChange, Token,
};
use ottla_protocol::ErrorCode;
use ottla_transactions::record::{Decoded, decode, encode};
use ottla_transactions::{
    Completion, Markers, Request, Response, TimedOut, TimerKey, TransactionCoordinator, TransactionRecord,
    TransactionSettings,
};
use ottla_types::{Offset, ProducerId, Sequence, Timestamp};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;

/// What coordinators of transactions want done outside of their logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransactionWork {
    /// Markers to write; the answer is a [`Request::MarkersWritten`].
    Markers(Markers),
    /// A transaction to abort, by a [`Request::AbortTimedOut`].
    TimedOut(TimedOut),
}

/// Where the machines leave their work, for whoever hosts them to fetch after each call of the runtime: it can't be done
/// under a shard's lock. Bounded by the open and ending transactions.
#[derive(Debug, Default)]
pub struct TransactionOutbox(Mutex<VecDeque<TransactionWork>>);

impl TransactionOutbox {
    /// The work that has waited longest.
    pub fn pop(&self) -> Option<TransactionWork> {
        self.0.lock().pop_front()
    }

    fn add(&self, markers: Vec<Markers>, timed_out: Vec<TimedOut>) {
        if markers.is_empty() && timed_out.is_empty() {
            return;
        }
        let mut work = self.0.lock();
        work.extend(markers.into_iter().map(TransactionWork::Markers));
        work.extend(timed_out.into_iter().map(TransactionWork::TimedOut));
    }
}

/// The transaction coordinator of one partition of `__transaction_state`.
#[derive(Debug)]
pub struct TransactionMachine {
    /// The machine.
    pub coordinator: TransactionCoordinator,
    outbox: Arc<TransactionOutbox>,
}

impl TransactionMachine {
    /// A coordinator that knows no transactional ids yet.
    pub fn new(settings: TransactionSettings, outbox: Arc<TransactionOutbox>) -> Self {
        Self { coordinator: TransactionCoordinator::new(settings), outbox }
    }

    fn hosted(&self, effects: ottla_transactions::Effects) -> Effects<Self> {
        self.outbox.add(effects.markers, effects.timed_out);
        let reply = |reply: ottla_transactions::Reply| Reply {
            token: Token(reply.token.0),
            response: reply.response,
            release: Release::Committed,
        };
        let timer =
            |change: ottla_transactions::TimerChange| TimerChange::Set { key: change.key, delay_ms: change.delay_ms };
        Effects {
            records: effects.records,
            replaying: Replaying::Replay,
            batching: match effects.batching {
                ottla_transactions::Batching::Atomic => Batching::Atomic,
                ottla_transactions::Batching::Splittable => Batching::Splittable,
            },
            producer: None,
            completion: effects.completion,
            replies: effects.replies.into_iter().map(reply).collect(),
            timers: effects.timers.into_iter().map(timer).collect(),
        }
    }
}

/// The records of `__transaction_state`.
#[derive(Debug)]
pub struct TransactionCodec;

impl RecordCodec for TransactionCodec {
    type Record = TransactionRecord;

    const BASE_SEQUENCE: Sequence = Sequence::NONE;

    fn encode(record: &TransactionRecord) -> Result<EncodedRecord, CodecError> {
        let (key, value) = encode(record).map_err(CodecError::new)?;
        Ok(EncodedRecord { key: Some(key), value })
    }

    fn decode(key: Option<&[u8]>, value: Option<&[u8]>) -> Result<Option<TransactionRecord>, CodecError> {
        match decode(key, value).map_err(CodecError::new)? {
            Decoded::Record(record) => Ok(Some(record)),
            Decoded::UnknownType(record_type) => {
                tracing::warn!(record_type, "passed over a record of an unknown type");
                Ok(None)
            }
        }
    }
}

impl Machine for TransactionMachine {
    type Request = Request;
    type Response = Response;
    type Completion = Completion;
    type TimerKey = TimerKey;
    type Codec = TransactionCodec;

    fn handle(&mut self, now: Timestamp, request: Request, token: Token) -> Effects<Self> {
        let effects = self.coordinator.handle(now, request, ottla_transactions::Token(token.0));
        self.hosted(effects)
    }

    fn on_timer(&mut self, now: Timestamp, key: &TimerKey) -> Effects<Self> {
        let effects = self.coordinator.on_timer(now, key);
        self.hosted(effects)
    }

    fn on_committed(&mut self, now: Timestamp, completion: Completion) -> Effects<Self> {
        let effects = self.coordinator.on_committed(now, completion);
        self.hosted(effects)
    }

    fn on_append_failed(&mut self, now: Timestamp, completion: Completion, error: ErrorCode) -> Effects<Self> {
        let effects = self.coordinator.on_append_failed(now, completion, error);
        self.hosted(effects)
    }

    fn replay(
        &mut self,
        _now: Timestamp,
        _offset: Offset,
        _producer_id: Option<ProducerId>,
        record: TransactionRecord,
    ) {
        self.coordinator.replay(record);
    }

    /// Nobody writes to this log in a transaction.
    fn replay_transaction_end(&mut self, _producer_id: ProducerId, _committed: bool) {}

    fn on_loaded(&mut self, now: Timestamp) -> Effects<Self> {
        let effects = self.coordinator.on_loaded(now);
        self.hosted(effects)
    }

    /// The machine keeps nobody waiting.
    fn on_unloaded(&mut self) -> Effects<Self> {
        Effects::default()
    }

    fn refuse(request: &Request, error: ErrorCode) -> Response {
        ottla_transactions::refuse(request, error)
    }

    fn fail(response: Response, error: ErrorCode) -> Response {
        ottla_transactions::fail_response(response, error)
    }
}
