//! Deadlines of parked operations, in one ordered map driven by the node's tick.

use ottla_env::Monotonic;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Something that happens when its time has come, unless it was cancelled before.
pub(crate) trait Expire: Send + Sync {
    /// Called at most once, on the ticking thread, with no lock held.
    fn expire(self: Arc<Self>, now: Monotonic);
}

/// Names a deadline, to cancel it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TimerKey(Monotonic, u64);

#[derive(Default)]
struct Inner {
    next_sequence: u64,
    due: BTreeMap<TimerKey, Arc<dyn Expire>>,
}

/// The deadlines of one node. Bounded by what is parked: each parked operation holds one.
pub(crate) struct Timers {
    inner: Mutex<Inner>,
    wake: Box<dyn Fn() + Send + Sync>,
}

impl Timers {
    /// `wake` is called when a deadline was set that is earlier than all others, so that the ticking thread shortens
    /// its sleep.
    pub(crate) fn new(wake: Box<dyn Fn() + Send + Sync>) -> Self {
        Self { inner: Mutex::default(), wake }
    }

    /// Calls `operation` at `deadline`, unless cancelled.
    pub(crate) fn set(&self, deadline: Monotonic, operation: Arc<dyn Expire>) -> TimerKey {
        let (key, is_earliest) = {
            let mut inner = self.inner.lock();
            let key = TimerKey(deadline, inner.next_sequence);
            inner.next_sequence += 1;
            let is_earliest = inner.due.first_key_value().is_none_or(|(first, _)| key < *first);
            inner.due.insert(key, operation);
            (key, is_earliest)
        };
        if is_earliest {
            (self.wake)();
        }
        key
    }

    /// Forgets a deadline. No effect when it has passed.
    pub(crate) fn cancel(&self, key: TimerKey) {
        let cancelled = self.inner.lock().due.remove(&key);
        drop(cancelled);
    }

    /// Lets everything happen whose time has come, and says when the next deadline is.
    pub(crate) fn run_due(&self, now: Monotonic) -> Option<Monotonic> {
        loop {
            let mut inner = self.inner.lock();
            let entry = inner.due.first_entry()?;
            if entry.key().0 > now {
                return Some(entry.key().0);
            }
            let operation = entry.remove();
            drop(inner);
            operation.expire(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Expire for Count {
        fn expire(self: Arc<Self>, _now: Monotonic) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn only_what_is_due_and_not_cancelled_happens() {
        let timers = Timers::new(Box::new(|| ()));
        let count = Arc::new(Count::default());
        timers.set(Monotonic(10), count.clone());
        let cancelled = timers.set(Monotonic(11), count.clone());
        timers.set(Monotonic(20), count.clone());
        timers.cancel(cancelled);
        assert_eq!(timers.run_due(Monotonic(15)), Some(Monotonic(20)));
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert_eq!(timers.run_due(Monotonic(20)), None);
        assert_eq!(count.0.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn an_earlier_deadline_wakes_the_ticker() {
        let wakes = Arc::new(AtomicUsize::new(0));
        let counter = wakes.clone();
        let timers = Timers::new(Box::new(move || {
            counter.fetch_add(1, Ordering::Relaxed);
        }));
        let count = Arc::new(Count::default());
        timers.set(Monotonic(10), count.clone());
        timers.set(Monotonic(20), count.clone());
        timers.set(Monotonic(5), count);
        assert_eq!(wakes.load(Ordering::Relaxed), 2);
    }
}
