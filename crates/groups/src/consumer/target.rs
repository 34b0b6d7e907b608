use super::assignor::{Assignor, Subscriber};
use super::draft::Draft;
use super::record::ConsumerRecordKind;
use super::{ConsumerGroup, ConsumerMember};
use crate::view::ClusterView;
use ottla_types::{Timestamp, TopicId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The ids of the topics that a member wants, of those that there are.
pub(crate) fn topic_ids(group: &ConsumerGroup, member: &ConsumerMember, view: &dyn ClusterView) -> BTreeSet<TopicId> {
    group.topics_of(member).filter_map(|name| view.topic_by_name(name)).map(|topic| topic.id).collect()
}

/// Makes a new target assignment of the whole group.
pub(crate) fn assign(draft: &mut Draft<'_>, default: Assignor, now: Timestamp, view: &dyn ClusterView) {
    let group = &draft.group;
    let assignor = group.preferred_assignor().and_then(Assignor::of_name).unwrap_or(default);
    let mut partitions: BTreeMap<TopicId, i32> = BTreeMap::new();
    for topic in group.subscribed_topics().into_iter().filter_map(|name| view.topic_by_name(name)) {
        partitions.insert(topic.id, topic.partitions);
    }
    let subscriber = |(member_id, member): (&Arc<str>, &ConsumerMember)| {
        let target = group.target(member_id).cloned().unwrap_or_default();
        let topics = topic_ids(group, member, view);
        (member_id.clone(), Subscriber { instance_id: member.instance_id.clone(), topics, target })
    };
    let subscribers: BTreeMap<Arc<str>, Subscriber> = group.members().map(subscriber).collect();
    let epoch = group.epoch;
    for (member_id, partitions) in assignor.assign(&subscribers, &partitions, group.subscriptions()) {
        if draft.group.target(&member_id) != Some(&partitions) {
            draft.write(ConsumerRecordKind::Target { member_id, value: Some(partitions) });
        }
    }
    draft.write(ConsumerRecordKind::Assignment(Some((epoch, now.0))));
}
