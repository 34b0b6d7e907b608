//! Between the machine and the messages: the one topic and partition, endpoints, and the leader as answers name it.

use crate::{ControllerEndpoint, OffsetAndEpoch, Raft, ReplicaKey, SnapshotId};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{
    add_raft_voter_request, begin_quorum_epoch_request, begin_quorum_epoch_response, end_quorum_epoch_request,
    end_quorum_epoch_response, fetch_response, fetch_snapshot_response, update_raft_voter_request, vote_response,
};
use ottla_types::{LeaderEpoch, NodeId, Offset};

/// The topic that the quorum keeps.
pub(crate) const METADATA_TOPIC: &str = "__cluster_metadata";

/// The only element of a list; messages of the quorum have one topic with one partition.
pub(crate) fn only<T>(list: &[T]) -> Option<&T> {
    match list {
        [only] => Some(only),
        _ => None,
    }
}

/// The only partition of a message with topics by name, if it is the quorum's.
macro_rules! metadata_partition {
    ($topics:expr, $name:ident, $index:ident) => {
        $crate::messages::only(&$topics)
            .filter(|topic| topic.$name == $crate::messages::METADATA_TOPIC)
            .and_then(|topic| $crate::messages::only(&topic.partitions))
            .filter(|partition| partition.$index == 0)
    };
}
pub(crate) use metadata_partition;

/// The endpoints of a message, which come as a type of their own with each.
pub(crate) trait WireEndpoint {
    fn to_endpoint(&self) -> ControllerEndpoint;
}

macro_rules! named_endpoint {
    ($($type:ty),*) => {
        $(impl WireEndpoint for $type {
            fn to_endpoint(&self) -> ControllerEndpoint {
                ControllerEndpoint { name: self.name.clone(), host: self.host.clone(), port: self.port }
            }
        }
        impl From<&ControllerEndpoint> for $type {
            fn from(endpoint: &ControllerEndpoint) -> Self {
                Self {
                    name: endpoint.name.clone(),
                    host: endpoint.host.clone(),
                    port: endpoint.port,
                    ..Default::default()
                }
            }
        })*
    };
}

named_endpoint!(
    begin_quorum_epoch_request::LeaderEndpoint,
    end_quorum_epoch_request::LeaderEndpoint,
    update_raft_voter_request::Listener,
    add_raft_voter_request::Listener
);

pub(crate) fn endpoints_of<T: WireEndpoint>(list: &[T]) -> Vec<ControllerEndpoint> {
    list.iter().map(WireEndpoint::to_endpoint).collect()
}

/// Where an answer says that a node is reached: an address on the listener on which it was asked.
pub(crate) trait NodeEndpoint {
    fn new(id: NodeId, host: String, port: u16) -> Self;
    /// Its id, host and port.
    fn parts(&self) -> (i32, &str, Option<u16>);
}

macro_rules! node_endpoint {
    ($($type:ty),*) => {
        $(impl NodeEndpoint for $type {
            fn new(id: NodeId, host: String, port: u16) -> Self {
                Self { node_id: id.0, host, port: port.into(), ..Default::default() }
            }
            fn parts(&self) -> (i32, &str, Option<u16>) {
                (self.node_id, &self.host, self.port.try_into().ok())
            }
        })*
    };
}

node_endpoint!(
    vote_response::NodeEndpoint,
    begin_quorum_epoch_response::NodeEndpoint,
    end_quorum_epoch_response::NodeEndpoint,
    fetch_response::NodeEndpoint,
    fetch_snapshot_response::NodeEndpoint
);

/// The error of a code in an answer. A code of a later release is an unknown error.
pub(crate) fn error_of(code: i16) -> ErrorCode {
    ErrorCode::from_code(code).unwrap_or(ErrorCode::UnknownServerError)
}

