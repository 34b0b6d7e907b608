//! Produces whose records are appended and not yet safe enough to be acknowledged.

use crate::call::Reply;
use crate::partition::Partition;
use crate::timers::{Expire, TimerKey, Timers};
use crate::waiters::Waiter;
use ottla_env::Monotonic;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::ProduceResponse;
use ottla_protocol::messages::produce_response::PartitionProduceResponse;
use ottla_replication::Acknowledgement;
use ottla_types::Offset;
use parking_lot::Mutex;
use std::sync::Arc;

/// An append that waits: its partition, its last offset, and where its answer stands in the response.
pub(crate) struct Waiting {
    pub(crate) partition: Arc<Partition>,
    pub(crate) last_offset: Offset,
    /// Whether all replicas in sync must have it, or this one alone.
    pub(crate) of_all: bool,
    pub(crate) topic: usize,
    pub(crate) index: usize,
}

/// What is known of an append that waits.
enum Fate {
    Open,
    Acknowledged,
    Failed(ErrorCode),
}

impl Waiting {
    fn is_safe_here(&self) -> bool {
        self.partition.log.acknowledgeable_offset() > self.last_offset
    }

    fn fate(&self) -> Fate {
        if self.is_safe_here() && !self.of_all {
            return Fate::Acknowledged;
        }
        match self.partition.acknowledgement(self.last_offset).filter(|_| self.of_all) {
            Some(Acknowledgement::Done) => return Fate::Acknowledged,
            Some(Acknowledgement::TooFewReplicas) => return Fate::Failed(ErrorCode::NotEnoughReplicasAfterAppend),
            Some(Acknowledgement::Waiting) | None => {}
        }
        if self.partition.log.is_offline() {
            Fate::Failed(ErrorCode::KafkaStorageError)
        } else if self.partition.is_gone() {
            Fate::Failed(ErrorCode::UnknownTopicOrPartition)
        } else if !self.partition.leadership().is_leader {
            Fate::Failed(ErrorCode::NotLeaderOrFollower)
        } else {
            Fate::Open
        }
    }
}

struct Work {
    reply: Reply,
    response: ProduceResponse,
    waiting: Vec<Waiting>,
}

/// A parked produce. Whoever takes its work out answers it: the sync that covers the last of its records, a change of a
/// partition, or its deadline.
pub(crate) struct DelayedProduce {
    timers: Arc<Timers>,
    work: Mutex<Option<Work>>,
    parked: Mutex<Parking>,
}

#[derive(Default)]
struct Parking {
    watched: Vec<Arc<Partition>>,
    timer: Option<TimerKey>,
}

impl DelayedProduce {
    /// Parks an answer until each of its appends may be acknowledged or has failed, or until `deadline`.
    pub(crate) fn park(
        timers: &Arc<Timers>,
        deadline: Monotonic,
        reply: Reply,
        response: ProduceResponse,
        waiting: Vec<Waiting>,
    ) {
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
        // A sync that came between the append and the entry at the waiters has told nobody: look once more.
        delayed.look();
    }

    /// Answers when nothing is open any more.
    fn look(self: &Arc<Self>) {
        let done = {
            let mut work = self.work.lock();
            let Some(parked) = work.as_mut() else { return };
            let Work { response, waiting, .. } = parked;
            waiting.retain(|waiting| match waiting.fate() {
                Fate::Open => true,
                Fate::Acknowledged => false,
                Fate::Failed(code) => {
                    refuse(response, waiting, code);
                    false
                }
            });
            if waiting.is_empty() { work.take() } else { None }
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

fn refuse(response: &mut ProduceResponse, waiting: &Waiting, code: ErrorCode) {
    let topic = response.responses.get_mut(waiting.topic);
    if let Some(part) = topic.and_then(|topic| topic.partition_responses.get_mut(waiting.index)) {
        *part = PartitionProduceResponse {
            index: part.index,
            error_code: code.code(),
            base_offset: -1,
            ..Default::default()
        };
    }
}

impl Waiter for DelayedProduce {
    fn high_watermark_advanced(self: Arc<Self>, _bytes: u64) {
        self.look();
    }

    fn partition_changed(self: Arc<Self>) {
        self.look();
    }
}

impl Expire for DelayedProduce {
    fn expire(self: Arc<Self>, _now: Monotonic) {
        let taken = self.work.lock().take();
        if let Some(mut work) = taken {
            for waiting in std::mem::take(&mut work.waiting) {
                let code = match waiting.fate() {
                    Fate::Acknowledged => continue,
                    Fate::Failed(code) => code,
                    Fate::Open => ErrorCode::RequestTimedOut,
                };
                refuse(&mut work.response, &waiting, code);
            }
            self.finish(work);
        }
    }
}
