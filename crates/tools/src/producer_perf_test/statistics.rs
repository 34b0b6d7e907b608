use crate::console::Console;
use crate::java::{decimal, now_ms};

/// At most how many latencies are kept for the percentiles; of more records each so-and-so-many-th is.
const SAMPLES_MAX: u64 = 500_000;
const MEGABYTE: f64 = 1024.0 * 1024.0;

/// Records and their latencies in milliseconds.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    count: u64,
    bytes: u64,
    latency: u64,
    latency_max: u64,
}

impl Sums {
    fn add(&mut self, latency: u64, bytes: u64) {
        self.count += 1;
        self.bytes += bytes;
        self.latency += latency;
        self.latency_max = self.latency_max.max(latency);
    }

    /// Records and megabytes a second, and the average latency.
    fn rates(&self, milliseconds: i64) -> (f64, f64, f64) {
        let seconds = milliseconds as f64 / 1_000.0;
        let count = self.count as f64;
        (count / seconds, self.bytes as f64 / seconds / MEGABYTE, self.latency as f64 / count)
    }
}

/// What became of the records, in all and since the last report.
pub(super) struct Statistics {
    start: i64,
    all: Sums,
    window: Sums,
    window_start: i64,
    interval: i64,
    latencies: Vec<u32>,
    sampling: u64,
    /// These are the records behind those that warmed up.
    is_steady_state: bool,
    /// Reports are left to the statistics of the steady state.
    pub(super) is_silent: bool,
}

impl Statistics {
    /// For so many records, with a report each `interval` milliseconds.
    pub(super) fn new(records: u64, interval: i64, is_steady_state: bool) -> Self {
        let now = now_ms();
        let sampling = (records / records.clamp(1, SAMPLES_MAX)).max(1);
        Self {
            start: now,
            all: Sums::default(),
            window: Sums::default(),
            window_start: now,
            interval,
            latencies: Vec::new(),
            sampling,
            is_steady_state,
            is_silent: false,
        }
    }

    /// How many records were counted.
    pub(super) fn count(&self) -> u64 {
        self.all.count
    }

    /// Counts a record that was acknowledged now.
    pub(super) fn record(&mut self, latency: i64, bytes: usize, now: i64, console: &mut Console) {
        let latency = latency.max(0).unsigned_abs();
        if self.all.count.is_multiple_of(self.sampling) {
            self.latencies.push(u32::try_from(latency).unwrap_or(u32::MAX));
        }
        self.all.add(latency, bytes as u64);
        self.window.add(latency, bytes as u64);
        if now - self.window_start < self.interval {
            return;
        }
        if self.is_steady_state && self.all.count == self.window.count {
            console.line("In steady state.");
        }
        if !self.is_silent {
            self.report(now, console);
        }
        self.window = Sums::default();
        self.window_start = now;
    }

    fn report(&self, now: i64, console: &mut Console) {
        let (records, megabytes, latency) = self.window.rates(now - self.window_start);
        let count = self.window.count;
        let (records, megabytes, latency) = (decimal(records, 1), decimal(megabytes, 2), decimal(latency, 1));
        let longest = self.window.latency_max;
        console.line(&format!(
            "{count} records sent, {records} records/sec ({megabytes} MB/sec), {latency} ms avg latency, {longest}.0 ms max latency."
        ));
        console.flush();
    }

    /// Tells of all records.
    pub(super) fn total(&mut self, console: &mut Console) {
        let (records, megabytes, latency) = self.all.rates(now_ms() - self.start);
        let count = self.all.count;
        let state = if self.is_steady_state { " steady state" } else { "" };
        let (records, megabytes, latency) = (decimal(records, 6), decimal(megabytes, 2), decimal(latency, 2));
        let longest = self.all.latency_max;
        self.latencies.sort_unstable();
        let [half, most, nearly_all, all] = [500, 950, 990, 999].map(|share| percentile(&self.latencies, share));
        console.line(&format!(
            "{count}{state} records sent, {records} records/sec ({megabytes} MB/sec), {latency} ms avg latency, {longest}.00 ms max latency, {half} ms 50th, {most} ms 95th, {nearly_all} ms 99th, {all} ms 99.9th."
        ));
        console.flush();
    }
}

/// The value that so many of a thousand are below.
fn percentile(sorted: &[u32], thousandth: usize) -> u32 {
    sorted.get(sorted.len() * thousandth / 1_000).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_the_values_below_which_a_share_lies() {
        let sorted: Vec<u32> = (0..1_000).collect();
        assert_eq!([500, 950, 990, 999].map(|share| percentile(&sorted, share)), [500, 950, 990, 999]);
        assert_eq!(percentile(&[], 500), 0);
        assert_eq!(percentile(&[7], 999), 7);
    }

    #[test]
    fn no_more_latencies_are_kept_than_are_needed() {
        let mut statistics = Statistics::new(2_000_000, i64::MAX, false);
        let mut console = Console::new(Box::new(std::io::sink()), Box::new(std::io::sink()));
        for _ in 0..40 {
            statistics.record(1, 1, 0, &mut console);
        }
        assert_eq!((statistics.latencies.len(), statistics.count()), (10, 40));
    }
}
