use super::Subscriber;
use crate::consumer::Partitions;
use ottla_types::TopicId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

type Members = BTreeMap<Arc<str>, Subscriber>;
type Assigned = BTreeMap<Arc<str>, Partitions>;

/// How often the balance is looked for where members want different topics: each round moves a partition only to a member
/// that has at least two less, so that it comes to an end by itself.
const ROUNDS_MAX: usize = 64;

/// Everybody gets equally much, give or take one, and keeps what it had as far as that allows.
pub(super) fn assign(members: &Members, partitions: &BTreeMap<TopicId, i32>) -> Assigned {
    let mut wanted = members.values().map(|member| &member.topics);
    let first = wanted.next();
    if wanted.all(|topics| Some(topics) == first) { alike(members, partitions) } else { different(members, partitions) }
}

/// All members want the same.
fn alike(members: &Members, partitions: &BTreeMap<TopicId, i32>) -> Assigned {
    let Some(topics) = members.values().next().map(|member| &member.topics) else { return Assigned::new() };
    let all: Vec<(TopicId, i32)> = each_partition(topics, partitions).collect();
    let (quota, mut longer) = (all.len() / members.len(), all.len() % members.len());
    let mut free: BTreeSet<(TopicId, i32)> = all.into_iter().collect();
    let mut assigned = Assigned::new();
    // Whoever had more than the quota keeps one more, as long as there are such places.
    let mut sorted: Vec<_> = members.iter().map(|(member_id, member)| (member_id, kept(member, &free))).collect();
    sorted.sort_by_key(|(_, kept)| std::cmp::Reverse(kept.len()));
    let mut wants = Vec::new();
    for (member_id, mut kept) in sorted {
        // Two members may have been given the same by a log of another making.
        kept.retain(|partition| free.contains(partition));
        let most = quota + usize::from(longer > 0);
        kept.truncate(most);
        let has_longer = kept.len() > quota;
        longer -= usize::from(has_longer);
        kept.iter().for_each(|partition| _ = free.remove(partition));
        wants.push((member_id, quota.saturating_sub(kept.len()), has_longer));
        put(assigned.entry(member_id.clone()).or_default(), kept);
    }
    let mut free = free.into_iter();
    for (member_id, missing, has_longer) in wants {
        let extra = usize::from(!has_longer && longer > 0);
        longer -= extra;
        put(assigned.entry(member_id.clone()).or_default(), free.by_ref().take(missing + extra));
    }
    assigned
}

/// What a member had and still wants, of what is free.
fn kept(member: &Subscriber, free: &BTreeSet<(TopicId, i32)>) -> Vec<(TopicId, i32)> {
    let had = member.target.iter().flat_map(|(topic, partitions)| partitions.iter().map(|index| (*topic, *index)));
    had.filter(|partition| member.topics.contains(&partition.0) && free.contains(partition)).collect()
}

fn each_partition<'a>(
    topics: &'a BTreeSet<TopicId>,
    partitions: &'a BTreeMap<TopicId, i32>,
) -> impl Iterator<Item = (TopicId, i32)> + 'a {
    topics.iter().flat_map(|topic| (0..partitions.get(topic).copied().unwrap_or(0)).map(|index| (*topic, index)))
}

fn put(into: &mut Partitions, partitions: impl IntoIterator<Item = (TopicId, i32)>) {
    for (topic, index) in partitions {
        into.entry(topic).or_default().insert(index);
    }
}

/// Members want different topics: they keep what they have, what is free goes to whoever has least, and then partitions move
/// from those that have most to those that have least.
fn different(members: &Members, partitions: &BTreeMap<TopicId, i32>) -> Assigned {
    let mut subscribers: BTreeMap<TopicId, Vec<usize>> = BTreeMap::new();
    for (number, member) in members.values().enumerate() {
        for topic in member.topics.iter().filter(|topic| partitions.contains_key(topic)) {
            subscribers.entry(*topic).or_default().push(number);
        }
    }
    let wanted: BTreeSet<TopicId> = subscribers.keys().copied().collect();
    let mut free: BTreeSet<(TopicId, i32)> = each_partition(&wanted, partitions).collect();
    let mut has: Vec<Vec<(TopicId, i32)>> = Vec::with_capacity(members.len());
    for member in members.values() {
        let kept = kept(member, &free);
        kept.iter().for_each(|partition| _ = free.remove(partition));
        has.push(kept);
    }
    // Topics that few want come first: what many want can go to anybody later.
    let mut free: Vec<_> = free.into_iter().collect();
    free.sort_by_key(|(topic, index)| (subscribers.get(topic).map_or(0, Vec::len), *topic, *index));
    for (topic, index) in free {
        let who = subscribers.get(&topic).into_iter().flatten();
        let least = who.min_by_key(|number| has.get(**number).map_or(0, Vec::len));
        if let Some(partitions) = least.and_then(|number| has.get_mut(*number)) {
            partitions.push((topic, index));
        }
    }
    for _ in 0..ROUNDS_MAX {
        if !balance(&subscribers, &mut has) {
            break;
        }
    }
    let mut assigned = Assigned::new();
    for (member_id, partitions) in members.keys().zip(has) {
        put(assigned.entry(member_id.clone()).or_default(), partitions);
    }
    assigned
}

/// Moves partitions of each topic from whoever has most to whoever has least. Says whether any moved.
fn balance(subscribers: &BTreeMap<TopicId, Vec<usize>>, has: &mut [Vec<(TopicId, i32)>]) -> bool {
    let mut moved = false;
    for (topic, who) in subscribers {
        loop {
            let length = |number: &&usize| has.get(**number).map_or(0, Vec::len);
            let of_topic = |number: &&usize| {
                has.get(**number).and_then(|partitions| partitions.iter().rposition(|(other, _)| other == topic))
            };
            let richest = who.iter().filter(|number| of_topic(number).is_some()).max_by_key(length);
            let poorest = who.iter().min_by_key(length);
            let (Some(from), Some(to)) = (richest, poorest) else { break };
            if length(&from) < length(&to) + 2 {
                break;
            }
            let place = of_topic(&from);
            let partition = place.and_then(|place| Some(has.get_mut(*from)?.remove(place)));
            let (Some(partition), Some(to)) = (partition, has.get_mut(*to)) else { break };
            to.push(partition);
            moved = true;
        }
    }
    moved
}
