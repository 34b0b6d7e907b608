use super::OffsetStore;
use crate::{DeletedTopic, GroupRecord};
use std::collections::BTreeSet;
use std::sync::Arc;

impl OffsetStore {
    /// The tombstone of a partition's offset, if there is anything to end.
    pub(crate) fn tombstone(&self, group_id: &str, topic: &str, partition: i32) -> Option<GroupRecord> {
        let exists = self.committed.get(group_id, topic, partition).is_some()
            || self.has_open_transaction(group_id, topic, partition);
        exists.then(|| tombstone(group_id.into(), topic.into(), partition))
    }

    /// The tombstones of all offsets of a group, also of those that are pending.
    pub(crate) fn tombstones_of_group(&self, group_id: &Arc<str>, records: &mut Vec<GroupRecord>) {
        let mut partitions: BTreeSet<(&Arc<str>, i32)> = BTreeSet::new();
        for (topic, offsets) in self.committed.group(group_id).into_iter().flatten() {
            partitions.extend(offsets.keys().map(|partition| (topic, *partition)));
        }
        for (topic, producers) in self.open.group(group_id).into_iter().flatten() {
            partitions.extend(producers.keys().map(|partition| (topic, *partition)));
        }
        records.extend(
            partitions.into_iter().map(|(topic, partition)| tombstone(group_id.clone(), topic.clone(), partition)),
        );
    }

    /// The tombstones of all offsets of deleted topics. Offsets that carry the id of another topic of the same name
    /// stay: the topic has been made anew since.
    pub(crate) fn tombstones_of_topics(&self, deleted: &[DeletedTopic], records: &mut Vec<GroupRecord>) {
        for topic in deleted {
            for store in std::iter::once(&self.committed).chain(self.pending.values()) {
                for (group_id, topics) in store.groups() {
                    let Some((name, partitions)) = topics.get_key_value(topic.name.as_str()) else { continue };
                    for (partition, offset) in partitions {
                        if offset.topic_id.is_zero() || offset.topic_id == topic.id {
                            records.push(tombstone(group_id.clone(), name.clone(), *partition));
                        }
                    }
                }
            }
        }
    }
}

pub(super) fn tombstone(group_id: Arc<str>, topic: Arc<str>, partition: i32) -> GroupRecord {
    GroupRecord::OffsetCommit { group_id, topic, partition, value: None }
}
