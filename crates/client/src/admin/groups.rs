use super::{Admin, item};
use crate::error::{ClientError, Result, check};
use ottla_protocol::consumer_protocol::{ConsumerProtocolAssignment, ConsumerProtocolSubscription};
use ottla_protocol::messages::consumer_group_describe_request::ConsumerGroupDescribeRequest;
use ottla_protocol::messages::consumer_group_describe_response;
use ottla_protocol::messages::describe_groups_response;
use ottla_protocol::messages::{DeleteGroupsRequest, DescribeGroupsRequest, ListGroupsRequest};
use ottla_protocol::{ErrorCode, Message};
use ottla_types::{NodeId, TopicPartition};
use std::collections::{BTreeMap, BTreeSet};

/// The protocol that a group uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupKind {
    /// Not told, or one that this release does not know.
    Unknown,
    /// The classic protocol.
    Classic,
    /// The consumer protocol (KIP-848).
    Consumer,
    /// A share group (KIP-932).
    Share,
    /// A streams group (KIP-1071).
    Streams,
}

impl GroupKind {
    /// Kafka's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "Unknown",
            Self::Classic => "Classic",
            Self::Consumer => "Consumer",
            Self::Share => "Share",
            Self::Streams => "Streams",
        }
    }

    /// The kind of that name, whatever its case.
    pub fn of_name(name: &str) -> Self {
        [Self::Classic, Self::Consumer, Self::Share, Self::Streams]
            .into_iter()
            .find(|kind| kind.name().eq_ignore_ascii_case(name))
            .unwrap_or(Self::Unknown)
    }
}

/// A group in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupListing {
    /// The group's id.
    pub group_id: String,
    /// What its members are: `consumer`, `connect`; empty for offsets without members.
    pub protocol_type: String,
    /// Its state; `None` when the server does not tell.
    pub state: Option<String>,
    /// The protocol that it uses.
    pub kind: GroupKind,
}

/// A group in full.
#[derive(Clone, Debug)]
pub struct GroupDescription {
    /// The group's id.
    pub group_id: String,
    /// The protocol that it uses.
    pub kind: GroupKind,
    /// Its state.
    pub state: String,
    /// The assignor that its members agreed on; empty when there is none.
    pub assignor: String,
    /// The node that takes care of it.
    pub coordinator: NodeId,
    /// Its members.
    pub members: Vec<MemberDescription>,
    /// Its epoch; only in the consumer protocol.
    pub group_epoch: Option<i32>,
    /// The epoch of its assignment; only in the consumer protocol.
    pub assignment_epoch: Option<i32>,
}

/// A member of a group.
#[derive(Clone, Debug, Default)]
pub struct MemberDescription {
    /// Its id.
    pub member_id: String,
    /// Its static id, where it has one.
    pub instance_id: Option<String>,
    /// Its `client.id`.
    pub client_id: String,
    /// Where it connects from.
    pub host: String,
    /// What it reads.
    pub assignment: BTreeSet<TopicPartition>,
    /// What it will read; only in the consumer protocol.
    pub target_assignment: Option<BTreeSet<TopicPartition>>,
    /// Its epoch; only in the consumer protocol.
    pub member_epoch: Option<i32>,
    /// Whether it uses the newer protocol; `None` when the server does not tell.
    pub is_upgraded: Option<bool>,
    /// The topics that it subscribed to, where they are told.
    pub subscribed_topics: Vec<String>,
}

impl Admin {
    /// The groups of these states and kinds; an empty list means all. A broker that can't be asked has an error of its own.
    ///
    /// # Errors
    /// The brokers could not be listed.
    pub async fn list_groups(
        &self,
        states: &[String],
        kinds: &[GroupKind],
    ) -> Result<(Vec<GroupListing>, Vec<ClientError>)> {
        let mut retry = self.cluster().retry();
        self.refresh_brokers(&mut retry).await?;
        let brokers: Vec<_> = self.cluster().metadata().brokers.keys().copied().collect();
        let mut groups = BTreeMap::new();
        let mut errors = Vec::new();
        for broker in brokers {
            let version = self.cluster().node(broker).await?.version_of::<ListGroupsRequest>()?;
            let mut request = ListGroupsRequest::default();
            if version >= 4 {
                request.states_filter = states.to_vec();
            }
            if version >= 5 {
                request.types_filter = kinds.iter().map(|kind| kind.name().to_owned()).collect();
            }
            let listed =
                self.at_node(broker, &request, |response| check(response.error_code).map(|()| response.groups));
            match listed.await {
                Ok(listed) => groups.extend(listed.into_iter().map(|group| (group.group_id.clone(), group))),
                Err(error) => errors.push(error),
            }
        }
        let listing = |group: ottla_protocol::messages::list_groups_response::ListedGroup| GroupListing {
            group_id: group.group_id,
            protocol_type: group.protocol_type,
            state: Some(group.group_state).filter(|state| !state.is_empty()),
            kind: GroupKind::of_name(&group.group_type),
        };
        Ok((groups.into_values().map(listing).collect(), errors))
    }

    /// Describes a group of the consumer or the classic protocol.
    ///
    /// # Errors
    /// No answer could be had; `GROUP_ID_NOT_FOUND` when there is no such group.
    pub async fn describe_group(&self, group: &str) -> Result<GroupDescription> {
        match self.describe_consumer_group(group).await {
            // An older server, or a group of the classic protocol, which answers that no consumer group has this id.
            Err(ClientError::UnsupportedApi { .. }) => self.describe_classic_group(group).await,
            Err(error) if error.is(ErrorCode::GroupIdNotFound) || error.is(ErrorCode::UnsupportedVersion) => {
                self.describe_classic_group(group).await
            }
            described => described,
        }
    }

