//! Holds a tool back to a number of records a second.

use std::time::{Duration, Instant};

/// Below this the system's clock wakes no sooner anyway: what is too early by less goes out together.
const SLEEP_MIN: Duration = Duration::from_millis(2);

/// Lets `rate` records a second pass, on average from its beginning.
pub(crate) struct Throttle {
    start: Instant,
    rate: f64,
}

impl Throttle {
    /// A negative rate holds nothing back; with the rate zero nothing follows the first record.
    pub(crate) fn new(rate: f64) -> Self {
        Self { start: Instant::now(), rate }
    }

    /// How long to wait before the next record, `sent` having been sent; `None`: for ever.
    pub(crate) fn pause(&self, sent: u64) -> Option<Duration> {
        if self.rate < 0.0 || self.rate.is_nan() {
            return Some(Duration::ZERO);
        }
        let due = Duration::try_from_secs_f64(sent as f64 / self.rate).ok()?;
        let early = due.saturating_sub(self.start.elapsed());
        Some(if early >= SLEEP_MIN { early } else { Duration::ZERO })
    }

    /// Waits until the next record may be sent.
    pub(crate) async fn wait(&self, sent: u64) {
        match self.pause(sent) {
            Some(Duration::ZERO) => {}
            Some(pause) => tokio::time::sleep(pause).await,
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_wait_as_long_as_they_are_early() {
        let throttle = Throttle::new(10.0);
        let pause = throttle.pause(100).unwrap();
        assert!(pause <= Duration::from_secs(10) && !pause.is_zero());
        assert_eq!(throttle.pause(0), Some(Duration::ZERO));
    }

    #[test]
    fn a_negative_rate_holds_nothing_back_and_zero_everything() {
        assert_eq!(Throttle::new(-1.0).pause(u64::MAX), Some(Duration::ZERO));
        assert_eq!(Throttle::new(0.0).pause(1), None);
    }
}
