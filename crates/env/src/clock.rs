use core::ops::{Add, Sub};
use core::time::Duration;
use ottla_types::Timestamp;

/// A reading of the monotonic clock: nanoseconds since an arbitrary start. Never goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Monotonic(pub u64);

impl Monotonic {
    /// The time from `earlier` to this reading; zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Monotonic {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl Sub<Monotonic> for Monotonic {
    type Output = Duration;

    fn sub(self, earlier: Monotonic) -> Duration {
        self.since(earlier)
    }
}

/// The two clocks of a node.
pub trait Clock: Send + Sync + 'static {
    /// For deadlines and durations.
    fn monotonic(&self) -> Monotonic;

    /// For timestamps that leave the process: records, files. May jump.
    fn wall(&self) -> Timestamp;
}