/// The snapshot that two numbers of a message name; `None` if they name none.
pub(crate) fn snapshot_id(end_offset: i64, epoch: i32) -> Option<SnapshotId> {
    (end_offset >= 0 && epoch >= 0)
        .then_some(SnapshotId(OffsetAndEpoch { offset: Offset(end_offset), epoch: LeaderEpoch(epoch) }))
}

/// What an answer says about who leads.
pub(crate) struct LeaderClaim {
    pub(crate) epoch: LeaderEpoch,
    pub(crate) leader: Option<NodeId>,
    pub(crate) endpoints: Vec<ControllerEndpoint>,
    /// Whether the message itself says where the leader is reached, and not the voters.
    pub(crate) is_told: bool,
}

impl Raft {
    /// The id of the leader as messages name it; -1 for none.
    pub(crate) fn wire_leader(&self) -> i32 {
        self.leader().unwrap_or(NodeId::NONE).0
    }

    /// The leader's address on a listener, for an answer in a version that can carry it.
    pub(crate) fn node_endpoints<T: NodeEndpoint>(&self, listener: &str, can_carry: bool) -> Vec<T> {
        let leader = self.leader().filter(|_| can_carry);
        let address = crate::voters::address_on(&self.leader_endpoints, listener);
        leader.zip(address).map(|(id, address)| T::new(id, address.host, address.port)).into_iter().collect()
    }

    /// What an answer says about the leader. Without an address in it, the voters say where it is reached.
    pub(crate) fn claim<T: NodeEndpoint>(&self, leader: i32, epoch: i32, nodes: &[T]) -> LeaderClaim {
        let listener = &self.settings.listener;
        let node = nodes.iter().map(NodeEndpoint::parts).find(|(id, ..)| *id == leader);
        let told = node.and_then(|(_, host, port)| Some((host.to_owned(), port?)));
        let told = told.map(|(host, port)| vec![ControllerEndpoint { name: listener.clone(), host, port }]);
        self.claim_of(leader, epoch, told.unwrap_or_default())
    }

    /// The same, of a message with named endpoints.
    pub(crate) fn claim_of(&self, leader: i32, epoch: i32, told: Vec<ControllerEndpoint>) -> LeaderClaim {
        let leader = (leader >= 0).then_some(NodeId(leader));
        let is_told = !told.is_empty();
        let endpoints = if told.is_empty() {
            leader.and_then(|id| self.voters().get(id)).map(|voter| voter.endpoints.clone()).unwrap_or_default()
        } else {
            told
        };
        LeaderClaim { epoch: LeaderEpoch(epoch), leader, endpoints, is_told }
    }

    /// Whether a request is meant for this cluster: it names it, or none.
    pub(crate) fn is_of_this_cluster(&self, cluster_id: Option<&str>) -> bool {
        cluster_id.is_none_or(|id| id == self.settings.cluster_id)
    }

    /// Whether a request is meant for this replica: it names it, or none. One for an earlier directory is not.
    pub(crate) fn is_meant(&self, voter_id: i32, directory: ottla_types::DirectoryId) -> bool {
        voter_id < 0 || ReplicaKey::from_wire(voter_id, directory).matches(&self.settings.local)
    }

    /// What a request of a candidate or a leader must be, to be looked at.
    pub(crate) fn check_voter_request(&self, remote: i32, epoch: i32) -> Option<ErrorCode> {
        if LeaderEpoch(epoch) < self.election.epoch {
            Some(ErrorCode::FencedLeaderEpoch)
        } else if remote < 0 {
            Some(ErrorCode::InvalidRequest)
        } else {
            None
        }
    }

    /// What a request must be, to be answered by a leader.
    pub(crate) fn check_leader_request(&self, epoch: LeaderEpoch) -> Option<ErrorCode> {
        if epoch < self.election.epoch {
            Some(ErrorCode::FencedLeaderEpoch)
        } else if epoch > self.election.epoch {
            Some(ErrorCode::UnknownLeaderEpoch)
        } else if !self.is_leader() {
            Some(ErrorCode::NotLeaderOrFollower)
        } else {
            None
        }
    }
}
