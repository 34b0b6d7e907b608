//! Requests that name a partition several times.

use super::{Topic, Topics};
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

/// Of a partition that is named several times the last records count, and no others, as in Apache Kafka: a producer that
/// does so has made a mistake, and must not have its records twice.
pub(super) fn keep_last(topics: &mut Topics) {
    if names_one_twice(topics) {
        let mut known = HashMap::with_capacity(topics.len());
        for (number, topic) in core::mem::take(topics).into_iter().enumerate() {
            match known.entry((topic.name.clone(), topic.id)) {
                Entry::Vacant(vacant) => _ = vacant.insert((number, topic)),
                Entry::Occupied(mut first) => first.get_mut().1.parts.extend(topic.parts),
            }
        }
        let mut merged: Vec<_> = known.into_values().collect();
        merged.sort_unstable_by_key(|(number, _)| *number);
        topics.extend(merged.into_iter().map(|(_, topic)| topic));
    }
    for topic in topics.iter_mut() {
        if topic.parts.is_sorted_by(|a, b| a.index < b.index) {
            continue;
        }
        let mut places = HashMap::with_capacity(topic.parts.len());
        for part in core::mem::take(&mut topic.parts) {
            match places.entry(part.index) {
                Entry::Vacant(vacant) => {
                    vacant.insert(topic.parts.len());
                    topic.parts.push(part);
                }
                Entry::Occupied(place) => topic.parts[*place.get()] = part,
            }
        }
    }
}

fn names_one_twice(topics: &Topics) -> bool {
    /// Up to so many, comparing each with each costs less than a table.
    const FEW: usize = 16;
    if topics.len() <= FEW {
        let is_before = |(number, topic): (usize, &Topic)| {
            topics[..number].iter().any(|earlier| earlier.name == topic.name && earlier.id == topic.id)
        };
        return topics.iter().enumerate().any(is_before);
    }
    let mut names = HashSet::with_capacity(topics.len());
    !topics.iter().all(|topic| names.insert((topic.name.as_str(), topic.id)))
}
