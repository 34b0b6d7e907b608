use crate::{Machine, Token};
use ottla_env::Monotonic;
use ottla_types::Offset;
use std::collections::VecDeque;

/// What waits for a record to be committed.
pub(crate) struct Parked<M: Machine> {
    /// The record: all is released when the high watermark lies behind it.
    pub(crate) offset: Offset,
    /// When the wait is given up.
    pub(crate) deadline: Monotonic,
    pub(crate) replies: Vec<(Token, M::Response)>,
    pub(crate) completion: Option<M::Completion>,
}

/// Everything that waits, in the order of the records. Deadlines ascend too, since all have the same timeout.
pub(crate) struct ParkedQueue<M: Machine> {
    queue: VecDeque<Parked<M>>,
}

impl<M: Machine> ParkedQueue<M> {
    pub(crate) fn new() -> Self {
        Self { queue: VecDeque::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(crate) fn push(&mut self, parked: Parked<M>) {
        debug_assert!(self.queue.back().is_none_or(|last| last.offset <= parked.offset));
        self.queue.push_back(parked);
    }

    /// Takes the first that the high watermark has passed.
    pub(crate) fn pop_committed(&mut self, high_watermark: Offset) -> Option<Parked<M>> {
        if self.queue.front()?.offset < high_watermark { self.queue.pop_front() } else { None }
    }

    /// Takes the first whose time is over.
    pub(crate) fn pop_expired(&mut self, now: Monotonic) -> Option<Parked<M>> {
        if self.queue.front()?.deadline <= now { self.queue.pop_front() } else { None }
    }

    pub(crate) fn pop(&mut self) -> Option<Parked<M>> {
        self.queue.pop_front()
    }

    pub(crate) fn next_deadline(&self) -> Option<Monotonic> {
        self.queue.front().map(|parked| parked.deadline)
    }
}
