use crate::keys;
use crate::properties::{Place, Properties};
use crate::settings::Lookup;
use std::collections::BTreeMap;

/// What a node gets that says nothing of a quorum and so is a cluster by itself: an id, and internal topics with one
/// replica where Kafka's defaults ask for three brokers, which such a node will never have.
const STANDING_ALONE: [(&str, &str); 6] = [
    ("node.id", "0"),
    ("offsets.topic.replication.factor", "1"),
    ("transaction.state.log.replication.factor", "1"),
    ("transaction.state.log.min.isr", "1"),
    ("share.coordinator.state.topic.replication.factor", "1"),
    ("share.coordinator.state.topic.min.isr", "1"),
];

/// Whether `file` says nothing of roles, voters or controllers.
pub(crate) fn stands_alone(is_set: impl Fn(&str) -> bool) -> bool {
    !["process.roles", "controller.quorum.voters", "controller.quorum.bootstrap.servers"].into_iter().any(is_set)
}

/// Where a broker's values come from: its file, the cluster's dynamic defaults, its own dynamic values. A later layer
/// wins, and takes the synonyms of its keys out of the earlier ones: a dynamic `log.retention.hours` is not hidden by a
/// `log.retention.ms` in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigLayers {
    file: Properties,
    cluster: BTreeMap<String, String>,
    broker: BTreeMap<String, String>,
    effective: BTreeMap<String, (String, Option<Place>)>,
}

impl ConfigLayers {
    /// The layers of a node that knows its file only.
    pub fn from_file(mut file: Properties) -> Self {
        if stands_alone(|key| file.get(key).is_some()) {
            for (key, value) in STANDING_ALONE {
                let is_set = file.get(key).is_some() || (key == "node.id" && file.get("broker.id").is_some());
                if !is_set {
                    file.set(key, value, "the default of a node that stands alone");
                }
            }
        }
        // Either name of the id stands for both.
        for (name, other) in [("node.id", "broker.id"), ("broker.id", "node.id")] {
            if let (Some(value), None) = (file.get(name).map(str::to_owned), file.get(other)) {
                let place = file.place(name).cloned();
                file.set(other, value, place.as_ref().map_or("", |place| &place.source));
            }
        }
        let mut layers = Self { file, ..Self::default() };
        layers.merge();
        layers
    }

    /// The same file under other dynamic layers: `cluster` for all brokers, `broker` for this one. Keys that can't change
    /// at run time are left out.
    pub fn with_dynamic(&self, cluster: &BTreeMap<String, String>, broker: &BTreeMap<String, String>) -> Self {
        let dynamic = |layer: &BTreeMap<String, String>| {
            let can_change = |key: &str| keys::find(crate::Scope::Broker, key).is_none_or(|key| key.is_dynamic());
            layer.iter().filter(|(key, _)| can_change(key)).map(|(key, value)| (key.clone(), value.clone())).collect()
        };
        let mut layers =
            Self { file: self.file.clone(), cluster: dynamic(cluster), broker: dynamic(broker), ..Self::default() };
        layers.merge();
        layers
    }

    fn merge(&mut self) {
        let mut effective: BTreeMap<String, (String, Option<Place>)> = self
            .file
            .iter()
            .map(|(key, entry)| (key.to_owned(), (entry.value.clone(), Some(entry.place.clone()))))
            .collect();
        for (key, value) in self.cluster.iter().chain(&self.broker) {
            for synonym in keys::broker_synonyms(key) {
                effective.remove(*synonym);
            }
            effective.insert(key.clone(), (value.clone(), None));
        }
        self.effective = effective;
    }

    /// The node's file.
    pub fn file(&self) -> &Properties {
        &self.file
    }

    /// The cluster's dynamic defaults.
    pub fn cluster(&self) -> &BTreeMap<String, String> {
        &self.cluster
    }

    /// A value that was set at run time: for this node, else for all.
    pub fn dynamic(&self, key: &str) -> Option<&str> {
        self.broker.get(key).or_else(|| self.cluster.get(key)).map(String::as_str)
    }

    /// The node's dynamic values.
    pub fn broker(&self) -> &BTreeMap<String, String> {
        &self.broker
    }
}

impl Lookup for ConfigLayers {
    fn set(&self, key: &str) -> Option<(&str, Option<&Place>)> {
        self.effective.get(key).map(|(value, place)| (value.as_str(), place.as_ref()))
    }
}
