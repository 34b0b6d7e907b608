//! Records that were sent and whose fate is not known yet: looked after without a task for each.

use ottla_client::{Delivery, RecordMetadata, Result};
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// How often fates are looked at: they are told in milliseconds.
const TICK: Duration = Duration::from_millis(1);

/// Records on their way, each with what the tool wants to know of it later. There are no more of them than the producer's
/// memory holds.
pub(crate) struct InFlight<T> {
    /// By partition, for acknowledgements of one partition come in the order of its records.
    waiting: BTreeMap<i32, VecDeque<(Delivery, T)>>,
}

impl<T> InFlight<T> {
    pub(crate) fn new() -> Self {
        Self { waiting: BTreeMap::new() }
    }

    pub(crate) fn push(&mut self, delivery: Delivery, about: T) {
        self.waiting.entry(delivery.partition()).or_default().push_back((delivery, about));
    }

    /// Hands out all records whose fate is known by now.
    pub(crate) fn settle(&mut self, mut take: impl FnMut(T, Result<RecordMetadata>)) {
        let mut context = Context::from_waker(Waker::noop());
        for partition in self.waiting.values_mut() {
            while let Some((delivery, _)) = partition.front_mut() {
                let Poll::Ready(result) = Pin::new(delivery).poll(&mut context) else { break };
                if let Some((_, about)) = partition.pop_front() {
                    take(about, result);
                }
            }
        }
    }
}

/// Waits for the work, and does something about once a millisecond meanwhile.
pub(crate) async fn ticking<T>(work: impl Future<Output = T>, mut tick: impl FnMut()) -> T {
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            // A block of its own, so that no timer is made for work that is ready at once.
            () = async { tokio::time::sleep(TICK).await } => tick(),
        }
    }
}
