//! The records of consumer groups in `__consumer_offsets`.

use super::{ConsumerMember, HeldPartitions, MemberState, Partitions, ResolvedRegex};
use crate::GroupRecord;
use crate::record::{EncodedRecord, RecordError, prefixed, versioned};
use ottla_protocol::group_records::consumer_group_current_member_assignment_value::TopicPartitions;
use ottla_protocol::group_records::consumer_group_member_metadata_value::ClassicMemberMetadata;
use ottla_protocol::group_records::consumer_group_target_assignment_member_value::TopicPartition;
use ottla_protocol::group_records::{
    ConsumerGroupCurrentMemberAssignmentKey, ConsumerGroupCurrentMemberAssignmentValue, ConsumerGroupMemberMetadataKey,
    ConsumerGroupMemberMetadataValue, ConsumerGroupMetadataKey, ConsumerGroupMetadataValue,
    ConsumerGroupPartitionMetadataKey, ConsumerGroupRegularExpressionKey, ConsumerGroupRegularExpressionValue,
    ConsumerGroupTargetAssignmentMemberKey, ConsumerGroupTargetAssignmentMemberValue,
    ConsumerGroupTargetAssignmentMetadataKey, ConsumerGroupTargetAssignmentMetadataValue,
};
use ottla_protocol::{EncodeError, Message};
use std::collections::BTreeMap;
use std::sync::Arc;

const GROUP: i16 = 3;
const PARTITION_METADATA: i16 = 4;
const MEMBER: i16 = 5;
const ASSIGNMENT: i16 = 6;
const TARGET: i16 = 7;
const CURRENT: i16 = 8;
const REGEX: i16 = 16;

/// A record of one group.
#[derive(Clone, Debug, PartialEq)]
pub struct ConsumerRecord {
    /// The group.
    pub group_id: Arc<str>,
    /// What it says.
    pub kind: ConsumerRecordKind,
}

/// What a record says; without a value it is a tombstone.
#[derive(Clone, Debug, PartialEq)]
pub enum ConsumerRecordKind {
    /// The group is there: epoch and metadata hash.
    Group(Option<(i32, i64)>),
    /// What releases before 4.1 wrote of the topics. Only that it is there matters.
    PartitionMetadata {
        /// Whether it is.
        is_there: bool,
    },
    /// What a member says of itself.
    Member {
        /// The member.
        member_id: Arc<str>,
        /// What it says.
        value: Option<Box<MemberMetadata>>,
    },
    /// The target assignment: its epoch, and when it was made.
    Assignment(Option<(i32, i64)>),
    /// What a member is to have.
    Target {
        /// The member.
        member_id: Arc<str>,
        /// The partitions.
        value: Option<Partitions>,
    },
    /// What a member has.
    Current {
        /// The member.
        member_id: Arc<str>,
        /// How far it is.
        value: Option<Box<CurrentAssignment>>,
    },
    /// The topics of a regular expression.
    Regex {
        /// The expression.
        regex: String,
        /// The topics.
        value: Option<ResolvedRegex>,
    },
}

impl ConsumerRecordKind {
    /// Whether it takes something away.
    pub(crate) fn is_tombstone(&self) -> bool {
        match self {
            Self::Group(value) | Self::Assignment(value) => value.is_none(),
            Self::PartitionMetadata { is_there } => !is_there,
            Self::Member { value, .. } => value.is_none(),
            Self::Target { value, .. } => value.is_none(),
            Self::Current { value, .. } => value.is_none(),
            Self::Regex { value, .. } => value.is_none(),
        }
    }
}

/// What a member says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberMetadata {
    pub(crate) instance_id: Option<String>,
    pub(crate) rack_id: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) topics: std::collections::BTreeSet<Arc<str>>,
    pub(crate) regex: Option<String>,
    pub(crate) rebalance_timeout_ms: i32,
    pub(crate) assignor: Option<String>,
    pub(crate) classic: Option<ClassicMemberMetadata>,
}

impl MemberMetadata {
    pub(crate) fn of(member: &ConsumerMember) -> Self {
        Self {
            instance_id: member.instance_id.clone(),
            rack_id: member.rack_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            topics: member.topics.clone(),
            regex: member.regex.clone(),
            rebalance_timeout_ms: member.rebalance_timeout_ms,
            assignor: member.assignor.clone(),
            classic: member.classic.clone(),
        }
    }

    pub(crate) fn put_into(&self, member: &mut ConsumerMember) {
        let Self {
            instance_id,
            rack_id,
            client_id,
            client_host,
            topics,
            regex,
            rebalance_timeout_ms,
            assignor,
            classic,
        } = self.clone();
        member.instance_id = instance_id;
        member.rack_id = rack_id;
        member.client_id = client_id;
        member.client_host = client_host;
        member.topics = topics;
        member.regex = regex;
        member.rebalance_timeout_ms = rebalance_timeout_ms;
        member.assignor = assignor;
        member.classic = classic;
    }
}

