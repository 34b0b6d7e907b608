use ottla_types::{BrokerEpoch, BrokerId, DirectoryId, NodeId, Uuid};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where one listener of a node is reached.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Endpoint {
    /// The listener's name.
    pub name: String,
    /// A host name or an address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The security protocol's number: 0 PLAINTEXT, 1 SSL, 2 SASL_PLAINTEXT, 3 SASL_SSL.
    pub security_protocol: i16,
}

/// The levels of a feature that a node can run, both ends included.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct VersionRange {
    /// The lowest.
    pub min: i16,
    /// The highest.
    pub max: i16,
}

impl VersionRange {
    /// Whether the level lies in the range.
    pub const fn contains(self, level: i16) -> bool {
        self.min <= level && level <= self.max
    }
}

/// A registered broker.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct BrokerRegistration {
    /// Its id.
    pub id: BrokerId,
    /// The epoch of this registration.
    pub epoch: BrokerEpoch,
    /// Drawn anew by each start of the broker.
    pub incarnation_id: Uuid,
    /// Its listeners, in the order in which it named them.
    pub endpoints: Vec<Endpoint>,
    /// What it can run.
    pub features: BTreeMap<String, VersionRange>,
    /// Where it stands.
    pub rack: Option<String>,
    /// Whether it may not lead or be in sync: newly registered, or not heard of for the session timeout.
    pub fenced: bool,
    /// Whether it is handing over its leaderships.
    pub in_controlled_shutdown: bool,
    /// Left over from the migration away from ZooKeeper; kept because the record has it.
    pub is_migrating_zk_broker: bool,
    /// Its log directories that work.
    pub log_dirs: Vec<DirectoryId>,
    /// Its log directories that take no new replicas (KIP-1066); `None` until the broker has said so.
    pub cordoned_log_dirs: Option<Vec<DirectoryId>>,
}

impl BrokerRegistration {
    /// Neither fenced nor shutting down: may lead, be in sync and take new replicas.
    pub fn is_active(&self) -> bool {
        !self.fenced && !self.in_controlled_shutdown
    }

    /// Whether a replica in that directory can serve.
    pub fn has_online_directory(&self, directory: DirectoryId) -> bool {
        use crate::directory_id::{LOST, MIGRATING, UNASSIGNED};
        match directory {
            UNASSIGNED | MIGRATING => true,
            LOST => false,
            // A broker registered before directories had ids names none: assume that they work, it would stop if not.
            _ => self.log_dirs.is_empty() || self.log_dirs.contains(&directory),
        }
    }

    /// Whether at least one directory takes new replicas.
    pub fn has_uncordoned_directories(&self) -> bool {
        match &self.cordoned_log_dirs {
            Some(cordoned) if !self.log_dirs.is_empty() => self.log_dirs.iter().any(|dir| !cordoned.contains(dir)),
            _ => true,
        }
    }

    /// The listener of that name.
    pub fn endpoint(&self, listener: &str) -> Option<&Endpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.name == listener)
    }
}

/// A registered controller.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ControllerRegistration {
    /// Its id.
    pub id: NodeId,
    /// Drawn anew by each start.
    pub incarnation_id: Uuid,
    /// Left over from the migration away from ZooKeeper; kept because the record has it.
    pub zk_migration_ready: bool,
    /// Its controller listeners.
    pub endpoints: Vec<Endpoint>,
    /// What it can run.
    pub features: BTreeMap<String, VersionRange>,
}

/// All registered nodes.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ClusterImage {
    /// The brokers. Few enough that a change may copy the list.
    pub brokers: Arc<BTreeMap<BrokerId, Arc<BrokerRegistration>>>,
    /// The controllers.
    pub controllers: Arc<BTreeMap<NodeId, Arc<ControllerRegistration>>>,
}

impl ClusterImage {
    /// The broker of that id.
    pub fn broker(&self, id: BrokerId) -> Option<&Arc<BrokerRegistration>> {
        self.brokers.get(&id)
    }
}
