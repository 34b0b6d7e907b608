//! Answers that wait for partitions: parked until all that they wait for has come to an end, or until a deadline.

use crate::call::Reply;
use crate::partition::Partition;
use crate::timers::{Expire, TimerKey, Timers};
use crate::waiters::Waiter;
use ottla_env::Monotonic;
use ottla_protocol::Message;
use parking_lot::Mutex;
use std::sync::Arc;

/// What one part of an answer waits for.
pub(crate) trait Awaited: Send + 'static {
    /// The answer.
    type Response: Message + Send + 'static;

    /// The partition on which it depends.
    fn partition(&self) -> &Arc<Partition>;

    /// Whether it has come to an end. What came of it is in the response then.
    fn is_settled(&self, response: &mut Self::Response) -> bool;

    /// Puts into the response that it came to no end in time.
    fn time_out(&self, response: &mut Self::Response);
}

struct Work<A: Awaited> {
    reply: Reply,
    response: A::Response,
    waiting: Vec<A>,
}

impl<A: Awaited> Work<A> {
    /// Writes into the response what has come to an end, and leaves the rest.
    fn settle(&mut self) {
        let Self { response, waiting, .. } = self;
        waiting.retain(|waiting| !waiting.is_settled(response));
    }
}

/// A parked answer. Whoever takes its work out sends it: a watermark that moves, a change of a partition or of a broker, or its deadline.
pub(crate) struct Parked<A: Awaited> {
    timers: Arc<Timers>,
    work: Mutex<Option<Work<A>>>,
    entries: Mutex<Entries>,
}

/// Where the answer is entered, to be taken out there when it leaves.
#[derive(Default)]
struct Entries {
    watched: Vec<Arc<Partition>>,
    timer: Option<TimerKey>,
}

/// Parks an answer until nothing that it waits for is open any more, or until `deadline`.
pub(crate) fn park<A: Awaited>(
    timers: &Arc<Timers>,
    deadline: Monotonic,
    reply: Reply,
    response: A::Response,
    waiting: Vec<A>,
) {
    let watched: Vec<_> = waiting.iter().map(|waiting| waiting.partition().clone()).collect();
    let work = Mutex::new(Some(Work { reply, response, waiting }));
    let parked = Arc::new(Parked { timers: timers.clone(), work, entries: Mutex::default() });
    {
        let mut entries = parked.entries.lock();
        for partition in &watched {
            partition.waiters.add(parked.clone());
        }
        entries.watched = watched;
        entries.timer = Some(timers.set(deadline, parked.clone()));
    }
    // What came to an end before the entry at the waiters has told nobody: look once more.
    parked.look();
}

impl<A: Awaited> Parked<A> {
    /// Answers when nothing is open any more.
    fn look(self: &Arc<Self>) {
        let done = {
            let mut work = self.work.lock();
            let Some(parked) = work.as_mut() else { return };
            parked.settle();
            if parked.waiting.is_empty() { work.take() } else { None }
        };
        if let Some(work) = done {
            self.finish(work);
        }
    }

    fn finish(self: &Arc<Self>, work: Work<A>) {
        let entries = core::mem::take(&mut *self.entries.lock());
        let waiter: Arc<dyn Waiter> = self.clone();
        for partition in entries.watched {
            partition.waiters.remove(&waiter);
        }
        if let Some(timer) = entries.timer {
            self.timers.cancel(timer);
        }
        work.reply.send(&work.response);
    }
}

impl<A: Awaited> Waiter for Parked<A> {
    fn high_watermark_advanced(self: Arc<Self>, _bytes: u64) {
        self.look();
    }

    fn low_watermark_advanced(self: Arc<Self>) {
        self.look();
    }

    fn partition_changed(self: Arc<Self>) {
        self.look();
    }
}

impl<A: Awaited> Expire for Parked<A> {
    fn expire(self: Arc<Self>, _now: Monotonic) {
        let taken = self.work.lock().take();
        if let Some(mut work) = taken {
            work.settle();
            for waiting in core::mem::take(&mut work.waiting) {
                waiting.time_out(&mut work.response);
            }
            self.finish(work);
        }
    }
}
