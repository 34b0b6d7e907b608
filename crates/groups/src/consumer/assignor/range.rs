use super::Subscriber;
use crate::consumer::Partitions;
use ottla_types::TopicId;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A topic that is being divided.
struct Share {
    partitions: i32,
    members: i32,
    /// How many of its members have had their part.
    served: i32,
    next: i32,
}

/// Each topic's partitions in as many ranges as it has members; the first ones are longer by one where it does not work out.
/// Static members come first, in the order of their instance ids, then the others: so all topics are divided alike.
pub(super) fn assign(
    members: &BTreeMap<Arc<str>, Subscriber>,
    partitions: &BTreeMap<TopicId, i32>,
) -> BTreeMap<Arc<str>, Partitions> {
    let mut shares: BTreeMap<TopicId, Share> = BTreeMap::new();
    for topic in members.values().flat_map(|member| &member.topics) {
        let Some(count) = partitions.get(topic) else { continue };
        let share = shares.entry(*topic).or_insert(Share { partitions: *count, members: 0, served: 0, next: 0 });
        share.members += 1;
    }
    let mut ordered: Vec<_> = members.iter().collect();
    // Java compares strings by UTF-16 units.
    ordered.sort_by_cached_key(|(member_id, member)| {
        let name = member.instance_id.as_deref().unwrap_or(member_id);
        (member.instance_id.is_none(), name.encode_utf16().collect::<Vec<u16>>())
    });
    let mut assigned = BTreeMap::new();
    for (member_id, member) in ordered {
        let mut part = Partitions::new();
        for topic in &member.topics {
            let Some(share) = shares.get_mut(topic) else { continue };
            let is_longer = share.served < share.partitions % share.members;
            let length = share.partitions / share.members + i32::from(is_longer);
            if length > 0 {
                part.insert(*topic, (share.next..share.next + length).collect());
            }
            share.next += length;
            share.served += 1;
        }
        assigned.insert(member_id.clone(), part);
    }
    assigned
}
