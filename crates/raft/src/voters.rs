use crate::ReplicaKey;
use crate::settings::Address;
use ottla_protocol::raft_records::{VotersRecord, voters_record};
use ottla_types::NodeId;
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

/// The levels of `kraft.version` that a voter understands. Levels of later releases are kept as they come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KraftVersions {
    /// The lowest.
    pub min: i16,
    /// The highest.
    pub max: i16,
}

impl KraftVersions {
    /// What this release understands.
    pub const SUPPORTED: Self = Self { min: KraftVersion::Static.level(), max: KraftVersion::Dynamic.level() };

    /// Whether that level is among them.
    pub const fn contains(&self, version: KraftVersion) -> bool {
        self.min <= version.level() && version.level() <= self.max
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

/// The address on the listener of that name. Names of listeners are equal whatever their case.
pub(crate) fn address_on(endpoints: &[ControllerEndpoint], listener: &str) -> Option<Address> {
    let found = endpoints.iter().find(|endpoint| endpoint.name.eq_ignore_ascii_case(listener))?;
    Some(Address { host: found.host.clone(), port: found.port })
}

/// A voter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Voter {
    /// Which replica it is.
    pub key: ReplicaKey,
    /// Where it is reached.
    pub endpoints: Vec<ControllerEndpoint>,
    /// What it understands.
    pub kraft_versions: KraftVersions,
}

impl Voter {
    /// A voter of this release.
    pub const fn new(key: ReplicaKey, endpoints: Vec<ControllerEndpoint>) -> Self {
        Self { key, endpoints, kraft_versions: KraftVersions::SUPPORTED }
    }
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

    /// The voter of that id.
    pub fn get(&self, id: NodeId) -> Option<&Voter> {
        self.voters.get(&id)
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

    /// This set and one more; `None` if one of that id is in it.
    pub fn with(&self, voter: Voter) -> Option<Self> {
        if self.voters.contains_key(&voter.key.id) {
            return None;
        }
        let mut voters = self.voters.clone();
        voters.insert(voter.key.id, voter);
        Some(Self { voters })
    }

    /// This set without that replica; `None` if exactly this one is not in it, or nobody else is.
    pub fn without(&self, replica: &ReplicaKey) -> Option<Self> {
        let voter = self.voters.get(&replica.id)?;
        if voter.key != *replica || self.voters.len() == 1 {
            return None;
        }
        let mut voters = self.voters.clone();
        voters.remove(&replica.id);
        Some(Self { voters })
    }

    /// This set with what that voter says of itself now; `None` if it is not one.
    pub fn updated(&self, voter: Voter) -> Option<Self> {
        self.is_voter(&voter.key).then(|| {
            let mut voters = self.voters.clone();
            voters.insert(voter.key.id, voter);
            Self { voters }
        })
    }

    /// The same, going by the id alone: static voters have no directories yet.
    pub fn updated_by_id(&self, voter: Voter) -> Option<Self> {
        self.voters.contains_key(&voter.key.id).then(|| {
            let mut voters = self.voters.clone();
            voters.insert(voter.key.id, voter);
            Self { voters }
        })
    }

    /// Whether that voter is in this set, but described in another way.
    pub fn needs_update(&self, voter: &Voter) -> bool {
        self.voters.get(&voter.key.id).is_some_and(|known| known.key.matches(&voter.key) && known != voter)
    }

    /// Whether every majority of this set has a replica in common with every majority of the other: they differ by at most
    /// one replica that goes and one that comes.
    pub fn overlaps(&self, other: &Self) -> bool {
        let missing = |from: &Self, to: &Self| {
            from.iter().filter(|voter| to.get(voter.key.id).is_none_or(|same| same.key != voter.key)).count()
        };
        missing(self, other) <= 1 && missing(other, self) <= 1
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
            voter_directory_id: voter.key.wire_directory(),
            endpoints: voter.endpoints.iter().map(endpoint).collect(),
            kraft_version_feature: voters_record::KRaftVersionFeature {
                min_supported_version: voter.kraft_versions.min,
                max_supported_version: voter.kraft_versions.max,
                ..Default::default()
            },
            ..Default::default()
        };
        VotersRecord { version: 0, voters: self.iter().map(voter).collect(), ..Default::default() }
    }

    /// The set that a record states.
    pub fn from_record(record: &VotersRecord) -> Self {
        Self::new(record.voters.iter().map(|voter| {
            let endpoint = |e: &voters_record::Endpoint| ControllerEndpoint {
                name: e.name.clone(),
                host: e.host.clone(),
                port: e.port,
            };
            Voter {
                key: ReplicaKey::from_wire(voter.voter_id, voter.voter_directory_id),
                endpoints: voter.endpoints.iter().map(endpoint).collect(),
                kraft_versions: KraftVersions {
                    min: voter.kraft_version_feature.min_supported_version,
                    max: voter.kraft_version_feature.max_supported_version,
                },
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_types::DirectoryId;

    fn voter(id: i32, directory: u128) -> Voter {
        Voter::new(ReplicaKey::new(NodeId(id), DirectoryId::from_u128(directory)), Vec::new())
    }

    fn set(voters: &[(i32, u128)]) -> VoterSet {
        VoterSet::new(voters.iter().map(|(id, directory)| voter(*id, *directory)))
    }

    #[test]
    fn a_set_changes_by_one_voter_at_a_time() {
        let three = set(&[(1, 1), (2, 2), (3, 3)]);
        let four = three.with(voter(4, 4)).unwrap();
        assert_eq!((four.len(), four.majority()), (4, 3));
        assert_eq!(three.with(voter(3, 9)), None);
        assert_eq!(four.without(&voter(4, 4).key), Some(three.clone()));
        assert_eq!(three.without(&voter(3, 9).key), None);
        assert_eq!(set(&[(1, 1)]).without(&voter(1, 1).key), None);
    }

    #[test]
    fn sets_that_differ_by_more_than_one_voter_do_not_overlap() {
        let three = set(&[(1, 1), (2, 2), (3, 3)]);
        assert!(three.overlaps(&three));
        assert!(three.overlaps(&set(&[(1, 1), (2, 2)])));
        assert!(three.overlaps(&set(&[(1, 1), (2, 2), (3, 4)])));
        assert!(!three.overlaps(&set(&[(1, 1)])));
        assert!(!set(&[(1, 1)]).overlaps(&three));
    }

    #[test]
    fn a_voter_needs_an_update_only_if_it_is_the_same_replica() {
        let three = set(&[(1, 1), (2, 2), (3, 3)]);
        let mut moved = voter(2, 2);
        assert!(!three.needs_update(&moved));
        moved.endpoints.push(ControllerEndpoint { name: "C".to_owned(), host: "h".to_owned(), port: 1 });
        assert!(three.needs_update(&moved));
        assert!(!three.needs_update(&Voter { key: voter(2, 7).key, ..moved.clone() }));
        assert_eq!(three.updated(moved.clone()).unwrap().get(NodeId(2)), Some(&moved));
        assert_eq!(three.updated(voter(2, 7)), None);
        assert_eq!(three.updated_by_id(voter(2, 7)).unwrap().get(NodeId(2)), Some(&voter(2, 7)));
    }
}
