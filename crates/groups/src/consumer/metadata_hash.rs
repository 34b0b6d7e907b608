use crate::view::ClusterView;
use std::sync::Arc;
use twox_hash::XxHash3_64;

/// Bytes as the hash of Apache Kafka takes them: numbers and UTF-16 units from the least byte on, texts followed by their
/// length in units.
#[derive(Default)]
struct Hashed(Vec<u8>);

impl Hashed {
    fn long(&mut self, number: i64) {
        self.0.extend(number.to_le_bytes());
    }

    fn int(&mut self, number: i32) {
        self.0.extend(number.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        let before = self.0.len();
        self.0.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
        self.int(i32::try_from((self.0.len() - before) / 2).unwrap_or(i32::MAX));
    }

    fn finish(&self) -> i64 {
        XxHash3_64::oneshot(&self.0) as i64
    }
}

/// A hash of what there is of topics, equal to Apache Kafka's (KIP-1101). Topics that are not there don't count; without any
/// it is 0.
pub(crate) fn metadata_hash<'a>(topics: impl Iterator<Item = &'a Arc<str>>, view: &dyn ClusterView) -> i64 {
    let mut hashed = Hashed::default();
    for hash in topics.filter_map(|name| topic_hash(name, view)) {
        hashed.long(hash);
    }
    if hashed.0.is_empty() { 0 } else { hashed.finish() }
}

fn topic_hash(name: &str, view: &dyn ClusterView) -> Option<i64> {
    let topic = view.topic_by_name(name)?;
    let mut hashed = Hashed(vec![0]);
    let id = topic.id.as_u128();
    hashed.long((id >> 64) as i64);
    hashed.long(id as i64);
    hashed.text(&topic.name);
    hashed.int(topic.partitions);
    for partition in 0..topic.partitions {
        hashed.int(partition);
        let mut racks = view.racks(topic.id, partition);
        racks.sort();
        for rack in racks {
            hashed.int(i32::try_from(rack.encode_utf16().count()).unwrap_or(i32::MAX));
            hashed.text(&rack);
        }
    }
    Some(hashed.finish())
}

#[cfg(test)]
pub(crate) fn metadata_hash_of(topics: &[Arc<str>], view: &dyn ClusterView) -> i64 {
    metadata_hash(topics.iter(), view)
}
