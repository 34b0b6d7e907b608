use ottla_types::{BrokerEpoch, BrokerId, LeaderEpoch};
use std::collections::BTreeMap;

/// A partition as the metadata has it, with what the metadata says of the brokers that hold its replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionState {
    /// Who leads; nobody while no replica may.
    pub leader: Option<BrokerId>,
    /// Grows with each election.
    pub leader_epoch: LeaderEpoch,
    /// Grows with each change.
    pub partition_epoch: i32,
    /// All replicas, those that are being added among them.
    pub replicas: Vec<BrokerId>,
    /// The replicas that a reassignment adds.
    pub adding: Vec<BrokerId>,
    /// The replicas that a reassignment will remove.
    pub removing: Vec<BrokerId>,
    /// The replicas in sync.
    pub in_sync: Vec<BrokerId>,
    /// The registered brokers among the replicas.
    pub brokers: BTreeMap<BrokerId, BrokerStatus>,
}

/// What the metadata says of a registered broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokerStatus {
    /// The epoch of its registration.
    pub epoch: BrokerEpoch,
    /// Whether the controller has not heard of it for too long, or not yet.
    pub is_fenced: bool,
    /// Whether it is shutting down in an orderly way.
    pub is_shutting_down: bool,
}

impl PartitionState {
    /// Whether a reassignment is under way.
    pub fn is_reassigning(&self) -> bool {
        !self.adding.is_empty() || !self.removing.is_empty()
    }

    /// How many replicas the partition should have: those that a reassignment adds count only when it ends.
    pub fn replication_factor(&self) -> usize {
        self.replicas.iter().filter(|id| !self.adding.contains(id)).count()
    }

    /// Whether the broker gets its replica by a reassignment: its traffic is counted as such.
    pub fn is_adding(&self, broker: BrokerId) -> bool {
        self.adding.contains(&broker)
    }
}

impl BrokerStatus {
    /// Whether its replicas may be in sync (KIP-841).
    pub(crate) fn may_be_in_sync(self) -> bool {
        !self.is_fenced && !self.is_shutting_down
    }
}
