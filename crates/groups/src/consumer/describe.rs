use super::{ConsumerGroup, ConsumerMember, Partitions};
use crate::view::ClusterView;
use crate::{GroupCoordinator, consumer::assignor::Assignor};
use ottla_protocol::messages::consumer_group_describe_response::{Assignment, DescribedGroup, Member, TopicPartitions};
use ottla_protocol::messages::{ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse};
use std::sync::Arc;

impl GroupCoordinator {
    /// Describes groups of this protocol.
    pub(crate) fn describe_consumer_groups(
        &self,
        request: ConsumerGroupDescribeRequest,
    ) -> ConsumerGroupDescribeResponse {
        let groups = request.group_ids.into_iter().map(|group_id| match self.consumer_group_or_refuse(&group_id) {
            Ok(group) => self.describe_consumer_group(group_id, group),
            Err(refusal) => DescribedGroup {
                group_id,
                error_code: refusal.error.code(),
                error_message: Some(refusal.message),
                ..Default::default()
            },
        });
        ConsumerGroupDescribeResponse { groups: groups.collect(), ..Default::default() }
    }

    fn describe_consumer_group(&self, group_id: String, group: &ConsumerGroup) -> DescribedGroup {
        let default = self.settings.consumer_assignors.first().copied().unwrap_or(Assignor::Uniform);
        let none = Partitions::new();
        let member = |(member_id, member): (&Arc<str>, &ConsumerMember)| {
            describe(member_id, member, group.target(member_id).unwrap_or(&none), &*self.view)
        };
        DescribedGroup {
            group_id,
            group_state: group.state().name().to_owned(),
            group_epoch: group.epoch,
            assignment_epoch: group.assignment_epoch,
            assignor_name: group.preferred_assignor().unwrap_or(default.name()).to_owned(),
            members: group.members().map(member).collect(),
            ..Default::default()
        }
    }
}

fn describe(member_id: &Arc<str>, member: &ConsumerMember, target: &Partitions, view: &dyn ClusterView) -> Member {
    let mut has = Partitions::new();
    for held in [&member.assigned, &member.pending_revocation] {
        held.iter().for_each(|(topic, held)| has.entry(*topic).or_default().extend(held.keys()));
    }
    Member {
        member_id: member_id.to_string(),
        instance_id: member.instance_id.clone(),
        rack_id: member.rack_id.clone(),
        member_epoch: member.epoch,
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        subscribed_topic_names: member.topics.iter().map(|name| name.to_string()).collect(),
        subscribed_topic_regex: member.regex.clone(),
        assignment: named(&has, view),
        target_assignment: named(target, view),
        member_type: i8::from(member.classic.is_none()),
        ..Default::default()
    }
}

/// With names; topics that are gone are left out.
fn named(partitions: &Partitions, view: &dyn ClusterView) -> Assignment {
    let topic_partitions = partitions.iter().filter_map(|(topic_id, partitions)| {
        Some(TopicPartitions {
            topic_id: *topic_id,
            topic_name: view.topic_by_id(*topic_id)?.name.to_string(),
            partitions: partitions.iter().copied().collect(),
            ..Default::default()
        })
    });
    Assignment { topic_partitions: topic_partitions.collect(), ..Default::default() }
}
