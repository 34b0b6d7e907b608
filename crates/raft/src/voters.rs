use crate::ReplicaKey;
use ottla_protocol::raft_records::{VotersRecord, voters_record};
use ottla_types::{DirectoryId, NodeId};
use std::collections::BTreeMap;

/// The level of the `kraft.version` feature.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum KraftVersion {
    /// The voters are configured on every node by hand.
    #[default]
    Static,
    /// The voters are in the log and can change (KIP-853).
    Dynamic,
}

impl KraftVersion {
    /// The feature level.
    pub const fn level(self) -> i16 {
        match self {
            Self::Static => 0,
            Self::Dynamic => 1,
        }
    }

    /// The version of that level.
    pub const fn from_level(level: i16) -> Option<Self> {
        match level {
            0 => Some(Self::Static),
            1 => Some(Self::Dynamic),
            _ => None,
        }
    }
}

/// Where a voter is reached by the others.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ControllerEndpoint {
    /// The listener's name.
    pub name: String,
    /// A host name or an address.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// A voter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Voter {
    /// Which replica it is.
    pub key: ReplicaKey,
    /// Where it is reached.
    pub endpoints: Vec<ControllerEndpoint>,
}

/// The replicas that elect the leader and of which a majority makes a record committed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct VoterSet {
    voters: BTreeMap<NodeId, Voter>,
}

impl VoterSet {
    /// A set of these voters; of two with the same id, the last counts.
    pub fn new(voters: impl IntoIterator<Item = Voter>) -> Self {
        Self { voters: voters.into_iter().map(|voter| (voter.key.id, voter)).collect() }
    }

    /// All voters in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &Voter> {
        self.voters.values()
    }

    /// The ids of all voters, ascending.
    pub fn ids(&self) -> impl Iterator<Item = NodeId> {
        self.voters.keys().copied()
    }

    /// How many voters there are.
    pub fn len(&self) -> usize {
        self.voters.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.voters.is_empty()
    }

    /// How many votes, or copies of a record, are a majority.
    pub fn majority(&self) -> usize {
        self.voters.len() / 2 + 1
    }

    /// Whether that replica is a voter.
    pub fn is_voter(&self, replica: &ReplicaKey) -> bool {
        self.voters.get(&replica.id).is_some_and(|voter| voter.key.matches(replica))
    }

    /// Whether that replica is the one and only voter.
    pub fn is_only_voter(&self, replica: &ReplicaKey) -> bool {
        self.voters.len() == 1 && self.is_voter(replica)
    }

    /// The record that states this set in a log of dynamic voters.
    pub fn to_record(&self) -> VotersRecord {
        let endpoint = |endpoint: &ControllerEndpoint| voters_record::Endpoint {
            name: endpoint.name.clone(),
            host: endpoint.host.clone(),
            port: endpoint.port,
            ..Default::default()
        };
        let voter = |voter: &Voter| voters_record::Voter {
            voter_id: voter.key.id.0,
            voter_directory_id: voter.key.directory.unwrap_or(DirectoryId::ZERO),
            endpoints: voter.endpoints.iter().map(endpoint).collect(),
            kraft_version_feature: voters_record::KRaftVersionFeature {
                min_supported_version: KraftVersion::Static.level(),
                max_supported_version: KraftVersion::Dynamic.level(),
                ..Default::default()
            },
            ..Default::default()
        };
        VotersRecord { version: 0, voters: self.iter().map(voter).collect(), ..Default::default() }
    }

    /// The set that a record states.
    pub fn from_record(record: &VotersRecord) -> Self {
        Self::new(record.voters.iter().map(|voter| {
            Voter {
                key: ReplicaKey {
                    id: NodeId(voter.voter_id),
                    directory: (!voter.voter_directory_id.is_zero()).then_some(voter.voter_directory_id),
                },
                endpoints: voter
                    .endpoints
                    .iter()
                    .map(|e| ControllerEndpoint { name: e.name.clone(), host: e.host.clone(), port: e.port })
                    .collect(),
            }
        }))
    }
}
