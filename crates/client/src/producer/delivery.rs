use crate::error::{ClientError, Result};
use parking_lot::Mutex;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};

/// Where a record was put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordMetadata {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// The offset; -1 when it is not told (acks=0, or a duplicate of an older batch).
    pub offset: i64,
    /// The record's timestamp, which the broker may have set.
    pub timestamp: i64,
}

/// What the broker answered for a whole batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchAck {
    /// The offset of the first record; -1 when it is not told.
    pub(crate) base_offset: i64,
    /// The timestamp of all records, when the broker set it.
    pub(crate) log_append_time: Option<i64>,
}

/// The fate of the records from `first_index` up to the next part.
pub(crate) struct Part {
    first_index: i64,
    result: Result<BatchAck>,
}

/// The fate of a batch, shared by the deliveries of its records. A batch that was too large for the broker was sent in
/// parts (all of the same partition); the fate is ready when each of them has its own.
pub(crate) struct BatchOutcome {
    parts: OnceLock<Vec<Part>>,
    state: Mutex<State>,
}

struct State {
    open_parts: usize,
    decided: Vec<Part>,
    waiting: Vec<Waker>,
}

impl Default for BatchOutcome {
    fn default() -> Self {
        let state = State { open_parts: 1, decided: Vec::new(), waiting: Vec::new() };
        Self { parts: OnceLock::new(), state: Mutex::new(state) }
    }
}

impl BatchOutcome {
    /// One part became two.
    pub(crate) fn split(&self) {
        self.state.lock().open_parts += 1;
    }

    /// Decides the part that begins at `first_index`.
    pub(crate) fn decide(&self, first_index: i64, result: Result<BatchAck>) {
        let mut state = self.state.lock();
        if state.open_parts == 0 {
            return;
        }
        state.open_parts -= 1;
        state.decided.push(Part { first_index, result });
        if state.open_parts == 0 {
            let mut parts = std::mem::take(&mut state.decided);
            parts.sort_by_key(|part| part.first_index);
            let _ = self.parts.set(parts);
            state.waiting.drain(..).for_each(Waker::wake);
        }
    }

    /// Whether all of it is decided.
    pub(crate) fn is_decided(&self) -> bool {
        self.parts.get().is_some()
    }

    fn poll(&self, slot: &mut Option<usize>, context: &Context<'_>) -> Poll<&[Part]> {
        if let Some(parts) = self.parts.get() {
            return Poll::Ready(parts);
        }
        let mut state = self.state.lock();
        // Decided between the look above and the lock: the wakers are drained already.
        if let Some(parts) = self.parts.get() {
            return Poll::Ready(parts);
        }
        match slot.and_then(|index| state.waiting.get_mut(index)) {
            Some(waker) => waker.clone_from(context.waker()),
            None => {
                *slot = Some(state.waiting.len());
                state.waiting.push(context.waker().clone());
            }
        }
        Poll::Pending
    }
}

/// The fate of one record: ready when the record is acknowledged or given up. Dropping it changes nothing of that.
pub struct Delivery {
    pub(super) outcome: Arc<BatchOutcome>,
    pub(super) slot: Option<usize>,
    pub(super) topic: Arc<str>,
    pub(super) partition: i32,
    /// The record's place in its batch.
    pub(super) index: i64,
    pub(super) timestamp: i64,
}

impl Delivery {
    /// The partition that the record was put into.
    pub fn partition(&self) -> i32 {
        self.partition
    }
}

impl Future for Delivery {
    type Output = Result<RecordMetadata>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let Poll::Ready(parts) = this.outcome.poll(&mut this.slot, context) else { return Poll::Pending };
        let part = parts.iter().rev().find(|part| part.first_index <= this.index);
        let (ack, index) = match part {
            Some(Part { first_index, result: Ok(ack) }) => (ack, this.index - first_index),
            Some(Part { result: Err(error), .. }) => return Poll::Ready(Err(error.clone())),
            None => return Poll::Ready(Err(ClientError::Closed)),
        };
        Poll::Ready(Ok(RecordMetadata {
            topic: this.topic.clone(),
            partition: this.partition,
            offset: if ack.base_offset < 0 { -1 } else { ack.base_offset + index },
            timestamp: ack.log_append_time.unwrap_or(this.timestamp),
        }))
    }
}

/// Waits until a batch's fate is decided.
pub(crate) struct Decided(pub(crate) Arc<BatchOutcome>, pub(crate) Option<usize>);

impl Future for Decided {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.0.poll(&mut this.1, context).map(|_| ())
    }
}
