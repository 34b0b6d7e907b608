use crate::OrderedMap;
use ottla_types::{BrokerId, DirectoryId, LeaderEpoch, NodeId, PartitionIndex, TopicId};
use std::sync::Arc;

/// Ids of log directories that stand for a state instead of a directory (KIP-858).
pub mod directory_id {
    use ottla_types::DirectoryId;

    /// The replica was placed before directories had ids.
    pub const MIGRATING: DirectoryId = DirectoryId::from_u128(0);
    /// The broker chooses the directory and reports it.
    pub const UNASSIGNED: DirectoryId = DirectoryId::from_u128(1);
    /// The directory that held the replica has failed.
    pub const LOST: DirectoryId = DirectoryId::from_u128(2);

    /// Whether the id may not name a real directory: the first hundred are kept for meanings.
    pub fn is_reserved(id: DirectoryId) -> bool {
        id.as_u128() < 100
    }
}

/// Whether a partition's leader was elected cleanly (KIP-704).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum LeaderRecoveryState {
    /// The leader has what its predecessor had.
    #[default]
    Recovered,
    /// The leader was elected uncleanly and has not finished recovering.
    Recovering,
}

impl LeaderRecoveryState {
    /// The state of that number in records and requests.
    pub fn from_code(code: i8) -> Option<Self> {
        match code {
            0 => Some(Self::Recovered),
            1 => Some(Self::Recovering),
            _ => None,
        }
    }

    /// The number in records and requests.
    pub const fn code(self) -> i8 {
        match self {
            Self::Recovered => 0,
            Self::Recovering => 1,
        }
    }
}

/// One partition as the metadata log describes it.
///
/// `directories` is parallel to `replicas`. `in_sync_replicas` is a subset of `replicas`; it is empty only when the last
/// member was lost and eligible leader replicas keep count of who may lead.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Partition {
    /// The brokers that hold a copy; the first is the preferred leader.
    pub replicas: Vec<BrokerId>,
    /// The log directory of each replica.
    pub directories: Vec<DirectoryId>,
    /// The replicas that have all committed records.
    pub in_sync_replicas: Vec<BrokerId>,
    /// The replicas that a reassignment is taking away.
    pub removing_replicas: Vec<BrokerId>,
    /// The replicas that a reassignment is adding.
    pub adding_replicas: Vec<BrokerId>,
    /// Replicas outside the in-sync set that still have all committed records (KIP-966).
    pub eligible_leader_replicas: Vec<BrokerId>,
    /// The last leader, kept when nobody is left who may lead (KIP-966).
    pub last_known_eligible_leader_replicas: Vec<BrokerId>,
    /// The leader; [`NodeId::NONE`] when there is none.
    pub leader: BrokerId,
    /// Whether the leader still recovers from an unclean election.
    pub leader_recovery_state: LeaderRecoveryState,
    /// Grows with each election.
    pub leader_epoch: LeaderEpoch,
    /// Grows with each change of this partition.
    pub partition_epoch: i32,
}

impl Partition {
    /// Whether there is a leader.
    pub fn has_leader(&self) -> bool {
        self.leader != NodeId::NONE
    }

    /// Whether the leader is the first replica.
    pub fn has_preferred_leader(&self) -> bool {
        self.replicas.first() == Some(&self.leader)
    }

    /// Whether replicas are being added or removed.
    pub fn is_reassigning(&self) -> bool {
        !self.adding_replicas.is_empty() || !self.removing_replicas.is_empty()
    }

    /// The directory of that broker's copy; `None` if it holds none.
    pub fn directory(&self, broker: BrokerId) -> Option<DirectoryId> {
        let position = self.replicas.iter().position(|replica| *replica == broker)?;
        self.directories.get(position).copied()
    }
}

/// One topic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Topic {
    /// Its name.
    pub name: Arc<str>,
    /// Its id.
    pub id: TopicId,
    /// Its partitions.
    pub partitions: OrderedMap<PartitionIndex, Arc<Partition>>,
}

/// All topics.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct TopicsImage {
    pub(crate) by_id: OrderedMap<TopicId, Arc<Topic>>,
    pub(crate) ids_by_name: OrderedMap<Arc<str>, TopicId>,
}

impl TopicsImage {
    /// The topic of that id.
    pub fn topic(&self, id: TopicId) -> Option<&Arc<Topic>> {
        self.by_id.get(&id)
    }

    /// The topic of that name.
    pub fn topic_by_name(&self, name: &str) -> Option<&Arc<Topic>> {
        self.topic(*self.ids_by_name.get(name)?)
    }

    /// The id of the topic of that name.
    pub fn topic_id(&self, name: &str) -> Option<TopicId> {
        self.ids_by_name.get(name).copied()
    }

    /// One partition.
    pub fn partition(&self, id: TopicId, partition: PartitionIndex) -> Option<&Arc<Partition>> {
        self.topic(id)?.partitions.get(&partition)
    }

    /// How many topics there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there are no topics.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// All topics in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.by_id.values()
    }

    /// All topics in the order of their names.
    pub fn iter_by_name(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.ids_by_name.values().filter_map(|id| self.topic(*id))
    }

    /// The topics from the name `first` on, in the order of their names.
    pub fn iter_by_name_from<'a>(&'a self, first: &'a str) -> impl Iterator<Item = &'a Arc<Topic>> {
        self.ids_by_name.iter_from(first).filter_map(|(_, id)| self.topic(*id))
    }

    /// All partitions with their topics, in the order of topic ids and partition numbers.
    pub fn partitions(&self) -> impl Iterator<Item = (&Arc<Topic>, PartitionIndex, &Arc<Partition>)> {
        self.iter().flat_map(|topic| topic.partitions.iter().map(move |(index, partition)| (topic, *index, partition)))
    }
}
