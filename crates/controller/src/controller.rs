use crate::brokers::Heartbeats;
use crate::random::Seed;
use crate::topics::CollidingNames;
use ottla_config::{NodeConfig, TopicConfig};
use ottla_metadata::{ConfigResource, MetadataImage, MetadataVersionExt, ReplayError};
use ottla_protocol::metadata_records::MetadataRecord;
use ottla_types::{BrokerId, MetadataVersion, NodeId, Offset};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// What a controller is told at its start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The cluster's id, as in `meta.properties`.
    pub cluster_id: String,
    /// The node's configuration, without dynamic changes: the controller applies those that it replays.
    pub node: Arc<NodeConfig>,
    /// The ids of the quorum's voters.
    pub voters: BTreeSet<NodeId>,
    /// The level of `kraft.version`, which the quorum keeps.
    pub kraft_version: i16,
}

/// What a decision may look at besides the image.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    /// The monotonic clock, from any start: for sessions.
    pub monotonic: Duration,
    /// The offset that the first record of this decision will get. It becomes the epoch of a newly registered broker.
    pub next_offset: Offset,
    /// Randomness for ids and placement. Another one for each decision.
    pub seed: Seed,
    /// The version of the request.
    pub version: i16,
}

/// The controller of one cluster. Decisions take `&mut self` only for the sessions of brokers; metadata changes by
/// [`Controller::replay`] alone.
#[derive(Debug)]
pub struct Controller {
    pub(crate) settings: Settings,
    /// The node's configuration under the dynamic one.
    pub(crate) node: Arc<NodeConfig>,
    pub(crate) image: MetadataImage,
    /// The image before the open transaction of records, if one is open.
    transaction: Option<Box<MetadataImage>>,
    pub(crate) names: CollidingNames,
    /// Where each broker's registration stands in the log: it may be unfenced only when it has replayed that far.
    pub(crate) registration_offsets: BTreeMap<BrokerId, Offset>,
    pub(crate) heartbeats: Heartbeats,
}

impl Controller {
    /// A controller over an image that was read from a snapshot, or over an empty one. Not active yet.
    pub fn new(settings: Settings, image: MetadataImage) -> Self {
        let timeout = u64::try_from(settings.node.lifecycle.broker_session_timeout_ms).unwrap_or(0);
        let mut controller = Self {
            node: settings.node.clone(),
            heartbeats: Heartbeats::new(Duration::from_millis(timeout)),
            settings,
            image: MetadataImage::new(),
            transaction: None,
            names: CollidingNames::default(),
            registration_offsets: BTreeMap::new(),
        };
        controller.reset(image);
        controller
    }

    /// Everything replayed so far.
    pub fn image(&self) -> &MetadataImage {
        &self.image
    }

    /// Replaces the state: a snapshot was loaded, or leadership was lost and what was not committed has to be forgotten.
    /// Copies of an image are cheap, so a host keeps the last committed one for this.
    pub fn reset(&mut self, image: MetadataImage) {
        // The broker's registration lies in the image, so anything that it must have replayed ends there.
        let offset = image.provenance.offset;
        self.registration_offsets = image.cluster.brokers.keys().map(|id| (*id, offset)).collect();
        self.names = CollidingNames::of(&image);
        self.image = image;
        self.transaction = None;
        self.apply_node_configs();
    }

    /// Takes over an equal image that was built elsewhere from the same records, so that both are one in memory. Does
    /// nothing if the other one has not replayed exactly as far. Call it after each publication.
    pub fn share(&mut self, image: &MetadataImage) {
        if self.transaction.is_none() && image.provenance.offset == self.image.provenance.offset {
            self.image = image.clone();
        }
    }

    /// This node leads the quorum from now on. Every unfenced broker gets a whole session to report in.
    pub fn activate(&mut self, now: Duration) {
        self.heartbeats.clear();
        for broker in self.image.cluster.brokers.values() {
            self.heartbeats.register(broker.id, broker.fenced);
            if !broker.fenced {
                self.heartbeats.contact(broker.id, broker.epoch, now);
            }
        }
    }

