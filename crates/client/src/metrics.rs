use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// One number of a client, under the group, the name and the tags that Apache Kafka's Java client gives it.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// `producer-metrics`, `consumer-fetch-manager-metrics`.
    pub group: &'static str,
    /// `record-send-total`.
    pub name: &'static str,
    /// What it is of, beside the client as a whole: a topic, a partition.
    pub tags: Vec<(&'static str, String)>,
    /// Its value. Totals count from the client's beginning, averages are over all of it; the rates of Kafka's clients are
    /// the difference of two snapshots' totals over the time between them.
    pub value: f64,
}

/// The numbers of a client at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics(Vec<Metric>);

impl Metrics {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Metric> {
        self.0.iter()
    }

    /// The one of that name without tags.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.0.iter().find(|metric| metric.name == name && metric.tags.is_empty()).map(|metric| metric.value)
    }

    pub(crate) fn add(&mut self, group: &'static str, name: &'static str, value: f64) {
        self.0.push(Metric { group, name, tags: Vec::new(), value });
    }

    pub(crate) fn add_tagged(
        &mut self,
        group: &'static str,
        name: &'static str,
        tags: Vec<(&'static str, String)>,
        value: f64,
    ) {
        self.0.push(Metric { group, name, tags, value });
    }
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn value(&self) -> f64 {
        self.0.load(Ordering::Relaxed) as f64
    }
}

/// What was measured again and again: how often, how much in all, and the most.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    count: AtomicU64,
    sum: AtomicU64,
    max: AtomicU64,
}

impl Measured {
    pub(crate) fn note(&self, value: u64) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
        self.max.fetch_max(value, Ordering::Relaxed);
    }

    /// In milliseconds.
    pub(crate) fn note_time(&self, time: Duration) {
        self.note(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    }

    pub(crate) fn count(&self) -> f64 {
        self.count.load(Ordering::Relaxed) as f64
    }

    pub(crate) fn sum(&self) -> f64 {
        self.sum.load(Ordering::Relaxed) as f64
    }

    /// Not a number before the first, as in Kafka's clients.
    pub(crate) fn average(&self) -> f64 {
        self.sum() / self.count()
    }

    /// Not a number before the first, as in Kafka's clients.
    pub(crate) fn max(&self) -> f64 {
        if self.count() == 0.0 { f64::NAN } else { self.max.load(Ordering::Relaxed) as f64 }
    }
}

/// What every client counts of its connections.
#[derive(Debug, Default)]
pub(crate) struct NetworkCounters {
    pub(crate) connections_made: Counter,
    pub(crate) connections_closed: Counter,
    pub(crate) requests: Counter,
    pub(crate) responses: Counter,
    pub(crate) outgoing_bytes: Counter,
    pub(crate) incoming_bytes: Counter,
    pub(crate) request_latency_ms: Measured,
}

impl NetworkCounters {
    /// Adds them under the group of this kind of client.
    pub(crate) fn snapshot(&self, group: &'static str, metrics: &mut Metrics) {
        let open = self.connections_made.value() - self.connections_closed.value();
        metrics.add(group, "connection-count", open);
        metrics.add(group, "connection-creation-total", self.connections_made.value());
        metrics.add(group, "connection-close-total", self.connections_closed.value());
        metrics.add(group, "request-total", self.requests.value());
        metrics.add(group, "response-total", self.responses.value());
        metrics.add(group, "outgoing-byte-total", self.outgoing_bytes.value());
        metrics.add(group, "incoming-byte-total", self.incoming_bytes.value());
        metrics.add(group, "network-io-total", self.requests.value() + self.responses.value());
        metrics.add(group, "request-latency-avg", self.request_latency_ms.average());
        metrics.add(group, "request-latency-max", self.request_latency_ms.max());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_average_of_nothing_is_no_number() {
        let measured = Measured::default();
        assert!(measured.average().is_nan() && measured.max().is_nan());
        measured.note(3);
        measured.note_time(Duration::from_millis(5));
        assert_eq!((measured.average(), measured.max(), measured.count()), (4.0, 5.0, 2.0));
    }

    #[test]
    fn a_snapshot_finds_its_numbers_by_name() {
        let counters = NetworkCounters::default();
        counters.connections_made.add(2);
        counters.connections_closed.add(1);
        let mut metrics = Metrics::default();
        counters.snapshot("producer-metrics", &mut metrics);
        metrics.add_tagged("producer-topic-metrics", "record-send-total", vec![("topic", "t".to_owned())], 5.0);
        assert_eq!(metrics.get("connection-count"), Some(1.0));
        assert_eq!(metrics.get("record-send-total"), None, "it has a tag");
        assert!(metrics.iter().any(|metric| metric.group == "producer-topic-metrics"));
    }
}
