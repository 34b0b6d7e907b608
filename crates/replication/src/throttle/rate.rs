use std::time::Duration;

/// Bytes a second over the last windows, as Apache Kafka's `SimpleRate` counts them: what was recorded in the kept windows,
/// divided by the time since the oldest of them began, but by one window at least.
///
/// It keeps at most one window more than it is asked for.
#[derive(Clone, Debug)]
pub struct WindowedRate {
    window: Duration,
    windows: usize,
    samples: Vec<Sample>,
    current: usize,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    began: Duration,
    last_event: Duration,
    sum: f64,
}

impl Sample {
    fn new(now: Duration) -> Self {
        Self { began: now, last_event: now, sum: 0.0 }
    }
}

impl WindowedRate {
    /// A rate over `windows` windows of that length.
    pub fn new(windows: usize, window: Duration) -> Self {
        Self { window, windows: windows.max(1), samples: Vec::new(), current: 0 }
    }

    /// Counts an amount.
    pub fn record(&mut self, amount: f64, now: Duration) {
        let sample = self.sample(now);
        sample.sum += amount;
        sample.last_event = now;
    }

    fn sample(&mut self, now: Duration) -> &mut Sample {
        if self.samples.is_empty() {
            self.samples.push(Sample::new(now));
        } else if now.saturating_sub(self.samples[self.current].began) >= self.window {
            // One more than asked for: the oldest is only partly within the time that counts.
            self.current = (self.current + 1) % (self.windows + 1);
            if self.current == self.samples.len() {
                self.samples.push(Sample::new(now));
            } else {
                self.samples[self.current] = Sample::new(now);
            }
        }
        &mut self.samples[self.current]
    }

    /// The rate now.
    pub fn per_second(&mut self, now: Duration) -> f64 {
        let age_max = self.window * u32::try_from(self.windows).unwrap_or(u32::MAX);
        for sample in &mut self.samples {
            if now.saturating_sub(sample.last_event) >= age_max {
                *sample = Sample::new(now);
            }
        }
        let sum: f64 = self.samples.iter().map(|sample| sample.sum).sum();
        let oldest = self.samples.iter().map(|sample| sample.began).min().unwrap_or(now);
        sum / now.saturating_sub(oldest).max(self.window).as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_first_window_counts_as_a_whole_one() {
        let mut rate = WindowedRate::new(10, at(1_000));
        assert_eq!(rate.per_second(at(5)), 0.0);
        rate.record(500.0, at(10));
        assert_eq!(rate.per_second(at(10)), 500.0);
        assert_eq!(rate.per_second(at(510)), 500.0);
    }

    #[test]
    fn over_more_time_the_rate_is_the_mean() {
        let mut rate = WindowedRate::new(10, at(1_000));
        rate.record(500.0, at(0));
        rate.record(1_500.0, at(1_500));
        assert_eq!(rate.per_second(at(2_000)), 1_000.0);
    }

    #[test]
    fn what_is_older_than_all_windows_is_forgotten() {
        let mut rate = WindowedRate::new(2, at(1_000));
        rate.record(9_000.0, at(0));
        assert_eq!(rate.per_second(at(1_999)), 9_000.0 / 1.999);
        assert_eq!(rate.per_second(at(2_000)), 0.0);
    }

    #[test]
    fn samples_are_bounded() {
        let mut rate = WindowedRate::new(3, at(1_000));
        for second in 0..100 {
            rate.record(10.0, at(second * 1_000));
        }
        assert_eq!(rate.samples.len(), 4);
        assert_eq!(rate.per_second(at(99_500)), 30.0 / 2.5);
    }
}
