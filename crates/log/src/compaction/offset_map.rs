use core::hint::black_box;
use ottla_types::Offset;
use siphasher::sip128::SipHasher13;

/// What an entry of the table takes: a hash of 16 bytes and an offset of 8.
const SLOT_BYTES: usize = size_of::<Slot>();
/// A table that is this full, in tenths, and not as large as it may be, is replaced by one of twice the size.
const GROWS_AT: usize = 6;
const SLOTS_AT_FIRST: usize = 1024;

/// What is known of a key: a hash of 128 bits with secret keys of this run. Two keys are taken for one with a probability of
/// 2^-128 each, and nobody can look for such a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyHash(u64, u64);

#[derive(Clone, Copy)]
struct Slot {
    hash: KeyHash,
    /// Less than 0 in a slot that is free.
    offset: i64,
}

const FREE: Slot = Slot { hash: KeyHash(0, 0), offset: -1 };

/// The offset of the last record of each key, within a bound of memory.
///
/// A table with linear probing. A slot's place ascends with its hash, so that a larger table is filled from the smaller one
/// from front to back. Nearly every look at it misses the processor's caches, so keys are looked for many at a time: their
/// places are touched first, and the misses overlap.
pub(crate) struct OffsetMap {
    hasher: SipHasher13,
    slots: Vec<Slot>,
    taken: usize,
    slots_max: usize,
    entries_max: usize,
    latest: Offset,
}

impl OffsetMap {
    /// `keys` are secret numbers. While it grows, both tables together are within `bytes`.
    pub(crate) fn new(bytes: usize, load_factor: f64, keys: [u64; 2]) -> Self {
        let slots_max = (bytes / (SLOT_BYTES + SLOT_BYTES / 2)).max(2);
        // One slot stays free, so that every search ends.
        let entries = (slots_max as f64 * load_factor.clamp(0.0, 1.0)) as usize;
        Self {
            hasher: SipHasher13::new_with_keys(keys[0], keys[1]),
            slots: vec![FREE; slots_max.min(SLOTS_AT_FIRST)],
            taken: 0,
            slots_max,
            entries_max: entries.clamp(1, slots_max - 1),
            latest: Offset(-1),
        }
    }

    pub(crate) fn hash(&self, key: &[u8]) -> KeyHash {
        let (first, second) = self.hasher.hash(key).as_u64();
        KeyHash(first, second)
    }

    /// Notes records in the order of their offsets. `false` when there is no room for another key: then those before it are
    /// noted, and nothing after.
    pub(crate) fn put_all(&mut self, records: &[(KeyHash, Offset)]) -> bool {
        self.touch(records.iter().map(|(hash, _)| *hash));
        records.iter().all(|(hash, offset)| self.put(*hash, *offset))
    }

    fn put(&mut self, hash: KeyHash, offset: Offset) -> bool {
        let mut at = self.place(hash);
        while let Some(slot) = self.slots.get_mut(at) {
            let is_free = slot.offset < 0;
            if is_free && self.taken >= self.entries_max {
                return false;
            }
            if is_free || slot.hash == hash {
                *slot = Slot { hash, offset: offset.0 };
                self.latest = offset;
                self.taken += usize::from(is_free);
                break;
            }
            at = self.after(at);
        }
        if self.taken * 10 >= self.slots.len() * GROWS_AT && self.slots.len() < self.slots_max {
            self.grow();
        }
        true
    }

    /// The last records of keys, each in the place of its key.
    pub(crate) fn get_all(&self, hashes: &[KeyHash], found: &mut Vec<Option<Offset>>) {
        self.touch(hashes.iter().copied());
        found.clear();
        found.extend(hashes.iter().map(|hash| self.get(*hash)));
    }

    /// The last record of a key.
    pub(crate) fn get(&self, hash: KeyHash) -> Option<Offset> {
        let mut at = self.place(hash);
        while let Some(slot) = self.slots.get(at).filter(|slot| slot.offset >= 0) {
            if slot.hash == hash {
                return Some(Offset(slot.offset));
            }
            at = self.after(at);
        }
        None
    }

    /// Up to this offset, itself included, all records were looked at.
    pub(crate) fn latest(&self) -> Offset {
        self.latest
    }

