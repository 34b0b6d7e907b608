use std::time::Duration;

/// Buckets to each doubling: a bucket is 4 % wide.
const BUCKETS_PER_DOUBLING: f64 = 16.0;

/// Up to over an hour.
const BUCKETS: usize = 32 * 16;

/// How long many things took, within 4 %.
#[derive(Clone, Debug)]
pub struct Latencies {
    counts: Vec<u64>,
    count: u64,
}

impl Default for Latencies {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS], count: 0 }
    }
}

impl Latencies {
    /// One took this long.
    pub fn add(&mut self, took: Duration) {
        let microseconds = took.as_micros().max(1) as f64;
        let bucket = (microseconds.log2() * BUCKETS_PER_DOUBLING) as usize;
        self.counts[bucket.min(BUCKETS - 1)] += 1;
        self.count += 1;
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// What so many of a thousand did not exceed, in milliseconds; 0 when there is none.
    pub fn per_mille(&self, part: u64) -> f64 {
        let wanted = (self.count * part).div_ceil(1000);
        let mut passed = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            passed += count;
            if passed >= wanted && *count > 0 {
                return ((bucket + 1) as f64 / BUCKETS_PER_DOUBLING).exp2() / 1000.0;
            }
        }
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_within_a_bucket() {
        let mut latencies = Latencies::default();
        (1..=1000).for_each(|milliseconds| latencies.add(Duration::from_millis(milliseconds)));
        for part in [500, 990, 999] {
            let found = latencies.per_mille(part);
            assert!((part as f64..=part as f64 * 1.05).contains(&found), "{part}: {found}");
        }
        assert!(Latencies::default().per_mille(500).abs() < f64::EPSILON);
    }
}
