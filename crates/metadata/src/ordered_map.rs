use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// Entries per chunk before it is split. A change of a shared map copies one chunk and the list of chunks: with 10,000
/// entries that is 64 entries and about 200 pointers, some microseconds; searching takes two short binary searches.
const CHUNK_ENTRIES_MAX: usize = 64;

type Chunk<K, V> = Arc<Vec<(K, V)>>;

/// A sorted map whose copies share their content.
///
/// `clone` copies one pointer. A change copies only the touched chunk, and not even that while no copy exists, so
/// replaying a log into an image that nobody else holds changes it in place. Iteration is in the order of the keys, hence
/// the same in every run.
pub struct OrderedMap<K, V> {
    /// Never empty chunks, sorted; each chunk sorted; keys unique.
    chunks: Arc<Vec<Chunk<K, V>>>,
    entries: usize,
}

impl<K, V> Clone for OrderedMap<K, V> {
    fn clone(&self) -> Self {
        Self { chunks: self.chunks.clone(), entries: self.entries }
    }
}

impl<K, V> Default for OrderedMap<K, V> {
    fn default() -> Self {
        Self { chunks: Arc::default(), entries: 0 }
    }
}

impl<K: Ord + Clone, V: Clone> OrderedMap<K, V> {
    /// A map without entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.entries
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// The value of `key`.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let chunk = self.chunks.get(self.chunk_of(key)?)?;
        let entry = chunk.binary_search_by(|(k, _)| k.borrow().cmp(key)).ok()?;
        chunk.get(entry).map(|(_, value)| value)
    }

    /// Whether `key` has a value.
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.get(key).is_some()
    }

    /// Sets the value of `key` and returns the one that it replaces.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let at = self.chunk_of(&key);
        let chunks = Arc::make_mut(&mut self.chunks);
        let Some(index) = at else {
            chunks.push(Arc::new(vec![(key, value)]));
            self.entries = 1;
            return None;
        };
        let chunk = Arc::make_mut(&mut chunks[index]);
        match chunk.binary_search_by(|(k, _)| k.cmp(&key)) {
            Ok(entry) => Some(std::mem::replace(&mut chunk[entry].1, value)),
            Err(entry) => {
                chunk.insert(entry, (key, value));
                self.entries += 1;
                if chunk.len() > CHUNK_ENTRIES_MAX {
                    // Replay mostly appends ascending keys (partitions of a topic): leave the left chunk full then.
                    let cut = if entry + 1 == chunk.len() { CHUNK_ENTRIES_MAX } else { CHUNK_ENTRIES_MAX / 2 };
                    let right = chunk.split_off(cut);
                    chunks.insert(index + 1, Arc::new(right));
                }
                None
            }
        }
    }

    /// The value of `key`, to be changed in place. Copies what other maps share, as [`Self::insert`] does.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let index = self.chunk_of(key)?;
        let entry = self.chunks.get(index)?.binary_search_by(|(k, _)| k.borrow().cmp(key)).ok()?;
        let chunk = Arc::make_mut(&mut self.chunks).get_mut(index)?;
        Arc::make_mut(chunk).get_mut(entry).map(|(_, value)| value)
    }

    /// Removes `key` and returns its value.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let index = self.chunk_of(key)?;
        let entry = self.chunks.get(index)?.binary_search_by(|(k, _)| k.borrow().cmp(key)).ok()?;
        let chunks = Arc::make_mut(&mut self.chunks);
        let chunk = Arc::make_mut(&mut chunks[index]);
        let (_, value) = chunk.remove(entry);
        if chunk.is_empty() {
            chunks.remove(index);
        }
        self.entries -= 1;
        Some(value)
    }

    /// All entries in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.chunks.iter().flat_map(|chunk| chunk.iter().map(|(key, value)| (key, value)))
    }

    /// The entries from `first` on, in the order of the keys: for listings that are paged.
    pub fn iter_from<'a, Q: Ord + ?Sized>(&'a self, first: &'a Q) -> impl Iterator<Item = (&'a K, &'a V)>
    where
        K: Borrow<Q>,
    {
        let chunk = self.chunk_of(first).unwrap_or(0);
        let entries = self.chunks.get(chunk..).unwrap_or_default().iter().flat_map(|chunk| chunk.iter());
        entries.skip_while(move |(key, _)| key.borrow() < first).map(|(key, value)| (key, value))
    }

    /// All keys, ascending.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }

    /// All values in the order of their keys.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// Whether both are copies of one map with no change in between. `false` says nothing.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.chunks, &other.chunks)
    }

    /// The chunk that holds `key` or would take it; `None` in an empty map.
    fn chunk_of<Q: Ord + ?Sized>(&self, key: &Q) -> Option<usize>
    where
        K: Borrow<Q>,
    {
        if self.chunks.is_empty() {
            return None;
        }
        let after = self.chunks.partition_point(|chunk| chunk.first().is_some_and(|(first, _)| first.borrow() <= key));
        Some(after.saturating_sub(1))
    }
}

impl<K: Ord + Clone + fmt::Debug, V: Clone + fmt::Debug> fmt::Debug for OrderedMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K: Ord + Clone, V: Clone + PartialEq> PartialEq for OrderedMap<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.is_same(other) || (self.entries == other.entries && self.iter().eq(other.iter()))
    }
}

impl<K: Ord + Clone, V: Clone + Eq> Eq for OrderedMap<K, V> {}

impl<K: Ord + Clone, V: Clone> FromIterator<(K, V)> for OrderedMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::new();
        for (key, value) in entries {
            map.insert(key, value);
        }
        map
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// A fixed sequence of numbers that jump about.
    fn scattered(count: u64) -> impl Iterator<Item = u64> {
        (0..count).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40)
    }

    #[test]
    fn it_holds_what_a_btree_map_holds_through_inserts_and_removes() {
        let (mut map, mut model) = (OrderedMap::new(), BTreeMap::new());
        for (i, key) in scattered(5_000).enumerate() {
            assert_eq!(map.insert(key, i), model.insert(key, i));
            if i % 3 == 0 {
                let gone = key / 2;
                assert_eq!(map.remove(&gone), model.remove(&gone));
            }
        }
        assert_eq!(map.len(), model.len());
        assert!(map.iter().eq(model.iter()));
        for key in scattered(5_000) {
            assert_eq!(map.get(&key), model.get(&key));
            assert_eq!(map.remove(&key), model.remove(&key));
        }
        assert!(map.iter().eq(model.iter()));
    }

    #[test]
    fn a_change_leaves_the_copies_made_before_untouched() {
        let mut map: OrderedMap<u32, u32> = (0..1_000).map(|i| (i, i)).collect();
        let before = map.clone();
        assert!(map.is_same(&before));
        map.insert(500, 0);
        map.remove(&7);
        map.insert(5_000, 1);
        assert_eq!((before.len(), map.len()), (1_000, 1_000));
        assert_eq!((before.get(&500), before.get(&7), before.get(&5_000)), (Some(&500), Some(&7), None));
        assert_eq!((map.get(&500), map.get(&7), map.get(&5_000)), (Some(&0), None, Some(&1)));
    }

    #[test]
    fn iteration_can_start_at_any_key() {
        let map: OrderedMap<u32, ()> = (0..300).map(|i| (i * 2, ())).collect();
        assert_eq!(map.iter_from(&301).next(), Some((&302, &())));
        assert_eq!(map.iter_from(&0).count(), 300);
        assert_eq!(map.iter_from(&599).count(), 0);
        assert_eq!(OrderedMap::<u32, ()>::new().iter_from(&1).count(), 0);
    }
}
