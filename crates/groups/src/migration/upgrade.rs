//! A classic group of consumers becomes a consumer group.

use super::{Malformed, MigrationPolicy, assignment_of, subscription_of};
use crate::classic::{ClassicGroup, Member};
use crate::consumer::record::ConsumerRecordKind;
use crate::consumer::{ConsumerMember, Draft, HeldPartitions, Partitions, Refusal, metadata_hash};
use crate::java::timeline_order;
use crate::view::ClusterView;
use crate::{GroupRecord, GroupSettings};
use ottla_protocol::ErrorCode;
use ottla_protocol::group_records::consumer_group_member_metadata_value::{ClassicMemberMetadata, ClassicProtocol};
use std::sync::Arc;

/// Whether the group may become one of the consumer protocol.
pub(crate) fn check_upgrade(group: &ClassicGroup, group_id: &str, settings: &GroupSettings) -> Result<(), Refusal> {
    let policy: MigrationPolicy = settings.migration_policy;
    let why = match () {
        () if !policy.allows_upgrade() => "online upgrade is disabled",
        () if !group.uses_consumer_protocol() => "the group does not use the consumer embedded protocol",
        () if group.members().len() > settings.consumer_size_max => {
            "the group size exceeds the consumer group maximum size"
        }
        () => return Ok(()),
    };
    Err(refused(group_id, why))
}

fn refused(group_id: &str, why: &str) -> Refusal {
    let message = format!("Cannot upgrade classic group {group_id} to consumer group because {why}.");
    Refusal::new(ErrorCode::GroupIdNotFound, message)
}

/// The consumer group that a classic one becomes, with the records that make it: its generation is the epoch of all, and each
/// member has what the leader gave it.
pub(crate) fn upgraded(
    group: &ClassicGroup,
    group_id: &Arc<str>,
    view: &dyn ClusterView,
) -> Result<Draft<'static>, Refusal> {
    let tombstone = GroupRecord::GroupMetadata { group_id: group_id.clone(), value: None };
    let mut draft = Draft::new(group_id.clone(), vec![tombstone]);
    let generation = group.generation().value();
    let mut members = Vec::with_capacity(group.members().len());
    for member in group.members() {
        members.push((member.member_id.clone(), upgraded_member(group, member, group_id, view)?));
    }
    let members = timeline_order(members, |(member_id, _)| member_id);
    for (member_id, (member, _)) in &members {
        draft.write_metadata(member_id, member);
    }
    let hash = metadata_hash(draft.group.subscribed_topics().into_iter(), view);
    draft.write(ConsumerRecordKind::Group(Some((generation, hash))));
    for (member_id, (_, assigned)) in &members {
        draft.write(ConsumerRecordKind::Target { member_id: member_id.clone(), value: Some(assigned.clone()) });
    }
    draft.write(ConsumerRecordKind::Assignment(Some((generation, 0))));
    for (member_id, (member, _)) in &members {
        draft.write_current(member_id, member);
    }
    Ok(draft)
}

fn upgraded_member(
    group: &ClassicGroup,
    member: &Member,
    group_id: &str,
    view: &dyn ClusterView,
) -> Result<(ConsumerMember, Partitions), Refusal> {
    let is_malformed = |_: Malformed| refused(group_id, "the embedded consumer protocol is malformed");
    let assigned = assigned_to(member, group_id, view)?;
    // Before its first generation a group has no protocol by which its members could be understood; Kafka fails in the same way.
    let not_yet = || Refusal::new(ErrorCode::UnknownServerError, "The group has no protocol yet.");
    let protocol = group.protocol_name().ok_or_else(not_yet)?;
    let supported = member.protocols.iter().find(|supported| supported.name == protocol).ok_or_else(not_yet)?;
    let subscription = subscription_of(&supported.metadata).map_err(is_malformed)?;
    let epoch = group.generation().value();
    let held = |(topic_id, partitions): (&_, &std::collections::BTreeSet<i32>)| {
        (*topic_id, partitions.iter().map(|partition| (*partition, epoch)).collect())
    };
    let upgraded = ConsumerMember {
        epoch,
        previous_epoch: epoch,
        instance_id: member.group_instance_id.as_deref().map(str::to_owned),
        rack_id: subscription.rack_id.filter(|rack| !rack.is_empty()),
        client_id: member.client_id.to_string(),
        client_host: member.client_host.to_string(),
        rebalance_timeout_ms: member.rebalance_timeout_ms,
        topics: subscription.topics.into_iter().map(Arc::from).collect(),
        classic: Some(ClassicMemberMetadata {
            session_timeout_ms: member.session_timeout_ms,
            supported_protocols: member.protocols.iter().map(classic_protocol).collect(),
            ..Default::default()
        }),
        assigned: assigned.iter().map(held).collect::<HeldPartitions>(),
        ..ConsumerMember::new()
    };
    Ok((upgraded, assigned))
}

/// What the leader gave a member. An assignment with a leader's own data in it can't be carried over.
fn assigned_to(member: &Member, group_id: &str, view: &dyn ClusterView) -> Result<Partitions, Refusal> {
    let Some(bytes) = member.assignment.as_ref().filter(|bytes| !bytes.is_empty()) else {
        return Ok(Partitions::new());
    };
    let assignment =
        assignment_of(bytes).map_err(|_| refused(group_id, "the embedded consumer protocol is malformed"))?;
    if assignment.user_data.is_some_and(|data| !data.is_empty()) {
        let why = "an unsupported custom assignor is in use. Switch to a default assignor before the upgrade";
        return Err(refused(group_id, why));
    }
    let partitions = assignment
        .assigned_partitions
        .into_iter()
        .filter_map(|topic| Some((view.topic_by_name(&topic.topic)?.id, topic.partitions.into_iter().collect())));
    Ok(partitions.collect())
}

fn classic_protocol(protocol: &crate::classic::Protocol) -> ClassicProtocol {
    ClassicProtocol { name: protocol.name.clone(), metadata: protocol.metadata.clone(), ..Default::default() }
}
