use ottla_env::Monotonic;
use std::sync::atomic::{AtomicU64, Ordering};

/// Tells the ticking thread when a deadline has been set that is earlier than all it knew of.
pub struct Alarm {
    earliest: AtomicU64,
    wake: Box<dyn Fn() + Send + Sync>,
}

impl Alarm {
    /// `wake` is called with a shard's lock held: it must only signal.
    pub fn new(wake: Box<dyn Fn() + Send + Sync>) -> Self {
        Self { earliest: AtomicU64::new(u64::MAX), wake }
    }

    pub(crate) fn set(&self, deadline: Monotonic) {
        if self.earliest.fetch_min(deadline.0, Ordering::SeqCst) > deadline.0 {
            (self.wake)();
        }
    }

    /// The ticking thread is about to look at all deadlines itself.
    pub(crate) fn reset(&self) {
        self.earliest.store(u64::MAX, Ordering::SeqCst);
    }

    /// The ticking thread will look again at this deadline by itself.
    pub(crate) fn note(&self, deadline: Monotonic) {
        self.earliest.fetch_min(deadline.0, Ordering::SeqCst);
    }
}

impl std::fmt::Debug for Alarm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Alarm").field("earliest", &self.earliest).finish_non_exhaustive()
    }
}