/// What a member has, and how far it is with it.
#[derive(Clone, Debug, PartialEq)]
pub struct CurrentAssignment {
    pub(crate) epoch: i32,
    pub(crate) previous_epoch: i32,
    pub(crate) state: MemberState,
    pub(crate) assigned: HeldPartitions,
    pub(crate) pending_revocation: HeldPartitions,
}

impl CurrentAssignment {
    pub(crate) fn of(member: &ConsumerMember) -> Self {
        Self {
            epoch: member.epoch,
            previous_epoch: member.previous_epoch,
            state: member.state,
            assigned: member.assigned.clone(),
            pending_revocation: member.pending_revocation.clone(),
        }
    }
}

impl From<ConsumerRecord> for GroupRecord {
    fn from(record: ConsumerRecord) -> Self {
        Self::Consumer(record)
    }
}

/// Reads a record; `None` when the type is not one of a consumer group.
pub(crate) fn decode(
    record_type: i16,
    key: &[u8],
    value: Option<&[u8]>,
) -> Result<Option<ConsumerRecord>, RecordError> {
    let (group_id, kind) = match record_type {
        GROUP => {
            let value = value.map(|value| versioned::<ConsumerGroupMetadataValue>(GROUP, value)).transpose()?;
            let value = value.map(|value| (value.epoch, value.metadata_hash));
            (ConsumerGroupMetadataKey::decode(key, 0)?.group_id, ConsumerRecordKind::Group(value))
        }
        PARTITION_METADATA => {
            let is_there = value.is_some();
            let kind = ConsumerRecordKind::PartitionMetadata { is_there };
            (ConsumerGroupPartitionMetadataKey::decode(key, 0)?.group_id, kind)
        }
        MEMBER => {
            let key = ConsumerGroupMemberMetadataKey::decode(key, 0)?;
            let value = value.map(|value| versioned::<ConsumerGroupMemberMetadataValue>(MEMBER, value)).transpose()?;
            let value = value.map(|value| Box::new(metadata_of(value)));
            (key.group_id, ConsumerRecordKind::Member { member_id: key.member_id.into(), value })
        }
        ASSIGNMENT => {
            let key = ConsumerGroupTargetAssignmentMetadataKey::decode(key, 0)?;
            let value = value.map(|value| versioned::<ConsumerGroupTargetAssignmentMetadataValue>(ASSIGNMENT, value));
            let value = value.transpose()?.map(|value| (value.assignment_epoch, value.assignment_timestamp));
            (key.group_id, ConsumerRecordKind::Assignment(value))
        }
        TARGET => {
            let key = ConsumerGroupTargetAssignmentMemberKey::decode(key, 0)?;
            let value = value.map(|value| versioned::<ConsumerGroupTargetAssignmentMemberValue>(TARGET, value));
            let value = value.transpose()?.map(|value| target_of(value.topic_partitions));
            (key.group_id, ConsumerRecordKind::Target { member_id: key.member_id.into(), value })
        }
        CURRENT => {
            let key = ConsumerGroupCurrentMemberAssignmentKey::decode(key, 0)?;
            let value = value.map(|value| versioned::<ConsumerGroupCurrentMemberAssignmentValue>(CURRENT, value));
            let value = value.transpose()?.map(|value| Box::new(current_of(value)));
            (key.group_id, ConsumerRecordKind::Current { member_id: key.member_id.into(), value })
        }
        REGEX => {
            let key = ConsumerGroupRegularExpressionKey::decode(key, 0)?;
            let value =
                value.map(|value| versioned::<ConsumerGroupRegularExpressionValue>(REGEX, value)).transpose()?;
            let value = value.map(|value| ResolvedRegex {
                topics: value.topics.into_iter().map(Arc::from).collect(),
                version: value.version,
                timestamp: value.timestamp,
            });
            (key.group_id, ConsumerRecordKind::Regex { regex: key.regular_expression, value })
        }
        _ => return Ok(None),
    };
    Ok(Some(ConsumerRecord { group_id: group_id.into(), kind }))
}

fn metadata_of(value: ConsumerGroupMemberMetadataValue) -> MemberMetadata {
    MemberMetadata {
        instance_id: value.instance_id,
        rack_id: value.rack_id,
        client_id: value.client_id,
        client_host: value.client_host,
        topics: value.subscribed_topic_names.into_iter().map(Arc::from).collect(),
        regex: value.subscribed_topic_regex,
        rebalance_timeout_ms: value.rebalance_timeout_ms,
        assignor: value.server_assignor,
        classic: value.classic_member_metadata,
    }
}

fn target_of(topics: Vec<TopicPartition>) -> Partitions {
    topics.into_iter().map(|topic| (topic.topic_id, topic.partitions.into_iter().collect())).collect()
}

fn current_of(value: ConsumerGroupCurrentMemberAssignmentValue) -> CurrentAssignment {
    let held = |topics: Vec<TopicPartitions>| {
        let of_topic = |topic: TopicPartitions| {
            // Releases before 4.3 wrote no epochs: the member's own is not less than any of them.
            let epochs = topic.assignment_epochs.unwrap_or_default();
            let epoch = |number: usize| epochs.get(number).copied().unwrap_or(value.member_epoch);
            let held: BTreeMap<i32, i32> =
                topic.partitions.iter().enumerate().map(|(number, partition)| (*partition, epoch(number))).collect();
            (topic.topic_id, held)
        };
        topics.into_iter().map(of_topic).collect()
    };
    CurrentAssignment {
        epoch: value.member_epoch,
        previous_epoch: value.previous_member_epoch,
        state: MemberState::from_code(value.state),
        assigned: held(value.assigned_partitions),
        pending_revocation: held(value.partitions_pending_revocation),
    }
}

