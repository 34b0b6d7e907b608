//! Hosts that say nothing any more: dead machines, and those that a network does not reach any more.

use core::time::Duration;

/// An attempt to connect is made anew at least so often, so that a network that works again is noticed.
const ATTEMPT_MAX: Duration = Duration::from_secs(1);
/// The attempts get twice as much time each, so often at most.
const DOUBLINGS_MAX: u32 = 8;

/// How a host is noticed that says nothing any more.
///
/// The operating system of a host acknowledges what arrives, whatever its processes do: one that stands still, or is slow, is
/// not silent. While an answer is waited for, something is sent now and then, so that there is something to acknowledge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silence {
    /// While an answer is waited for and nothing comes, the greeting is sent again so often.
    pub pulse: Duration,
    /// A connection ends when something that was sent is not acknowledged within this time.
    pub unacknowledged_max: Duration,
    /// How long the first attempt to connect may go unanswered. Doubled with each failure in a row.
    pub unanswered_max: Duration,
}

impl Silence {
    /// The parts of which `whole` consists: from the last sign of life over a connection that ends to the next one that is not made.
    pub fn within(whole: Duration) -> Self {
        Self { pulse: whole / 6, unacknowledged_max: whole * 7 / 12, unanswered_max: whole / 4 }
    }

    pub(super) fn unanswered_within(&self, failures: u32) -> Duration {
        let doubled = self.unanswered_max.saturating_mul(1 << failures.min(DOUBLINGS_MAX));
        doubled.min(ATTEMPT_MAX.max(self.unanswered_max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_are_no_longer_than_the_whole() {
        let ms = Duration::from_millis;
        let silence = Silence::within(ms(900));
        assert_eq!((silence.pulse, silence.unacknowledged_max, silence.unanswered_max), (ms(150), ms(525), ms(225)));
    }

    #[test]
    fn attempts_get_more_time_until_that_would_hide_that_the_network_works_again() {
        let ms = Duration::from_millis;
        let times =
            |whole| [0, 1, 2, 3, u32::MAX].map(|failures| Silence::within(ms(whole)).unanswered_within(failures));
        assert_eq!(times(900), [225, 450, 900, 1_000, 1_000].map(ms));
        assert_eq!(times(8_000), [2_000; 5].map(ms));
    }
}
