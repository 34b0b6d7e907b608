//! The metrics that clients have pushed, as they are shown.

use super::Client;
use ottla_env::Monotonic;
use ottla_metrics::otlp::{Point, PointKind};
use ottla_metrics::{Exposition, Kind};
use ottla_types::Uuid;
use std::collections::BTreeMap;
use std::time::Duration;

/// A name or a label of a client may be so long.
const NAME_LENGTH_MAX: usize = 200;
/// A series has at most so many labels of the client's own.
const LABELS_MAX: usize = 8;
/// A client that was silent for so long is not shown any more, if its push interval is no longer.
const SHOWN: Duration = Duration::from_secs(60);

/// How many clients, and how many series of each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PushedLimits {
    pub(crate) instances: usize,
    pub(crate) series: usize,
}

/// The metrics of all clients.
#[derive(Debug, Default)]
pub(crate) struct Pushed {
    by_instance: BTreeMap<Uuid, PushedBy>,
    /// Series that there was no room for.
    left_out: u64,
}

#[derive(Debug)]
struct PushedBy {
    client_id: String,
    software_name: String,
    software_version: String,
    heard: Monotonic,
    shown_until: Monotonic,
    series: BTreeMap<SeriesKey, f64>,
}

/// The name, whether it is a sum, and the labels.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct SeriesKey {
    name: String,
    labels: Vec<(String, String)>,
}

impl Pushed {
    /// Takes a push in. The client that was silent for longest makes room for a new one.
    pub(crate) fn take(
        &mut self,
        id: Uuid,
        client: &Client,
        points: &[Point<'_>],
        limits: PushedLimits,
        (now, interval): (Monotonic, Duration),
    ) {
        if !self.by_instance.contains_key(&id) && self.by_instance.len() >= limits.instances {
            let silent = self.by_instance.iter().min_by_key(|(_, by)| by.heard).map(|(id, _)| *id);
            silent.and_then(|id| self.by_instance.remove(&id));
        }
        let by = self.by_instance.entry(id).or_insert_with(|| PushedBy {
            client_id: client.id.as_deref().unwrap_or_default().to_owned(),
            software_name: client.software_name.clone(),
            software_version: client.software_version.clone(),
            heard: now,
            shown_until: now,
            series: BTreeMap::new(),
        });
        by.heard = now;
        by.shown_until = now + SHOWN.max(interval * 3);
        for point in points {
            let key = SeriesKey::of(point);
            let room = by.series.len() < limits.series;
            match by.series.get_mut(&key) {
                Some(value) if point.kind == PointKind::Delta => *value += point.value,
                Some(value) => *value = point.value,
                None if room => drop(by.series.insert(key, point.value)),
                None => self.left_out += 1,
            }
        }
    }

    /// A client has gone.
    pub(crate) fn forget(&mut self, id: Uuid) {
        self.by_instance.remove(&id);
    }

    /// Shows all series, those of a name together, and says how many there was no room for.
    pub(crate) fn show(&mut self, now: Monotonic, exposition: &mut Exposition) -> u64 {
        self.by_instance.retain(|_, by| by.shown_until > now);
        let mut by_name: BTreeMap<&str, Vec<(&Uuid, &PushedBy, &SeriesKey, f64)>> = BTreeMap::new();
        for (id, by) in &self.by_instance {
            for (key, value) in &by.series {
                by_name.entry(&key.name).or_default().push((id, by, key, *value));
            }
        }
        for (name, series) in by_name {
            let kind = if name.ends_with("_total") { Kind::Counter } else { Kind::Gauge };
            exposition.named(name, kind, "Pushed by clients.");
            for (id, by, key, value) in series {
                let id = id.to_string();
                let who = [
                    ("client_instance_id", id.as_str()),
                    ("client_id", &by.client_id),
                    ("client_software_name", &by.software_name),
                    ("client_software_version", &by.software_version),
                ];
                let own = key.labels.iter().map(|(label, value)| (label.as_str(), value.as_str()));
                exposition.named_sample(name, who.into_iter().chain(own), value);
            }
        }
        self.left_out
    }
}

impl SeriesKey {
    fn of(point: &Point<'_>) -> Self {
        let short = point.name.strip_prefix("org.apache.kafka.").unwrap_or(point.name);
        let mut name = format!("kafka_client_{}", legal(short));
        // Whatever a client calls it: a name is of one kind.
        let is_sum = point.kind != PointKind::Gauge;
        match (is_sum, name.ends_with("_total")) {
            (true, false) => name.push_str("_total"),
            (false, true) => name.push_str("_value"),
            _ => {}
        }
        let mut labels: Vec<(String, String)> = Vec::new();
        for (key, value) in point.attributes.iter().take(LABELS_MAX) {
            // Behind a prefix it is no label of ours, nor one that Prometheus keeps for itself.
            let label = format!("client_label_{}", legal(key));
            if labels.iter().all(|(known, _)| *known != label) {
                labels.push((label, value.chars().take(NAME_LENGTH_MAX).collect()));
            }
        }
        labels.sort();
        Self { name, labels }
    }
}

/// What Prometheus allows in names, in small letters; anything else becomes an underscore.
fn legal(name: &str) -> String {
    let legal = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    name.chars().take(NAME_LENGTH_MAX).map(legal).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: PushedLimits = PushedLimits { instances: 2, series: 3 };

    fn point(name: &'static str, kind: PointKind, value: f64) -> Point<'static> {
        Point { name, kind, value, attributes: vec![("node.id", "1\"")] }
    }

    fn push(pushed: &mut Pushed, id: u128, at: u64, points: &[Point<'_>]) {
        let now = Monotonic::default() + Duration::from_secs(at);
        pushed.take(Uuid::from_u128(id), &Client::default(), points, LIMITS, (now, Duration::from_secs(30)));
    }

    fn shown(pushed: &mut Pushed, at: u64) -> (String, u64) {
        let mut exposition = Exposition::default();
        let left_out = pushed.show(Monotonic::default() + Duration::from_secs(at), &mut exposition);
        (exposition.finish(), left_out)
    }

    #[test]
    fn deltas_add_up_and_gauges_are_replaced() {
        let mut pushed = Pushed::default();
        for value in [1.0, 2.0] {
            let gauge = point("org.apache.kafka.producer.x.avg", PointKind::Gauge, value);
            push(&mut pushed, 1, 1, &[gauge, point("x.Sum", PointKind::Delta, value)]);
        }
        let (text, _) = shown(&mut pushed, 1);
        assert!(
            text.contains("# TYPE kafka_client_x_sum_total counter\n") && text.contains("node_id=\"1\\\"\"} 3\n"),
            "{text}"
        );
        assert!(text.contains("# TYPE kafka_client_producer_x_avg gauge\n") && text.contains("\"} 2\n"), "{text}");
    }

    #[test]
    fn clients_and_their_series_are_bounded_and_the_silent_ones_go() {
        let mut pushed = Pushed::default();
        let names = ["a", "b", "c", "d"].map(|name| point(name, PointKind::Gauge, 1.0));
        for id in 1..=3 {
            push(&mut pushed, id, id as u64, &names);
        }
        let (text, left_out) = shown(&mut pushed, 4);
        assert_eq!((text.matches("client_instance_id=").count(), left_out), (6, 3), "{text}");
        assert!(!text.contains(&Uuid::from_u128(1).to_string()));
        pushed.forget(Uuid::from_u128(2));
        assert_eq!(shown(&mut pushed, 4).0.matches("client_instance_id=").count(), 3);
        assert_eq!(shown(&mut pushed, 200).0, "");
    }
}
