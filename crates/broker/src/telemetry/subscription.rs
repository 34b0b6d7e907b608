use super::Client;
use ottla_config::{ClientAttribute, ClientMatch, Scope, Value, keys};
use ottla_metadata::{ConfigResourceType, ConfigsImage};
use ottla_types::Uuid;
use std::collections::{BTreeMap, BTreeSet};

/// Every metric.
const ALL: &str = "*";
const PUSH_INTERVAL_MS: i32 = 300_000;

/// The `client-metrics` configurations of the cluster.
#[derive(Default)]
pub(super) struct Subscriptions {
    /// Counts the changes.
    pub(super) version: u64,
    list: Vec<Subscription>,
}

struct Subscription {
    metrics: Vec<String>,
    interval_ms: i32,
    matches: ClientMatch,
}

impl Subscriptions {
    /// Those of the image, as the next version.
    pub(super) fn next(&self, configs: &ConfigsImage) -> Self {
        let resources = configs.iter().filter(|(resource, _)| resource.kind == ConfigResourceType::ClientMetrics);
        let list = resources.filter_map(|(resource, values)| {
            let subscription = Subscription::read(values);
            if subscription.is_none() {
                tracing::warn!(subscription = %resource.name, "a client metrics subscription can't be used");
            }
            subscription
        });
        Self { version: self.version + 1, list: list.collect() }
    }

    /// The metrics that a client is to push, and how often: what all subscriptions that mean it ask for together.
    pub(super) fn of(&self, instance: Uuid, client: &Client) -> (BTreeSet<String>, i32) {
        let id = instance.to_string();
        let value = |attribute| match attribute {
            ClientAttribute::InstanceId => Some(id.as_str()),
            other => client.value(other),
        };
        let (mut metrics, mut interval_ms) = (BTreeSet::new(), PUSH_INTERVAL_MS);
        for subscription in self.list.iter().filter(|subscription| subscription.matches.matches(value)) {
            metrics.extend(subscription.metrics.iter().cloned());
            interval_ms = interval_ms.min(subscription.interval_ms);
        }
        if metrics.contains(ALL) {
            metrics = [ALL.to_owned()].into();
        }
        (metrics, interval_ms)
    }
}

impl Subscription {
    /// `None` when a value is none that this release would take: another one has put it into the log.
    fn read(values: &BTreeMap<String, String>) -> Option<Self> {
        let interval_ms = match value(values, "interval.ms")? {
            Some(Value::Integer(ms)) => i32::try_from(ms).ok()?,
            _ => PUSH_INTERVAL_MS,
        };
        let list = |name| {
            Some(match value(values, name)? {
                Some(Value::List(list)) => list,
                _ => Vec::new(),
            })
        };
        let matches = ClientMatch::parse(&list("match")?).ok()?;
        Some(Self { metrics: list("metrics")?, interval_ms, matches })
    }
}

/// The value of a key, if it is set; `None` when it is malformed.
fn value(values: &BTreeMap<String, String>, name: &str) -> Option<Option<Value>> {
    let Some(text) = values.get(name) else { return Some(None) };
    keys::find(Scope::ClientMetrics, name)?.parse(text).ok().map(Some)
}
