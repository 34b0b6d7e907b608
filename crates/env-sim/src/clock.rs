use core::time::Duration;
use ottla_env::{Clock, Monotonic};
use ottla_types::Timestamp;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// A clock that goes only when it is told to.
#[derive(Debug)]
pub struct SimClock {
    monotonic: AtomicU64,
    wall: AtomicI64,
}

impl SimClock {
    /// A clock whose monotonic reading is 0.
    pub fn new(wall: Timestamp) -> Self {
        Self { monotonic: AtomicU64::new(0), wall: AtomicI64::new(wall.0) }
    }

    /// Lets time pass, on both clocks.
    pub fn advance(&self, duration: Duration) {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.monotonic.fetch_add(nanoseconds, Ordering::AcqRel);
        self.wall.fetch_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX), Ordering::AcqRel);
    }

    /// Sets the wall clock, as an administrator would.
    pub fn set_wall(&self, wall: Timestamp) {
        self.wall.store(wall.0, Ordering::Release);
    }
}

impl Clock for SimClock {
    fn monotonic(&self) -> Monotonic {
        Monotonic(self.monotonic.load(Ordering::Acquire))
    }

    fn wall(&self) -> Timestamp {
        Timestamp(self.wall.load(Ordering::Acquire))
    }
}
