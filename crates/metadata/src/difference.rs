use crate::replay::Change;
use crate::{MetadataDelta, MetadataImage, OrderedMap};
use ottla_types::TopicIdPartition;
use std::cmp::Ordering;
use std::collections::BTreeSet;

impl MetadataDelta {
    /// The delta between two images of which the records in between are not at hand: after a snapshot was loaded.
    pub fn between(before: MetadataImage, after: MetadataImage) -> Self {
        let mut delta = Self::new(before.clone());
        delta.set_after(after.clone());
        if before.features != after.features {
            delta.note(Change::Features);
        }
        if before.next_producer_id != after.next_producer_id {
            delta.note(Change::ProducerIds);
        }
        let keys: BTreeSet<_> = before.cluster.brokers.keys().chain(after.cluster.brokers.keys()).copied().collect();
        for id in keys.into_iter().filter(|id| before.cluster.broker(*id) != after.cluster.broker(*id)) {
            delta.note(Change::Broker(id));
        }
        let (old, new) = (&before.cluster.controllers, &after.cluster.controllers);
        let keys: BTreeSet<_> = old.keys().chain(new.keys()).copied().collect();
        for id in keys.into_iter().filter(|id| old.get(id) != new.get(id)) {
            delta.note(Change::Controller(id));
        }
        note_topics(&mut delta, &before, &after);
        for key in differing(&before.configs.resources, &after.configs.resources) {
            delta.note(Change::Config(key));
        }
        for key in differing(&before.quotas.entities, &after.quotas.entities) {
            delta.note(Change::Quota(key));
        }
        for key in differing(&before.acls.entries, &after.acls.entries) {
            delta.note(Change::Acl(key));
        }
        for key in differing(&before.scram.credentials, &after.scram.credentials) {
            delta.note(Change::Scram(key));
        }
        for key in differing(&before.tokens.tokens, &after.tokens.tokens) {
            delta.note(Change::Token(key));
        }
        delta
    }
}

fn note_topics(delta: &mut MetadataDelta, before: &MetadataImage, after: &MetadataImage) {
    for topic_id in differing(&before.topics.by_id, &after.topics.by_id) {
        let (old, new) = (before.topics.topic(topic_id), after.topics.topic(topic_id));
        let partitions = match (old, new) {
            (Some(old), None) => {
                delta.note(Change::TopicDeleted(old.clone()));
                continue;
            }
            (None, Some(new)) => {
                delta.note(Change::TopicCreated(topic_id));
                new.partitions.keys().copied().collect()
            }
            (Some(old), Some(new)) => differing(&old.partitions, &new.partitions),
            (None, None) => continue,
        };
        let partitions = partitions.into_iter().map(|partition| TopicIdPartition { topic_id, partition });
        delta.note(Change::Partitions(partitions.collect()));
    }
}

/// The keys with another value in one map than in the other, or in only one of them.
fn differing<K: Ord + Clone, V: Clone + PartialEq>(left: &OrderedMap<K, V>, right: &OrderedMap<K, V>) -> Vec<K> {
    let mut keys = Vec::new();
    if left.is_same(right) {
        return keys;
    }
    let (mut left, mut right) = (left.iter().peekable(), right.iter().peekable());
    loop {
        let order = match (left.peek(), right.peek()) {
            (Some((l, _)), Some((r, _))) => l.cmp(r),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return keys,
        };
        match order {
            Ordering::Less => keys.extend(left.next().map(|(key, _)| key.clone())),
            Ordering::Greater => keys.extend(right.next().map(|(key, _)| key.clone())),
            Ordering::Equal => {
                if let (Some((key, old)), Some((_, new))) = (left.next(), right.next())
                    && old != new
                {
                    keys.push(key.clone());
                }
            }
        }
    }
}
