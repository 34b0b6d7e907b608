use super::Consumer;
use crate::metrics::{Counter, Measured, Metrics};
use crate::record::ConsumerRecord;

/// What a consumer counts.
#[derive(Debug, Default)]
pub(super) struct ConsumerCounters {
    records: Counter,
    bytes: Counter,
    pub(super) fetches: Measured,
    pub(super) rebalances: Counter,
}

impl ConsumerCounters {
    /// Notes what `poll` hands out.
    pub(super) fn note_records(&self, records: &[ConsumerRecord]) {
        let length = |part: &Option<bytes::Bytes>| part.as_ref().map_or(0, bytes::Bytes::len);
        let bytes: usize = records.iter().map(|record| length(&record.key) + length(&record.value)).sum();
        self.records.add(records.len() as u64);
        self.bytes.add(bytes as u64);
    }
}

const GROUP: &str = "consumer-metrics";
const FETCHING: &str = "consumer-fetch-manager-metrics";
const COORDINATION: &str = "consumer-coordinator-metrics";

impl Consumer {
    /// A snapshot of the consumer's numbers, under the names of Kafka's consumer.
    pub fn metrics(&self) -> Metrics {
        let counters = &self.counters;
        let mut metrics = Metrics::default();
        self.cluster.counters().snapshot(GROUP, &mut metrics);
        metrics.add(FETCHING, "records-consumed-total", counters.records.value());
        metrics.add(FETCHING, "bytes-consumed-total", counters.bytes.value());
        metrics.add(FETCHING, "fetch-total", counters.fetches.count());
        metrics.add(FETCHING, "fetch-size-avg", counters.fetches.average());
        metrics.add(FETCHING, "fetch-size-max", counters.fetches.max());
        metrics.add(COORDINATION, "assigned-partitions", self.partitions.states.len() as f64);
        metrics.add(COORDINATION, "rebalance-total", counters.rebalances.value());
        let mut most = f64::NAN;
        for (partition, state) in &self.partitions.states {
            let (Some(position), Some(end)) = (&state.position, state.high_watermark) else { continue };
            let lag = (end - position.offset).max(0) as f64;
            most = most.max(lag);
            let tags =
                vec![("topic", partition.topic.to_string()), ("partition", partition.partition.value().to_string())];
            metrics.add_tagged(FETCHING, "records-lag", tags, lag);
        }
        metrics.add(FETCHING, "records-lag-max", most);
        metrics
    }
}
