use super::Producer;
use crate::metrics::{Counter, Measured, Metrics};

/// What a producer counts.
#[derive(Debug, Default)]
pub(super) struct ProducerCounters {
    pub(super) records_sent: Counter,
    pub(super) record_errors: Counter,
    pub(super) record_retries: Counter,
    pub(super) batch_bytes: Measured,
    pub(super) batch_records: Measured,
    pub(super) queue_ms: Measured,
    pub(super) commit_ms: Measured,
    pub(super) abort_ms: Measured,
}

const GROUP: &str = "producer-metrics";

impl Producer {
    /// A snapshot of the producer's numbers, under the names of Kafka's producer.
    pub fn metrics(&self) -> Metrics {
        let shared = &self.handle.shared;
        let counters = &shared.counters;
        let mut metrics = Metrics::default();
        shared.cluster.counters().snapshot(GROUP, &mut metrics);
        metrics.add(GROUP, "record-send-total", counters.records_sent.value());
        metrics.add(GROUP, "record-error-total", counters.record_errors.value());
        metrics.add(GROUP, "record-retry-total", counters.record_retries.value());
        metrics.add(GROUP, "batch-size-avg", counters.batch_bytes.average());
        metrics.add(GROUP, "batch-size-max", counters.batch_bytes.max());
        metrics.add(GROUP, "records-per-request-avg", counters.batch_records.average());
        metrics.add(GROUP, "record-queue-time-avg", counters.queue_ms.average());
        metrics.add(GROUP, "record-queue-time-max", counters.queue_ms.max());
        let total = shared.settings.buffer_bytes;
        metrics.add(GROUP, "buffer-total-bytes", total as f64);
        metrics.add(GROUP, "buffer-available-bytes", self.handle.memory.available_permits() as f64);
        // Kafka counts these in nanoseconds.
        metrics.add(GROUP, "txn-commit-time-ns-total", counters.commit_ms.sum() * 1e6);
        metrics.add(GROUP, "txn-abort-time-ns-total", counters.abort_ms.sum() * 1e6);
        if let Some(age) = shared.cluster.metadata_age() {
            metrics.add(GROUP, "metadata-age", age.as_secs_f64());
        }
        metrics
    }
}
