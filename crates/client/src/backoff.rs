use crate::random;
use std::time::Duration;

/// Pauses that double from a first to a greatest one, each spread by a fifth either way (KIP-580).
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    greatest: Duration,
    failures: u32,
}

impl Backoff {
    pub(crate) fn new(first: Duration, greatest: Duration) -> Self {
        Self { first, greatest: greatest.max(first), failures: 0 }
    }

    /// The pause before the next try; counts one more failure.
    pub(crate) fn pause(&mut self) -> Duration {
        // 2^16 times the first pause is beyond any greatest one in use, and can't overflow.
        let doubled = self.first.saturating_mul(1 << self.failures.min(16)).min(self.greatest);
        self.failures = self.failures.saturating_add(1);
        doubled.mul_f64(random::jitter())
    }

    /// How many pauses were taken.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_greatest_within_a_fifth() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(1_000));
        for expected in [100.0, 200.0, 400.0, 800.0, 1_000.0, 1_000.0] {
            let pause = backoff.pause().as_secs_f64() * 1_000.0;
            assert!(pause >= expected * 0.79 && pause <= expected * 1.21, "{pause} is not near {expected}");
        }
        assert_eq!(backoff.failures(), 6);
    }
}
