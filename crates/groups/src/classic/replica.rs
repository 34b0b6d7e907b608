//! A classic group as a record, and back.

use super::weight::Weight;
use super::{ClassicGroup, ClassicGroupState, Member, Protocol};
use crate::GroupRecord;
use bytes::Bytes;
use ottla_protocol::group_records::GroupMetadataValue;
use ottla_protocol::group_records::group_metadata_value::MemberMetadata;
use ottla_types::{Generation, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

impl ClassicGroup {
    /// The record of the group with the assignments that its members have.
    pub(crate) fn to_record(&self) -> GroupRecord {
        self.record(|member| member.assignment.clone().unwrap_or_default())
    }

    /// The record of the group with assignments that its members do not have yet.
    pub(super) fn to_record_with(&self, assignments: &BTreeMap<Arc<str>, Bytes>) -> GroupRecord {
        self.record(|member| assignments.get(&member.member_id).cloned().unwrap_or_default())
    }

    /// The first record of a new group: that it exists.
    pub(crate) fn to_new_group_record(&self) -> GroupRecord {
        let value = GroupMetadataValue {
            protocol_type: String::new(),
            generation: 0,
            protocol: None,
            leader: None,
            current_state_timestamp: self.state_timestamp.map_or(-1, Timestamp::value),
            members: Vec::new(),
            ..Default::default()
        };
        GroupRecord::GroupMetadata { group_id: self.group_id.clone(), value: Some(Box::new(value)) }
    }

    fn record(&self, assignment_of: impl Fn(&Member) -> Bytes) -> GroupRecord {
        let protocol_name = self.protocol_name.as_deref().unwrap_or_default();
        let members = self.members_in_javas_order().into_iter().map(|member| MemberMetadata {
            member_id: member.member_id.to_string(),
            group_instance_id: member.group_instance_id.as_deref().map(str::to_owned),
            client_id: member.client_id.to_string(),
            client_host: member.client_host.to_string(),
            rebalance_timeout: member.rebalance_timeout_ms,
            session_timeout: member.session_timeout_ms,
            subscription: member.metadata(protocol_name),
            assignment: assignment_of(member),
            ..Default::default()
        });
        let value = GroupMetadataValue {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            generation: self.generation.value(),
            protocol: self.protocol_name.clone(),
            leader: self.leader.as_deref().map(str::to_owned),
            current_state_timestamp: self.state_timestamp.map_or(-1, Timestamp::value),
            members: members.collect(),
            ..Default::default()
        };
        GroupRecord::GroupMetadata { group_id: self.group_id.clone(), value: Some(Box::new(value)) }
    }

    /// The group of a record: stable with the members that the record names, or empty. A member supports only the
    /// protocol that was in use; it says its others when it rejoins.
    pub(crate) fn from_record(group_id: Arc<str>, value: GroupMetadataValue) -> Self {
        let mut group = Self::new(group_id, Timestamp::NONE);
        group.generation = Generation(value.generation);
        group.protocol_type = Some(value.protocol_type.clone()).filter(|protocol_type| !protocol_type.is_empty());
        group.leader = value.leader.map(Arc::from);
        group.state_timestamp = Some(Timestamp(value.current_state_timestamp)).filter(|at| *at != Timestamp::NONE);
        if !value.members.is_empty() {
            group.state = ClassicGroupState::Stable;
        }
        for member in value.members {
            let protocol = Protocol { name: value.protocol.clone().unwrap_or_default(), metadata: member.subscription };
            let member = Member {
                member_id: member.member_id.into(),
                group_instance_id: member.group_instance_id.map(Arc::from),
                client_id: member.client_id.into(),
                client_host: member.client_host.into(),
                // Records of old have one timeout for both.
                rebalance_timeout_ms: if member.rebalance_timeout == -1 {
                    member.session_timeout
                } else {
                    member.rebalance_timeout
                },
                session_timeout_ms: member.session_timeout,
                protocols: vec![protocol],
                assignment: Some(member.assignment),
                is_new: false,
                awaiting_join: None,
                awaiting_sync: None,
                weight: Weight::default(),
            };
            group.add(member, &value.protocol_type);
        }
        // A log that names a leader who is not among the members must not leave the group without one.
        if group.leader.as_deref().is_some_and(|leader| !group.has_member(leader)) {
            group.leader = group.members_in_javas_order().first().map(|member| member.member_id.clone());
        }
        group.protocol_name = value.protocol;
        group.compute_subscribed_topics();
        group
    }
}
