//! DeleteRecords that wait until all live replicas have deleted the records too.

use crate::call::Reply;
use crate::partition::Partition;
use crate::timers::{Expire, TimerKey, Timers};
use crate::waiters::Waiter;
use ottla_env::Monotonic;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::DeleteRecordsResponse;
use ottla_types::Offset;
use parking_lot::Mutex;
use std::sync::Arc;

/// A partition that is waited for: where its log is to begin on all replicas, and where its answer stands in the response.
pub(crate) struct Deleting {
    pub(crate) partition: Arc<Partition>,
    pub(crate) before: Offset,
    pub(crate) topic: usize,
    pub(crate) index: usize,
}

impl Deleting {
    /// The low watermark when it is where it has to be, or why it never will be; `None` while it is on its way.
    fn outcome(&self) -> Option<Result<Offset, ErrorCode>> {
        if self.partition.is_gone() {
            return Some(Err(ErrorCode::UnknownTopicOrPartition));
        }
        if self.partition.log.is_offline() {
            return Some(Err(ErrorCode::KafkaStorageError));
        }
        match self.partition.low_watermark() {
            None => Some(Err(ErrorCode::NotLeaderOrFollower)),
            Some(low_watermark) => (low_watermark >= self.before).then_some(Ok(low_watermark)),
        }
    }

    fn answer(&self, response: &mut DeleteRecordsResponse, outcome: Result<Offset, ErrorCode>) {
        let topic = response.topics.get_mut(self.topic);
        let Some(partition) = topic.and_then(|topic| topic.partitions.get_mut(self.index)) else { return };
        match outcome {
            Ok(low_watermark) => partition.low_watermark = low_watermark.value(),
            Err(code) => {
                partition.error_code = code.code();
                partition.low_watermark = -1;
            }
        }
    }

    /// As in Apache Kafka, what timed out says how far it was at first.
    fn time_out(&self, response: &mut DeleteRecordsResponse) {
        let topic = response.topics.get_mut(self.topic);
        if let Some(partition) = topic.and_then(|topic| topic.partitions.get_mut(self.index)) {
            partition.error_code = ErrorCode::RequestTimedOut.code();
        }
    }
}

struct Work {
    reply: Reply,
    response: DeleteRecordsResponse,
    waiting: Vec<Deleting>,
}

/// A parked DeleteRecords. Whoever takes its work out answers it: a follower's fetch, a change of a partition or of a broker, or
/// its deadline.
pub(crate) struct DelayedDeleteRecords {
    timers: Arc<Timers>,
    work: Mutex<Option<Work>>,
    parked: Mutex<Parking>,
}

#[derive(Default)]
struct Parking {
    watched: Vec<Arc<Partition>>,
    timer: Option<TimerKey>,
}

impl DelayedDeleteRecords {
    /// Parks an answer until all replicas of each partition have followed, or until `deadline`. Answers at once where there is
    /// nothing to wait for.
    pub(crate) fn park(
        timers: &Arc<Timers>,
        deadline: Monotonic,
        reply: Reply,
        mut response: DeleteRecordsResponse,
        mut waiting: Vec<Deleting>,
    ) {
        settle(&mut response, &mut waiting);
        if waiting.is_empty() {
            return reply.send(&response);
        }
        let watched: Vec<_> = waiting.iter().map(|waiting| waiting.partition.clone()).collect();
        let delayed = Arc::new(Self {
            timers: timers.clone(),
            work: Mutex::new(Some(Work { reply, response, waiting })),
            parked: Mutex::default(),
        });
        {
            let mut parked = delayed.parked.lock();
            for partition in &watched {
                partition.waiters.add(delayed.clone());
            }
            parked.watched = watched;
            parked.timer = Some(timers.set(deadline, delayed.clone()));
        }
        // A fetch between the first look and the entry at the waiters has told nobody: look once more.
        delayed.look();
    }

    /// Answers when nothing is open any more.
    fn look(self: &Arc<Self>) {
        let done = {
            let mut work = self.work.lock();
            let Some(parked) = work.as_mut() else { return };
            settle(&mut parked.response, &mut parked.waiting);
            if parked.waiting.is_empty() { work.take() } else { None }
        };
        if let Some(work) = done {
            self.finish(work);
        }
    }

    fn finish(self: &Arc<Self>, work: Work) {
        let parked = core::mem::take(&mut *self.parked.lock());
        let waiter: Arc<dyn Waiter> = self.clone();
        for partition in parked.watched {
            partition.waiters.remove(&waiter);
        }
        if let Some(timer) = parked.timer {
            self.timers.cancel(timer);
        }
        work.reply.send(&work.response);
    }
}

/// Writes into the response what has come to an end, and leaves the rest.
fn settle(response: &mut DeleteRecordsResponse, waiting: &mut Vec<Deleting>) {
    waiting.retain(|waiting| match waiting.outcome() {
        Some(outcome) => {
            waiting.answer(response, outcome);
            false
        }
        None => true,
    });
}

impl Waiter for DelayedDeleteRecords {
    fn high_watermark_advanced(self: Arc<Self>, _bytes: u64) {}

    fn low_watermark_advanced(self: Arc<Self>) {
        self.look();
    }

    fn partition_changed(self: Arc<Self>) {
        self.look();
    }
}

impl Expire for DelayedDeleteRecords {
    fn expire(self: Arc<Self>, _now: Monotonic) {
        let taken = self.work.lock().take();
        if let Some(mut work) = taken {
            settle(&mut work.response, &mut work.waiting);
            for waiting in core::mem::take(&mut work.waiting) {
                waiting.time_out(&mut work.response);
            }
            self.finish(work);
        }
    }
}