/// The bytes of a record.
pub(crate) fn encode(record: &ConsumerRecord) -> Result<EncodedRecord, EncodeError> {
    let group_id = record.group_id.to_string();
    match &record.kind {
        ConsumerRecordKind::Group(value) => {
            let value = value.map(|(epoch, metadata_hash)| ConsumerGroupMetadataValue {
                epoch,
                metadata_hash,
                ..Default::default()
            });
            pair(GROUP, &ConsumerGroupMetadataKey { group_id }, value)
        }
        ConsumerRecordKind::PartitionMetadata { .. } => {
            // Nobody writes it any more; it is only taken away.
            Ok((prefixed(PARTITION_METADATA, &ConsumerGroupPartitionMetadataKey { group_id }, 0)?, None))
        }
        ConsumerRecordKind::Member { member_id, value } => {
            let key = ConsumerGroupMemberMetadataKey { group_id, member_id: member_id.to_string() };
            pair(MEMBER, &key, value.as_deref().map(value_of_metadata))
        }
        ConsumerRecordKind::Assignment(value) => {
            let value =
                value.map(|(assignment_epoch, assignment_timestamp)| ConsumerGroupTargetAssignmentMetadataValue {
                    assignment_epoch,
                    assignment_timestamp,
                    ..Default::default()
                });
            pair(ASSIGNMENT, &ConsumerGroupTargetAssignmentMetadataKey { group_id }, value)
        }
        ConsumerRecordKind::Target { member_id, value } => {
            let key = ConsumerGroupTargetAssignmentMemberKey { group_id, member_id: member_id.to_string() };
            pair(TARGET, &key, value.as_ref().map(value_of_target))
        }
        ConsumerRecordKind::Current { member_id, value } => {
            let key = ConsumerGroupCurrentMemberAssignmentKey { group_id, member_id: member_id.to_string() };
            pair(CURRENT, &key, value.as_deref().map(value_of_current))
        }
        ConsumerRecordKind::Regex { regex, value } => {
            let key = ConsumerGroupRegularExpressionKey { group_id, regular_expression: regex.clone() };
            let value = value.as_ref().map(|resolved| ConsumerGroupRegularExpressionValue {
                topics: resolved.topics.iter().map(|name| name.to_string()).collect(),
                version: resolved.version,
                timestamp: resolved.timestamp,
                ..Default::default()
            });
            pair(REGEX, &key, value)
        }
    }
}

fn pair<K: Message, V: Message>(record_type: i16, key: &K, value: Option<V>) -> Result<EncodedRecord, EncodeError> {
    Ok((prefixed(record_type, key, 0)?, value.map(|value| prefixed(0, &value, 0)).transpose()?))
}

fn value_of_metadata(metadata: &MemberMetadata) -> ConsumerGroupMemberMetadataValue {
    ConsumerGroupMemberMetadataValue {
        instance_id: metadata.instance_id.clone(),
        rack_id: metadata.rack_id.clone(),
        client_id: metadata.client_id.clone(),
        client_host: metadata.client_host.clone(),
        subscribed_topic_names: metadata.topics.iter().map(|name| name.to_string()).collect(),
        subscribed_topic_regex: metadata.regex.clone(),
        rebalance_timeout_ms: metadata.rebalance_timeout_ms,
        server_assignor: metadata.assignor.clone(),
        classic_member_metadata: metadata.classic.clone(),
        ..Default::default()
    }
}

fn value_of_target(partitions: &Partitions) -> ConsumerGroupTargetAssignmentMemberValue {
    let topic_partitions = partitions.iter().map(|(topic_id, partitions)| TopicPartition {
        topic_id: *topic_id,
        partitions: partitions.iter().copied().collect(),
        ..Default::default()
    });
    ConsumerGroupTargetAssignmentMemberValue { topic_partitions: topic_partitions.collect(), ..Default::default() }
}

fn value_of_current(current: &CurrentAssignment) -> ConsumerGroupCurrentMemberAssignmentValue {
    let topics = |held: &HeldPartitions| {
        let of_topic = |(topic_id, held): (&ottla_types::TopicId, &BTreeMap<i32, i32>)| TopicPartitions {
            topic_id: *topic_id,
            partitions: held.keys().copied().collect(),
            assignment_epochs: Some(held.values().copied().collect()),
            ..Default::default()
        };
        held.iter().map(of_topic).collect()
    };
    ConsumerGroupCurrentMemberAssignmentValue {
        member_epoch: current.epoch,
        previous_member_epoch: current.previous_epoch,
        state: current.state as i8,
        assigned_partitions: topics(&current.assigned),
        partitions_pending_revocation: topics(&current.pending_revocation),
        ..Default::default()
    }
}
