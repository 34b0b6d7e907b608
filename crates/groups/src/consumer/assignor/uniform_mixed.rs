//! The `uniform` assignor for members that want different topics.

use super::balancer::Balancer;
use super::{Assigned, Members, PartitionCounts, Subscriber, in_javas_order, partition_count};
use crate::consumer::Partitions;
use ottla_types::TopicId;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Rounds over all topics in search of a better balance. Kafka's own bound: two are enough nearly always.
const ROUNDS_MAX: usize = 16;

/// A topic while its partitions are dealt out. Members are numbers.
struct Topic {
    id: TopicId,
    subscribers: Vec<usize>,
    /// By partition.
    owners: Vec<Option<usize>>,
}

/// Each member keeps what it is still subscribed to, what has no owner goes to those with the least, and then
/// partitions move from those with the most to those with the least until no topic's subscribers differ by more than one.
pub(super) fn assign(members: &Members, counts: &PartitionCounts) -> Assigned {
    let ordered = in_javas_order(members);
    let subscribers: Vec<&Subscriber> = ordered.iter().map(|(_, member)| *member).collect();
    let mut topics = topics_with_subscribers(&subscribers, counts);
    let mut loads = vec![0; members.len()];
    keep(&subscribers, &mut topics, &mut loads);
    let mut topics: Vec<Topic> = topics.into_values().collect();
    topics.sort_by(by_partitions_of_each);
    for topic in &mut topics {
        deal_out(topic, &mut loads);
    }
    balance(&mut topics, &mut loads);

    let mut parts = vec![Partitions::new(); members.len()];
    for topic in &topics {
        for (partition, owner) in (0..).zip(&topic.owners) {
            if let Some(part) = owner.and_then(|owner| parts.get_mut(owner)) {
                part.entry(topic.id).or_default().insert(partition);
            }
        }
    }
    ordered.into_iter().map(|(member_id, _)| member_id.clone()).zip(parts).collect()
}

fn topics_with_subscribers(members: &[&Subscriber], counts: &PartitionCounts) -> BTreeMap<TopicId, Topic> {
    let mut topics = BTreeMap::new();
    for (number, member) in members.iter().enumerate() {
        for topic_id in member.topics.iter().filter(|topic_id| counts.contains_key(topic_id)) {
            let topic = topics.entry(*topic_id).or_insert_with(|| Topic {
                id: *topic_id,
                subscribers: Vec::new(),
                owners: vec![None; partition_count(counts, *topic_id)],
            });
            topic.subscribers.push(number);
        }
    }
    topics
}

fn keep(members: &[&Subscriber], topics: &mut BTreeMap<TopicId, Topic>, loads: &mut [usize]) {
    for ((number, member), load) in members.iter().enumerate().zip(loads) {
        for (topic_id, held) in member.target.iter().filter(|(topic_id, _)| member.topics.contains(topic_id)) {
            let Some(topic) = topics.get_mut(topic_id) else { continue };
            for partition in held {
                let partition = usize::try_from(*partition).unwrap_or(usize::MAX);
                // A log of another making may have given it to two.
                if let Some(owner @ None) = topic.owners.get_mut(partition) {
                    *owner = Some(number);
                    *load += 1;
                }
            }
        }
    }
}

/// The topics with the most partitions for each subscriber come first: they are the hardest to balance afterwards.
fn by_partitions_of_each(a: &Topic, b: &Topic) -> Ordering {
    let of_each = |topic: &Topic| topic.owners.len() as f64 / topic.subscribers.len() as f64;
    of_each(b)
        .total_cmp(&of_each(a))
        .then(a.subscribers.len().cmp(&b.subscribers.len()))
        .then_with(|| java_order(a.id).cmp(&java_order(b.id)))
}

/// Kafka compares ids as two signed numbers.
fn java_order(id: TopicId) -> (i64, i64) {
    let value = id.as_u128();
    ((value >> 64) as i64, value as i64)
}

fn deal_out(topic: &mut Topic, loads: &mut [usize]) {
    let mut balancer = Balancer::new(&topic.subscribers, loads);
    for owner in topic.owners.iter_mut().filter(|owner| owner.is_none()) {
        let member = balancer.next_least_loaded(loads);
        *owner = Some(member);
        loads[member] += 1;
    }
}

fn balance(topics: &mut [Topic], loads: &mut [usize]) {
    let mut last_changed = None;
    for _ in 0..ROUNDS_MAX {
        for (number, topic) in topics.iter_mut().filter(|topic| topic.subscribers.len() >= 2).enumerate() {
            // One whole round without a change.
            if last_changed == Some(number) {
                return;
            }
            if balance_topic(topic, loads) || last_changed.is_none() {
                last_changed = Some(number);
            }
        }
    }
}

/// Moves partitions of one topic; says whether any moved.
fn balance_topic(topic: &mut Topic, loads: &mut [usize]) -> bool {
    let mut balancer = Balancer::new(&topic.subscribers, loads);
    if balancer.imbalance(loads) <= 1 {
        return false;
    }
    // What each member can give away, the highest number first.
    let mut owned: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (partition, owner) in topic.owners.iter().enumerate() {
        if let Some(owner) = owner {
            owned.entry(*owner).or_default().push(partition);
        }
    }
    let mut has_moved = false;
    while !balancer.is_balanced() {
        let Some(giver) = balancer.next_most_loaded(loads) else { break };
        let Some(partition) = owned.get_mut(&giver).and_then(Vec::pop) else {
            balancer.exclude_most_loaded();
            continue;
        };
        let taker = balancer.next_least_loaded(loads);
        if balancer.is_balanced() {
            break;
        }
        topic.owners[partition] = Some(taker);
        loads[giver] -= 1;
        loads[taker] += 1;
        has_moved = true;
    }
    has_moved
}
