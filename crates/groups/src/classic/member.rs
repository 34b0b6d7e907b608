use super::weight::Weight;
use crate::Token;
use bytes::Bytes;
use ottla_protocol::messages::describe_groups_response::DescribedGroupMember;
use ottla_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use std::sync::Arc;

/// A way to assign that a member supports, with what it tells the assigning leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protocol {
    /// The name, `range` for example.
    pub name: String,
    /// For members of the type `consumer`: the subscription.
    pub metadata: Bytes,
}

impl From<JoinGroupRequestProtocol> for Protocol {
    fn from(protocol: JoinGroupRequestProtocol) -> Self {
        Self { name: protocol.name, metadata: protocol.metadata }
    }
}

/// A request that waits for its reply, with the version that the reply must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parked {
    pub(crate) token: Token,
    pub(crate) api_version: i16,
}

/// A member of a classic group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Made by the coordinator when the member first joined.
    pub member_id: Arc<str>,
    /// Set for a static member (KIP-345).
    pub group_instance_id: Option<Arc<str>>,
    /// The client id of the join.
    pub client_id: Arc<str>,
    /// The address of the join, a slash before it.
    pub client_host: Arc<str>,
    /// How long the member may take to rejoin, in milliseconds.
    pub rebalance_timeout_ms: i32,
    /// How long the member may be silent, in milliseconds.
    pub session_timeout_ms: i32,
    /// The protocols it supports, most wanted first.
    pub protocols: Vec<Protocol>,
    /// What the leader assigned to it in this generation; `None` before the first assignment.
    pub assignment: Option<Bytes>,
    /// Joined, but has not seen a generation yet.
    pub(super) is_new: bool,
    /// The JoinGroup that waits for the generation. Only the group sets it: it counts them.
    pub(super) awaiting_join: Option<Parked>,
    /// The SyncGroup that waits for the assignment.
    pub(super) awaiting_sync: Option<Parked>,
    /// What it takes of the memory for members.
    pub(super) weight: Weight,
}

impl Member {
    /// One that has been in a consumer group, without an assignment.
    pub(crate) fn of_migration(
        member_id: Arc<str>,
        before: &crate::consumer::ConsumerMember,
        session_timeout_ms: i32,
        protocols: Vec<Protocol>,
    ) -> Self {
        Self {
            member_id,
            group_instance_id: before.instance_id.as_deref().map(Arc::from),
            client_id: before.client_id.as_str().into(),
            client_host: before.client_host.as_str().into(),
            rebalance_timeout_ms: before.rebalance_timeout_ms,
            session_timeout_ms,
            protocols,
            assignment: None,
            is_new: false,
            awaiting_join: None,
            awaiting_sync: None,
            weight: Weight::default(),
        }
    }

    /// Whether it is a static member.
    pub fn is_static(&self) -> bool {
        self.group_instance_id.is_some()
    }

    /// Whether its JoinGroup waits for the next generation.
    pub fn is_awaiting_join(&self) -> bool {
        self.awaiting_join.is_some()
    }

    /// A member that waits for the coordinator need not send heartbeats. A new one does not count: it may have gone
    /// away before it learned its id, and its own, longer timeout tells.
    pub(super) fn has_satisfied_heartbeat(&self) -> bool {
        !self.is_new && (self.awaiting_join.is_some() || self.awaiting_sync.is_some())
    }

    /// What the member says under the protocol; empty when it does not support it.
    pub(crate) fn metadata(&self, protocol_name: &str) -> Bytes {
        self.protocols
            .iter()
            .find(|protocol| protocol.name == protocol_name)
            .map(|protocol| protocol.metadata.clone())
            .unwrap_or_default()
    }

    /// The member as the DescribeGroups API shows it; with its metadata when the group has a protocol to show.
    pub(crate) fn describe(&self, protocol_name: Option<&str>) -> DescribedGroupMember {
        DescribedGroupMember {
            member_id: self.member_id.to_string(),
            group_instance_id: self.group_instance_id.as_deref().map(str::to_owned),
            client_id: self.client_id.to_string(),
            client_host: self.client_host.to_string(),
            member_metadata: protocol_name.map(|name| self.metadata(name)).unwrap_or_default(),
            member_assignment: self.assignment.clone().unwrap_or_default(),
            ..Default::default()
        }
    }
}
