//! The partitions of a broker, one by one and together.

use super::topics::TopicCounters;
use crate::broker::Broker;
use crate::partition::Partition;
use ottla_metrics::declarations as metrics;
use ottla_metrics::{Counter, Exposition, Metric};
use std::sync::Arc;

/// How many topics and partitions have metrics of their own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) topics: usize,
    pub(super) partitions: usize,
}

/// What is known of one partition.
struct Facts {
    partition: Arc<Partition>,
    index: String,
    is_leader: bool,
    is_offline: bool,
    replicas: usize,
    in_sync: usize,
    /// `min.insync.replicas`, where there are as many.
    needed: usize,
}

impl Facts {
    fn of(partition: Arc<Partition>) -> Self {
        let leadership = partition.leadership();
        Self {
            index: partition.index.to_string(),
            is_leader: leadership.is_leader,
            is_offline: partition.log.is_offline(),
            replicas: leadership.replicas,
            in_sync: leadership.in_sync_replicas.len(),
            needed: leadership.needed_in_sync(partition.rules().config.min_insync_replicas),
            partition,
        }
    }

    fn is_under_replicated(&self) -> bool {
        self.is_leader && self.in_sync < self.replicas
    }

    fn is_under_min_isr(&self) -> bool {
        self.is_leader && self.in_sync < self.needed
    }

    fn is_at_min_isr(&self) -> bool {
        self.is_leader && self.in_sync == self.needed
    }
}

type CounterOf = fn(&TopicCounters) -> &Counter;

const TOPIC_METRICS: [(Metric, CounterOf); 9] = [
    (metrics::MESSAGES_IN, |counters| &counters.messages_in),
    (metrics::BYTES_IN, |counters| &counters.bytes_in),
    (metrics::BYTES_OUT, |counters| &counters.bytes_out),
    (metrics::BYTES_REJECTED, |counters| &counters.bytes_rejected),
    (metrics::PRODUCE_REQUESTS, |counters| &counters.produce_requests),
    (metrics::FETCH_REQUESTS, |counters| &counters.fetch_requests),
    (metrics::FAILED_PRODUCE_REQUESTS, |counters| &counters.failed_produce_requests),
    (metrics::FAILED_FETCH_REQUESTS, |counters| &counters.failed_fetch_requests),
    (metrics::PRODUCE_CONVERSIONS, |counters| &counters.produce_conversions),
];

type ValueOf = fn(&Facts) -> f64;

const PARTITION_METRICS: [(Metric, ValueOf); 10] = [
    (metrics::LOG_SIZE, |facts| facts.partition.log.size().map_or(f64::NAN, |size| size as f64)),
    (metrics::LOG_START_OFFSET, |facts| facts.partition.log.log_start_offset().value() as f64),
    (metrics::LOG_END_OFFSET, |facts| facts.partition.log.log_end_offset().value() as f64),
    (metrics::LOG_SEGMENTS, |facts| facts.partition.log.segment_base_offsets().len() as f64),
    (metrics::PARTITION_UNDER_REPLICATED, |facts| number(facts.is_under_replicated())),
    (metrics::PARTITION_UNDER_MIN_ISR, |facts| number(facts.is_under_min_isr())),
    (metrics::PARTITION_AT_MIN_ISR, |facts| number(facts.is_at_min_isr())),
    (metrics::PARTITION_IN_SYNC, |facts| facts.in_sync as f64),
    (metrics::PARTITION_REPLICAS, |facts| facts.replicas as f64),
    (metrics::PARTITION_STABLE_LAG, |facts| {
        let offsets = facts.partition.log.offsets();
        (offsets.high_watermark.value() - offsets.last_stable.value()).max(0) as f64
    }),
];

/// What all partitions are together.
const SUMS: [(Metric, ValueOf); 7] = [
    (metrics::LEADER_COUNT, |facts| number(facts.is_leader)),
    (metrics::PARTITION_COUNT, |_| 1.0),
    (metrics::OFFLINE_REPLICA_COUNT, |facts| number(facts.is_offline)),
    (metrics::UNDER_REPLICATED, |facts| number(facts.is_under_replicated())),
    (metrics::UNDER_MIN_ISR_COUNT, |facts| number(facts.is_under_min_isr())),
    (metrics::AT_MIN_ISR_COUNT, |facts| number(facts.is_at_min_isr())),
    (metrics::PRODUCER_ID_COUNT, |facts| facts.partition.log.with_producers(|producers| producers.len()) as f64),
];

pub(super) const fn number(is_so: bool) -> f64 {
    if is_so { 1.0 } else { 0.0 }
}

/// Shows topics and partitions, and says how many of each are left out.
pub(super) fn show(broker: &Broker, limits: Limits, exposition: &mut Exposition) -> (usize, usize) {
    let all: Vec<Facts> = broker.partitions.all().into_iter().map(Facts::of).collect();
    let mut topics: Vec<&Partition> = all.iter().map(|facts| &*facts.partition).collect();
    topics.dedup_by(|later, earlier| later.topic == earlier.topic);
    let shown_topics = topics.get(..limits.topics).unwrap_or(&topics);
    for (metric, counter) in TOPIC_METRICS {
        let mut family = exposition.family(&metric);
        family.sample(&[], counter(broker.partitions.counters()).value() as f64);
        for partition in shown_topics {
            family.sample(&[&partition.topic], counter(&partition.metrics.topic).value() as f64);
        }
    }
    for (metric, value) in SUMS {
        exposition.single(&metric, all.iter().map(value).sum());
    }
    let shown = all.get(..limits.partitions).unwrap_or(&all);
    for (metric, value) in PARTITION_METRICS {
        let mut family = exposition.family(&metric);
        for facts in shown {
            family.sample(&[&facts.partition.topic, &facts.index], value(facts));
        }
    }
    (topics.len() - shown_topics.len(), all.len() - shown.len())
}
