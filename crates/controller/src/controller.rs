use crate::brokers::Heartbeats;
use crate::partitions::PartitionsByState;
use crate::random::Seed;
use crate::schedule::{Periods, Schedule};
use crate::topics::CollidingNames;
use crate::uncommitted::Uncommitted;
use ottla_config::{NodeConfig, TopicConfig};
use ottla_metadata::{ConfigResource, MetadataImage, MetadataVersionExt};
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
    /// How often to do what nobody asks for.
    pub periods: Periods,
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

/// The controller of one cluster. Decisions take `&mut self` only for the sessions of brokers and the times of periodic
/// work; metadata changes by replaying records alone.
#[derive(Debug)]
pub struct Controller {
    pub(crate) settings: Settings,
    /// The node's configuration under the dynamic one.
    pub(crate) node: Arc<NodeConfig>,
    pub(crate) image: MetadataImage,
    /// The image before the open transaction of records, if one is open.
    pub(crate) transaction: Option<Box<MetadataImage>>,
    pub(crate) names: CollidingNames,
    pub(crate) by_state: PartitionsByState,
    /// Where each broker's registration stands in the log: it may be unfenced only when it has replayed that far.
    pub(crate) registration_offsets: BTreeMap<BrokerId, Offset>,
    pub(crate) heartbeats: Heartbeats,
    pub(crate) schedule: Schedule,
    pub(crate) uncommitted: Uncommitted,
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
            by_state: PartitionsByState::default(),
            registration_offsets: BTreeMap::new(),
            schedule: Schedule::default(),
            uncommitted: Uncommitted::default(),
        };
        controller.reset(image);
        controller
    }

    /// Everything replayed so far.
    pub fn image(&self) -> &MetadataImage {
        &self.image
    }

    /// Replaces the state by that of a snapshot.
    pub fn reset(&mut self, image: MetadataImage) {
        // The broker's registration lies in the image, so anything that it must have replayed ends there.
        let offset = image.provenance.offset;
        self.registration_offsets = image.cluster.brokers.keys().map(|id| (*id, offset)).collect();
        self.uncommitted = Uncommitted::default();
        self.transaction = None;
        self.set_image(image);
    }

    pub(crate) fn set_image(&mut self, image: MetadataImage) {
        self.names = CollidingNames::of(&image);
        self.by_state = PartitionsByState::of(&image);
        self.image = image;
        self.apply_node_configs();
    }

    /// Takes over an equal image that was built elsewhere from the same records, so that both are one in memory. Does
    /// nothing if the other one has not replayed exactly as far. Call it after each publication.
    pub fn share(&mut self, image: &MetadataImage) {
        if self.transaction.is_none() && image.provenance.offset == self.image.provenance.offset {
            self.image = image.clone();
        }
    }

    /// This node leads the quorum from now on, and has replayed everything that is committed. Every unfenced broker gets a
    /// whole session to report in.
    pub fn activate(&mut self, now: Duration) {
        self.heartbeats.start(now);
        self.schedule = Schedule::starting(&self.periods(), now);
        for broker in self.image.cluster.brokers.values() {
            self.heartbeats.register(broker.id, broker.fenced);
            if !broker.fenced {
                self.heartbeats.contact(broker.id, broker.epoch, now);
            }
        }
    }

    /// The quorum has other voters now: each has to be registered before a feature's level may change. A voter that was alone
    /// gives the others a sign from now on that the log still moves, and one that is alone now none.
    pub fn set_voters(&mut self, voters: BTreeSet<NodeId>) {
        self.settings.voters = voters;
        let periods = self.periods();
        self.schedule.set_periods(&periods);
    }

    /// How often to do what, as things are: a quorum of one needs no sign that its log still moves.
    pub(crate) fn periods(&self) -> Periods {
        let periods = self.settings.periods;
        Periods { no_op: periods.no_op.filter(|_| self.settings.voters.len() > 1), ..periods }
    }

    /// The quorum has another level of `kraft.version` now.
    pub fn set_kraft_version(&mut self, level: i16) {
        self.settings.kraft_version = level;
    }

    /// Puts the dynamic configurations over the node's own. One that can't be used leaves the last usable one: the
    /// controller checks before it writes, so that is a value of another release.
    pub(crate) fn apply_node_configs(&mut self) {
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