    pub(crate) fn set_latest(&mut self, offset: Offset) {
        self.latest = offset;
    }

    /// Has the slots of keys in the caches. The reads do not depend on each other, so the processor has many of them under
    /// way at once.
    fn touch(&self, hashes: impl Iterator<Item = KeyHash>) {
        let read = |hash| self.slots.get(self.place(hash)).map_or(0, |slot| slot.hash.0);
        black_box(hashes.fold(0, |sum, hash| sum ^ read(hash)));
    }

    fn place(&self, hash: KeyHash) -> usize {
        ((u128::from(hash.0) * self.slots.len() as u128) >> 64) as usize
    }

    fn after(&self, at: usize) -> usize {
        if at + 1 < self.slots.len() { at + 1 } else { 0 }
    }

    fn grow(&mut self) {
        let larger = vec![FREE; (self.slots.len() * 2).min(self.slots_max)];
        let smaller = core::mem::replace(&mut self.slots, larger);
        for old in smaller.into_iter().filter(|slot| slot.offset >= 0) {
            let mut at = self.place(old.hash);
            while self.slots.get(at).is_some_and(|slot| slot.offset >= 0) {
                at = self.after(at);
            }
            if let Some(slot) = self.slots.get_mut(at) {
                *slot = old;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn put(map: &mut OffsetMap, key: &[u8], offset: i64) -> bool {
        map.put_all(&[(map.hash(key), Offset(offset))])
    }

    fn get(map: &OffsetMap, key: &[u8]) -> Option<i64> {
        map.get(map.hash(key)).map(|offset| offset.0)
    }

    #[test]
    fn the_last_offset_of_a_key_counts() {
        let mut map = OffsetMap::new(4_000, 1.0, [1, 2]);
        assert!(put(&mut map, b"a", 1) && put(&mut map, b"b", 2) && put(&mut map, b"a", 5));
        assert_eq!((get(&map, b"a"), get(&map, b"b"), get(&map, b"c")), (Some(5), Some(2), None));
        assert_eq!(map.latest(), Offset(5));
    }

    #[test]
    fn a_full_map_takes_known_keys_and_no_new_ones() {
        let mut map = OffsetMap::new(10 * SLOT_BYTES * 3 / 2, 0.5, [1, 2]);
        for number in 0..5u8 {
            assert!(put(&mut map, &[number], number.into()));
        }
        assert!(!put(&mut map, b"new", 9));
        assert!(put(&mut map, &[3], 10));
        assert_eq!((get(&map, b"new"), map.latest()), (None, Offset(10)));
        let mixed = [(map.hash(&[4]), Offset(11)), (map.hash(b"new"), Offset(12)), (map.hash(&[1]), Offset(13))];
        assert!(!map.put_all(&mixed));
        assert_eq!((get(&map, &[4]), get(&map, &[1]), map.latest()), (Some(11), Some(1), Offset(11)));
    }

    #[test]
    fn it_knows_as_much_as_a_map_of_the_keys_themselves_however_it_grows() {
        for bytes in [100_000, 300_000, 10_000_000] {
            let mut map = OffsetMap::new(bytes, 0.9, [bytes as u64, 7]);
            let mut model = BTreeMap::new();
            for offset in 0..200_000i64 {
                let key = (offset * 7_919 % 60_000).to_be_bytes();
                if !put(&mut map, &key, offset) {
                    assert!(!model.contains_key(&key));
                    break;
                }
                model.insert(key, offset);
            }
            assert!(model.len() == 60_000 || model.len() == map.entries_max, "{}", model.len());
            assert!(map.slots.len() * SLOT_BYTES <= bytes);
            let hashes: Vec<KeyHash> = model.keys().map(|key| map.hash(key)).collect();
            let mut found = Vec::new();
            map.get_all(&hashes, &mut found);
            assert!(found.iter().zip(model.values()).all(|(found, offset)| *found == Some(Offset(*offset))));
        }
    }

    #[test]
    fn the_smallest_map_still_takes_a_key() {
        let mut map = OffsetMap::new(0, 0.0, [0, 0]);
        assert!(put(&mut map, b"a", 1) && !put(&mut map, b"b", 2) && put(&mut map, b"a", 3));
        assert_eq!((get(&map, b"a"), get(&map, b"b")), (Some(3), None));
    }
}