    async fn describe_consumer_group(&self, group: &str) -> Result<GroupDescription> {
        let mut retry = self.cluster().retry();
        let coordinator = self.cluster().coordinator(crate::cluster::CoordinatorKind::Group, group, &mut retry).await?;
        let request = ConsumerGroupDescribeRequest { group_ids: vec![group.to_owned()], ..Default::default() };
        let described = self
            .at_coordinator(group, &request, |response| {
                let group = response.groups.into_iter().next().ok_or(NOT_ANSWERED)?;
                item(group.error_code, group.error_message.clone()).map(|()| group)
            })
            .await?;
        Ok(GroupDescription {
            group_id: described.group_id,
            kind: GroupKind::Consumer,
            state: described.group_state,
            assignor: described.assignor_name,
            coordinator,
            members: described.members.into_iter().map(consumer_member).collect(),
            group_epoch: Some(described.group_epoch),
            assignment_epoch: Some(described.assignment_epoch),
        })
    }

    async fn describe_classic_group(&self, group: &str) -> Result<GroupDescription> {
        let mut retry = self.cluster().retry();
        let coordinator = self.cluster().coordinator(crate::cluster::CoordinatorKind::Group, group, &mut retry).await?;
        let request = DescribeGroupsRequest { groups: vec![group.to_owned()], ..Default::default() };
        let described = self
            .at_coordinator(group, &request, |response| {
                let group = response.groups.into_iter().next().ok_or(NOT_ANSWERED)?;
                item(group.error_code, group.error_message.clone()).map(|()| group)
            })
            .await?;
        Ok(GroupDescription {
            group_id: described.group_id,
            kind: GroupKind::Classic,
            state: described.group_state,
            assignor: described.protocol_data,
            coordinator,
            members: described.members.into_iter().map(classic_member).collect::<Result<_>>()?,
            group_epoch: None,
            assignment_epoch: None,
        })
    }

    /// Deletes a group that has no members, with its offsets.
    ///
    /// # Errors
    /// No answer could be had, or the server refused.
    pub async fn delete_group(&self, group: &str) -> Result<()> {
        let request = DeleteGroupsRequest { groups_names: vec![group.to_owned()], ..Default::default() };
        self.at_coordinator(group, &request, |response| {
            let result = response.results.into_iter().next().ok_or(NOT_ANSWERED)?;
            item(result.error_code, result.error_message)
        })
        .await
    }
}

const NOT_ANSWERED: ClientError = ClientError::State("a group was asked for but not answered");

fn consumer_member(member: consumer_group_describe_response::Member) -> MemberDescription {
    let partitions = |assignment: consumer_group_describe_response::Assignment| {
        let mut partitions = BTreeSet::new();
        for topic in assignment.topic_partitions {
            let name: std::sync::Arc<str> = topic.topic_name.into();
            partitions.extend(topic.partitions.into_iter().map(|index| TopicPartition::new(name.clone(), index)));
        }
        partitions
    };
    MemberDescription {
        member_id: member.member_id,
        instance_id: member.instance_id,
        client_id: member.client_id,
        host: member.client_host,
        assignment: partitions(member.assignment),
        target_assignment: Some(partitions(member.target_assignment)),
        member_epoch: Some(member.member_epoch),
        is_upgraded: match member.member_type {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        },
        subscribed_topics: member.subscribed_topic_names,
    }
}

fn classic_member(member: describe_groups_response::DescribedGroupMember) -> Result<MemberDescription> {
    let assignment = decode_assignment(&member.member_assignment)?;
    let subscribed_topics = decode_subscription(&member.member_metadata).map(|s| s.topics).unwrap_or_default();
    Ok(MemberDescription {
        member_id: member.member_id,
        instance_id: member.group_instance_id,
        client_id: member.client_id,
        host: member.client_host,
        assignment,
        subscribed_topics,
        ..Default::default()
    })
}

/// The version that stands before a subscription or an assignment. A newer one than ours only adds at the end.
fn versioned<M: Message>(bytes: &[u8]) -> Result<M> {
    let version = bytes.first_chunk::<2>().map(|version| i16::from_be_bytes(*version)).unwrap_or_default();
    let version = version.clamp(M::VERSIONS.min, M::VERSIONS.max);
    let mut reader = ottla_protocol::Reader::new(bytes.get(2..).unwrap_or_default());
    Ok(M::decode_from(&mut reader, version)?)
}

/// What a classic member subscribed to.
pub(crate) fn decode_subscription(bytes: &[u8]) -> Result<ConsumerProtocolSubscription> {
    versioned(bytes)
}

/// What a classic member was assigned; nothing while there is no assignment yet.
pub(crate) fn decode_assignment(bytes: &[u8]) -> Result<BTreeSet<TopicPartition>> {
    if bytes.is_empty() {
        return Ok(BTreeSet::new());
    }
    let assignment: ConsumerProtocolAssignment = versioned(bytes)?;
    let mut partitions = BTreeSet::new();
    for topic in assignment.assigned_partitions {
        let name: std::sync::Arc<str> = topic.topic.into();
        partitions.extend(topic.partitions.into_iter().map(|index| TopicPartition::new(name.clone(), index)));
    }
    Ok(partitions)
}
