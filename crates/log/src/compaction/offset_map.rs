use ottla_types::Offset;
use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};

/// What an entry takes: a hash of 16 bytes and an offset of 8, and the table's room for growing.
const ENTRY_BYTES: usize = 40;

/// The offset of the last record of each key, within a bound of memory.
///
/// A key is known by a hash of 128 bits, made of two of 64 with secret keys of this run: two keys are taken for one with a
/// probability of 2^-128 each, and nobody can look for such a pair.
pub(crate) struct OffsetMap {
    hashers: [RandomState; 2],
    offsets: HashMap<(u64, u64), i64, BuildHasherDefault<AsItIs>>,
    entries_max: usize,
    latest: Offset,
}

impl OffsetMap {
    pub(crate) fn new(bytes: usize, load_factor: f64) -> Self {
        let entries = (bytes / ENTRY_BYTES) as f64 * load_factor.clamp(0.0, 1.0);
        Self {
            hashers: [RandomState::new(), RandomState::new()],
            offsets: HashMap::default(),
            entries_max: (entries as usize).max(1),
            latest: Offset(-1),
        }
    }

    /// Notes the record of a key. `false` when there is no room for another key: then nothing was noted.
    pub(crate) fn put(&mut self, key: &[u8], offset: Offset) -> bool {
        let hash = self.hash(key);
        if self.offsets.len() >= self.entries_max && !self.offsets.contains_key(&hash) {
            return false;
        }
        self.offsets.insert(hash, offset.0);
        self.latest = offset;
        true
    }

    /// The last record of a key.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Offset> {
        self.offsets.get(&self.hash(key)).copied().map(Offset)
    }

    /// Up to this offset, itself included, all records were looked at.
    pub(crate) fn latest(&self) -> Offset {
        self.latest
    }

    pub(crate) fn set_latest(&mut self, offset: Offset) {
        self.latest = offset;
    }

    fn hash(&self, key: &[u8]) -> (u64, u64) {
        let [first, second] = &self.hashers;
        (first.hash_one(key), second.hash_one(key))
    }
}

/// The keys of the table are hashes already.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 ^= number;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_offset_of_a_key_counts() {
        let mut map = OffsetMap::new(4_000, 1.0);
        assert!(map.put(b"a", Offset(1)) && map.put(b"b", Offset(2)) && map.put(b"a", Offset(5)));
        assert_eq!((map.get(b"a"), map.get(b"b"), map.get(b"c")), (Some(Offset(5)), Some(Offset(2)), None));
        assert_eq!(map.latest(), Offset(5));
    }

    #[test]
    fn a_full_map_takes_known_keys_and_no_new_ones() {
        let mut map = OffsetMap::new(10 * ENTRY_BYTES, 0.5);
        for number in 0..5u8 {
            assert!(map.put(&[number], Offset(number.into())));
        }
        assert!(!map.put(b"new", Offset(9)));
        assert!(map.put(&[3], Offset(10)));
        assert_eq!((map.get(b"new"), map.latest()), (None, Offset(10)));
    }
}