    /// Applies one record of the log, own or foreign.
    ///
    /// # Errors
    /// When the record contradicts the image: the log is damaged or of a newer cluster, and the node must stop.
    pub fn replay(&mut self, offset: Offset, record: &MetadataRecord) -> Result<(), ReplayError> {
        self.replay_markers(record)?;
        // Look at what goes before it is gone.
        match record {
            MetadataRecord::RemoveTopic(removed) => {
                if let Some(topic) = self.image.topics.topic(removed.topic_id) {
                    self.names.remove(&topic.name);
                }
            }
            MetadataRecord::Topic(created) => self.names.insert(&created.name),
            _ => {}
        }
        self.image.replay(record)?;
        self.image.provenance.offset = offset;
        self.note_broker(offset, record);
        if matches!(record, MetadataRecord::Config(config) if config.resource_type == 4) {
            self.apply_node_configs();
        }
        Ok(())
    }

    fn replay_markers(&mut self, record: &MetadataRecord) -> Result<(), ReplayError> {
        match (record, self.transaction.take()) {
            (MetadataRecord::BeginTransaction(_), None) => self.transaction = Some(Box::new(self.image.clone())),
            (MetadataRecord::EndTransaction(_), Some(_)) => {}
            (MetadataRecord::AbortTransaction(_), Some(before)) => {
                let offset = self.image.provenance;
                self.reset(*before);
                self.image.provenance = offset;
            }
            (MetadataRecord::BeginTransaction(_), Some(_)) => {
                return Err(ReplayError::Transaction("BeginTransactionRecord"));
            }
            (MetadataRecord::EndTransaction(_), None) => return Err(ReplayError::Transaction("EndTransactionRecord")),
            (MetadataRecord::AbortTransaction(_), None) => {
                return Err(ReplayError::Transaction("AbortTransactionRecord"));
            }
            (_, open) => self.transaction = open,
        }
        Ok(())
    }

    /// Keeps the sessions in step with the registrations.
    fn note_broker(&mut self, offset: Offset, record: &MetadataRecord) {
        let id = match record {
            MetadataRecord::RegisterBroker(record) => {
                self.registration_offsets.insert(NodeId(record.broker_id), offset);
                self.heartbeats.remove(NodeId(record.broker_id));
                NodeId(record.broker_id)
            }
            MetadataRecord::UnregisterBroker(record) => {
                self.registration_offsets.remove(&NodeId(record.broker_id));
                self.heartbeats.remove(NodeId(record.broker_id));
                return;
            }
            MetadataRecord::BrokerRegistrationChange(record) => NodeId(record.broker_id),
            MetadataRecord::FenceBroker(record) => NodeId(record.id),
            MetadataRecord::UnfenceBroker(record) => NodeId(record.id),
            _ => return,
        };
        if let Some(broker) = self.image.cluster.broker(id) {
            self.heartbeats.register(id, broker.fenced);
        }
    }

    /// Puts the dynamic configurations over the node's own. One that can't be used leaves the last usable one: the
    /// controller checks before it writes, so that is a value of another release.
    fn apply_node_configs(&mut self) {
        let of =
            |resource: ConfigResource| self.image.configs.get(&resource).map(|c| (**c).clone()).unwrap_or_default();
        let cluster = of(ConfigResource::broker_default());
        let broker = of(ConfigResource::broker(self.settings.node.node_id));
        if let Ok(node) = self.settings.node.with_dynamic(&cluster, &broker) {
            self.node = Arc::new(node);
        }
    }

    pub(crate) fn metadata_version(&self) -> MetadataVersion {
        self.image.features.metadata_version().unwrap_or(MetadataVersion::MINIMUM)
    }

    /// The configuration that counts for a topic. A stored value that can't be used counts as unset.
    pub(crate) fn topic_config(&self, topic: &str) -> TopicConfig {
        let defaults = &self.node.topic_defaults;
        let overrides = self.image.configs.get(&ConfigResource::topic(topic));
        overrides
            .and_then(|overrides| TopicConfig::resolve(defaults, overrides).ok())
            .unwrap_or_else(|| defaults.clone())
    }

    pub(crate) fn is_active_broker(&self, id: BrokerId) -> bool {
        self.image.cluster.broker(id).is_some_and(|broker| broker.is_active())
    }
}
