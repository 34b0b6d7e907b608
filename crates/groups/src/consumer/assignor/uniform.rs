//! The `uniform` assignor for members that all want the same topics.

use super::{Assigned, Members, PartitionCounts, Subscriber, in_javas_order, partition_count};
use crate::consumer::Partitions;
use crate::java::{Table, sort_as_hash_table, uuid_hash};
use ottla_types::TopicId;
use std::collections::{BTreeSet, VecDeque};

/// Each member keeps what it has up to its quota; what is left over fills up those that have less.
pub(super) fn assign(members: &Members, counts: &PartitionCounts) -> Assigned {
    let ordered = in_javas_order(members);
    let Some((_, first)) = ordered.first() else { return Assigned::new() };
    let mut topic_ids: Vec<TopicId> = first.topics.iter().copied().collect();
    sort_as_hash_table(&mut topic_ids, Table::Copied, |topic_id| uuid_hash(*topic_id));
    let mut unassigned = never_assigned(members, counts, &topic_ids);
    let partitions: usize = topic_ids.iter().map(|topic_id| partition_count(counts, *topic_id)).sum();
    let mut extras = partitions % members.len();
    let mut assigned = Assigned::new();
    // A log of another making may have given the same partition to two.
    let mut taken = BTreeSet::new();
    let mut unfilled = Vec::new();
    for (number, (member_id, member)) in ordered.iter().copied().enumerate() {
        let mut quota = partitions / members.len() + usize::from(extras > 0);
        let mut kept = Partitions::new();
        for (topic_id, partition) in partitions_in_order(member) {
            if !first.topics.contains(&topic_id) || !taken.insert((topic_id, partition)) {
                continue;
            }
            if quota > 0 {
                quota -= 1;
                kept.entry(topic_id).or_default().insert(partition);
            } else {
                unassigned.push_back((topic_id, partition));
            }
        }
        // One more than the others is for who has it already; the last members get what is left of that.
        let takes_extra = quota == 0 || members.len() - number <= extras;
        if extras > 0 && takes_extra {
            extras -= 1;
        } else if extras > 0 {
            quota -= 1;
        }
        if quota > 0 {
            unfilled.push((member_id.clone(), quota));
        }
        assigned.insert(member_id.clone(), kept);
    }
    for (member_id, quota) in unfilled {
        let part: &mut Partitions = assigned.entry(member_id).or_default();
        for (topic_id, partition) in unassigned.drain(..quota.min(unassigned.len())) {
            part.entry(topic_id).or_default().insert(partition);
        }
    }
    assigned
}

fn never_assigned(members: &Members, counts: &PartitionCounts, topic_ids: &[TopicId]) -> VecDeque<(TopicId, i32)> {
    let targets = members.values().flat_map(|member| &member.target);
    let in_targets: BTreeSet<(TopicId, i32)> =
        targets.flat_map(|(topic_id, held)| held.iter().map(|partition| (*topic_id, *partition))).collect();
    let all = topic_ids
        .iter()
        .flat_map(|topic_id| (0..counts.get(topic_id).copied().unwrap_or(0)).map(|partition| (*topic_id, partition)));
    all.filter(|partition| !in_targets.contains(partition)).collect()
}

/// A member's old target as Kafka walks it: a `HashMap` of topics that was filled from a record, and for each topic a
/// `HashSet` that was made of a list. It decides which partitions a member with too many of them gives up.
fn partitions_in_order(member: &Subscriber) -> Vec<(TopicId, i32)> {
    let mut topics: Vec<(&TopicId, &BTreeSet<i32>)> = member.target.iter().collect();
    sort_as_hash_table(&mut topics, Table::Grown, |(topic_id, _)| uuid_hash(**topic_id));
    let mut ordered = Vec::new();
    for (topic_id, partitions) in topics {
        let mut partitions: Vec<i32> = partitions.iter().copied().collect();
        sort_as_hash_table(&mut partitions, Table::Copied, |partition| *partition);
        ordered.extend(partitions.into_iter().map(|partition| (*topic_id, partition)));
    }
    ordered
}
