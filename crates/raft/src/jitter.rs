use core::time::Duration;

/// The machine's only source of chance: the spread of election timeouts, and which bootstrap server is asked. It starts
/// from a number that the host gives, so that the same events lead to the same effects. (SplitMix64: one word of state,
/// every seed is good.)
#[derive(Clone, Debug)]
pub(crate) struct Jitter(u64);

impl Jitter {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 when that is 0. The bias is below 2^-32 for the small bounds in use.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.next() % bound }
    }

    /// Once to twice `base`, in milliseconds, and never nothing: a timeout of nothing would be no wait at all.
    pub(crate) fn spread(&mut self, base: Duration) -> Duration {
        let base_ms = u64::try_from(base.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(base_ms.saturating_add(self.below(base_ms)).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_spread_over_once_to_twice_its_length() {
        let mut jitter = Jitter::new(7);
        let all: Vec<u128> = (0..1_000).map(|_| jitter.spread(Duration::from_millis(1_000)).as_millis()).collect();
        assert!(all.iter().all(|ms| (1_000..2_000).contains(ms)));
        assert!(all.iter().any(|ms| *ms < 1_050) && all.iter().any(|ms| *ms > 1_950));
        assert_eq!(Jitter::new(1).spread(Duration::ZERO), Duration::from_millis(1));
    }

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let numbers = |seed| {
            let mut jitter = Jitter::new(seed);
            (0..5).map(|_| jitter.below(1_000)).collect::<Vec<_>>()
        };
        assert_eq!(numbers(3), numbers(3));
        assert_ne!(numbers(3), numbers(4));
    }
}
