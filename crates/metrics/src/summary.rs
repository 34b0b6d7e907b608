use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// The quantiles that Kafka's histograms show, with the texts that exporters give them.
pub const QUANTILES: [(f64, &str); 6] =
    [(0.5, "0.50"), (0.75, "0.75"), (0.95, "0.95"), (0.98, "0.98"), (0.99, "0.99"), (0.999, "0.999")];

/// A power of two is divided into so many buckets, so that a quantile is off by a sixteenth at the most.
const PARTS: u64 = 8;
/// Values from this power of two on are counted as the largest below it: an hour in microseconds, 4 GiB in bytes.
const POWER_MAX: u32 = 32;
/// Up to `PARTS` each value has a bucket of its own; above, each power of two has `PARTS`.
const BUCKETS: usize = PARTS as usize * (POWER_MAX as usize - 2);

/// Quantiles are those of the time since the oldest reading that is kept: of five to six minutes when somebody reads every
/// minute or more often, as the reservoirs of Kafka's histograms weigh them.
const KEPT: usize = 6;
/// Readings are kept in this distance.
const KEPT_EVERY: Duration = Duration::from_secs(60);

/// A distribution of whole numbers. Feeding it takes two relaxed additions and no lock; whoever reads it pays for the rest.
#[derive(Debug)]
pub struct Summary {
    buckets: [AtomicU64; BUCKETS],
    sum: AtomicU64,
    /// Earlier readings, the oldest first. Only readers take the lock.
    kept: Mutex<VecDeque<Kept>>,
}

#[derive(Debug)]
struct Kept {
    at: Duration,
    buckets: Box<[u64; BUCKETS]>,
}

/// What a summary says at a moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SummaryReading {
    /// How many values there were since the start.
    pub count: u64,
    /// Their sum.
    pub sum: u64,
    /// The values at [`QUANTILES`] of the last minutes; zero when there were none.
    pub quantiles: [f64; QUANTILES.len()],
}

impl Default for Summary {
    fn default() -> Self {
        Self { buckets: [const { AtomicU64::new(0) }; BUCKETS], sum: AtomicU64::new(0), kept: Mutex::default() }
    }
}

impl Summary {
    /// Takes a value in.
    pub fn observe(&self, value: u64) {
        if let Some(bucket) = self.buckets.get(bucket_of(value)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// Takes a duration in, as microseconds.
    pub fn observe_duration(&self, duration: Duration) {
        self.observe(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
    }

    /// Reads it. `now` is the time since any moment that stays the same.
    pub fn read(&self, now: Duration) -> SummaryReading {
        let mut counts = Box::new([0; BUCKETS]);
        for (count, bucket) in counts.iter_mut().zip(&self.buckets) {
            *count = bucket.load(Ordering::Relaxed);
        }
        let (count, sum) = (counts.iter().sum(), self.sum.load(Ordering::Relaxed));
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let recent: Vec<u64> = match kept.front() {
            Some(oldest) => counts.iter().zip(oldest.buckets.iter()).map(|(now, then)| now - then).collect(),
            None => counts.to_vec(),
        };
        if kept.back().is_none_or(|last| now.saturating_sub(last.at) >= KEPT_EVERY) {
            kept.push_back(Kept { at: now, buckets: counts });
            if kept.len() > KEPT {
                kept.pop_front();
            }
        }
        SummaryReading { count, sum, quantiles: quantiles(&recent) }
    }
}

/// The bucket that counts a value.
fn bucket_of(value: u64) -> usize {
    let value = value.min((1 << POWER_MAX) - 1);
    if value < PARTS {
        return value as usize;
    }
    // The highest bit is at least the fourth.
    let power = value.ilog2();
    let part = (value >> (power - PARTS.ilog2())) - PARTS;
    PARTS as usize * (power - PARTS.ilog2() + 1) as usize + part as usize
}

/// The middle of the values that a bucket counts.
fn middle_of(bucket: usize) -> f64 {
    let (group, part) = (bucket as u64 / PARTS, bucket as u64 % PARTS);
    if group == 0 {
        return part as f64;
    }
    let width = 1u64 << (group - 1);
    ((PARTS + part) * width) as f64 + (width - 1) as f64 / 2.0
}

fn quantiles(counts: &[u64]) -> [f64; QUANTILES.len()] {
    let total: u64 = counts.iter().sum();
    QUANTILES.map(|(quantile, _)| {
        let rank = (quantile * total as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        let at = counts.iter().position(|count| {
            seen += count;
            seen >= rank
        });
        at.map_or(0.0, middle_of)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_in_a_bucket_whose_middle_is_near_it() {
        for value in (0..1 << 12).chain((12..POWER_MAX).flat_map(|power| [1 << power, (1 << power) + 12_345])) {
            let middle = middle_of(bucket_of(value));
            assert!((middle - value as f64).abs() <= value as f64 / 16.0, "{value} is counted as {middle}");
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_are_those_of_what_was_taken_in() {
        let summary = Summary::default();
        assert_eq!(summary.read(Duration::ZERO).quantiles, [0.0; 6]);
        let summary = Summary::default();
        (1..=1000).for_each(|value| summary.observe(value));
        let reading = summary.read(Duration::ZERO);
        assert_eq!((reading.count, reading.sum), (1000, 500_500));
        for (value, expected) in reading.quantiles.into_iter().zip([500.0, 750.0, 950.0, 980.0, 990.0, 999.0]) {
            assert!((value - expected).abs() <= expected / 16.0, "{value} instead of {expected}");
        }
    }

    #[test]
    fn quantiles_forget_what_is_older_than_the_readings_that_are_kept() {
        let summary = Summary::default();
        summary.observe(1_000_000);
        for minute in 0..=KEPT as u64 {
            summary.read(Duration::from_secs(60 * minute));
        }
        (0..100).for_each(|_| summary.observe(5));
        let reading = summary.read(Duration::from_secs(60 * 7));
        assert_eq!((reading.count, reading.quantiles), (101, [5.0; 6]));
    }
}
