use crate::cluster::TopicMetadata;
use crate::random;
use ottla_types::NodeId;
use std::collections::BTreeMap;

/// Chooses the partition of records that name none, as Kafka's own producer does (KIP-480, KIP-794): by the hash of the
/// key; without a key one partition after the other, each until it got a batch's worth of bytes.
#[derive(Default)]
pub(crate) struct Partitioner {
    sticky: BTreeMap<String, Sticky>,
}

struct Sticky {
    partition: i32,
    bytes: usize,
}

impl Partitioner {
    /// The partition for a key. All of Kafka's clients agree on it while the number of partitions stays the same.
    pub(crate) fn by_key(key: &[u8], partitions: usize) -> i32 {
        let positive = murmur2(key) & 0x7fff_ffff;
        (positive as usize).checked_rem(partitions).unwrap_or(0) as i32
    }

    /// The partition for a record without a key, which has this many bytes.
    pub(crate) fn sticky(&mut self, name: &str, topic: &TopicMetadata, bytes: usize, batch_bytes: usize) -> i32 {
        let known = self.sticky.get_mut(name).filter(|sticky| {
            let full = sticky.bytes >= batch_bytes;
            !full && topic.partition(sticky.partition).is_some_and(|partition| partition.leader != NodeId::NONE)
        });
        if let Some(sticky) = known {
            sticky.bytes += bytes;
            return sticky.partition;
        }
        let partition = choose(topic);
        self.sticky.insert(name.to_owned(), Sticky { partition, bytes });
        partition
    }
}

/// A random partition among those that have a leader, or among all when none has.
fn choose(topic: &TopicMetadata) -> i32 {
    let with_leader = || topic.partitions.iter().filter(|partition| partition.leader != NodeId::NONE);
    let count = with_leader().count();
    let chosen = match count {
        0 => topic.partitions.get(random::below(topic.partitions.len())),
        _ => with_leader().nth(random::below(count)),
    };
    chosen.map_or(0, |partition| partition.index)
}

/// Austin Appleby's MurmurHash2 with the seed that Kafka's Java client uses.
pub(crate) fn murmur2(bytes: &[u8]) -> u32 {
    const MIX: u32 = 0x5bd1_e995;
    const SEED: u32 = 0x9747_b28c;
    let mut hash = SEED ^ bytes.len() as u32;
    let mut words = bytes.chunks_exact(4);
    for word in &mut words {
        let word = word.first_chunk::<4>().map_or(0, |word| u32::from_le_bytes(*word));
        let mut mixed = word.wrapping_mul(MIX);
        mixed ^= mixed >> 24;
        hash = hash.wrapping_mul(MIX) ^ mixed.wrapping_mul(MIX);
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        for (index, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * index);
        }
        hash = hash.wrapping_mul(MIX);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(MIX);
    hash ^ hash >> 15
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::PartitionMetadata;
    use ottla_types::LeaderEpoch;

    fn topic(leaders: &[i32]) -> TopicMetadata {
        let partition = |(index, leader): (usize, &i32)| PartitionMetadata {
            index: index as i32,
            leader: NodeId(*leader),
            leader_epoch: LeaderEpoch(0),
            replicas: Vec::new(),
            in_sync_replicas: Vec::new(),
            offline_replicas: Vec::new(),
        };
        TopicMetadata { partitions: leaders.iter().enumerate().map(partition).collect(), ..Default::default() }
    }

    #[test]
    fn the_hash_is_the_java_clients() {
        // Values of org.apache.kafka.common.utils.Utils.murmur2 of the pinned release.
        let known: [(&str, i32); 7] = [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
            ("", 275_646_681),
        ];
        for (key, hash) in known {
            assert_eq!(murmur2(key.as_bytes()) as i32, hash, "{key:?}");
        }
    }

    #[test]
    fn records_without_a_key_stay_on_one_partition_until_a_batch_is_full() {
        let topic = topic(&[1; 50]);
        let mut partitioner = Partitioner::default();
        let chosen: Vec<_> = (0..300).map(|_| partitioner.sticky("t", &topic, 10, 100)).collect();
        for run in chosen.chunks(10) {
            assert!(run.iter().all(|partition| partition == &run[0]), "{run:?}");
        }
        assert!(chosen.iter().any(|partition| partition != &chosen[0]));
    }

    #[test]
    fn a_partition_without_a_leader_is_passed_over() {
        let topic = topic(&[-1, 4, -1]);
        let mut partitioner = Partitioner::default();
        for _ in 0..20 {
            assert_eq!(partitioner.sticky("t", &topic, 100, 100), 1);
        }
    }
}
