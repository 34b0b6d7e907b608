//! Java's hashes and the order of its hash tables: they place groups on partitions (see [`ottla_types`]), break ties
//! between protocols, and decide which member an assignor serves first.

use ottla_types::Uuid;
pub use ottla_types::{coordinator_partition as partition_for, java_string_hash as string_hash};

/// Orders names as a Java `HashMap` with these keys would list them: by bucket, then by insertion.
///
/// Kafka's vote for a group's protocol walks such a map and keeps the first of the names with the most votes.
pub(crate) fn hash_map_order<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut names: Vec<&str> = names.into_iter().collect();
    sort_as_hash_table(&mut names, Table::Grown, |name| string_hash(name));
    names
}

/// How a Java hash table came to its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Table {
    /// Filled one by one: it doubles from 16 whenever it is more than three quarters full.
    Grown,
    /// A `HashSet` made of a collection: room for all of it at once, and for one more.
    Copied,
}

impl Table {
    fn buckets(self, entries: usize) -> usize {
        match self {
            Self::Grown => (entries * 4).div_ceil(3).max(16).next_power_of_two(),
            Self::Copied => (entries * 4 / 3 + 1).max(16).next_power_of_two(),
        }
    }
}

/// Puts the items, which are in the order of insertion and all different, into the order in which a Java hash table
/// would list them.
pub(crate) fn sort_as_hash_table<T>(items: &mut [T], table: Table, hash: impl Fn(&T) -> i32) {
    let mask = table.buckets(items.len()) - 1;
    items.sort_by_key(|item| {
        let hash = hash(item) as u32;
        (hash ^ hash >> 16) as usize & mask
    });
}

/// Puts the items into the order in which one of Kafka's timeline tables lists their keys: by slot of a multiplicative hash, and in
/// one slot as they come.
pub(crate) fn timeline_order<T>(mut items: Vec<T>, key: impl Fn(&T) -> &str) -> Vec<T> {
    /// The golden ratio in 64 bits, as a signed number.
    const MULTIPLIER: i64 = -7_046_029_254_386_353_131;
    // The table doubles from two slots whenever more than four thirds of an item would be in each.
    let slots = (items.len() * 3).div_ceil(4).max(2).next_power_of_two();
    let shift = 64 - slots.trailing_zeros();
    items.sort_by_key(|item| i64::from(string_hash(key(item))).wrapping_mul(MULTIPLIER) as u64 >> shift);
    items
}

/// The hash of Kafka's `Uuid`.
pub(crate) fn uuid_hash(id: Uuid) -> i32 {
    let value = id.as_u128();
    let folded = (value >> 64) as u64 ^ value as u64;
    (folded >> 32) as i32 ^ folded as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_java_has_room_for_a_third_more() {
        // The twelfth entry still fits into sixteen buckets when it is put, and no longer when it is copied.
        assert_eq!([0, 12, 13, 24, 25].map(|entries| Table::Grown.buckets(entries)), [16, 16, 32, 32, 64]);
        assert_eq!([0, 11, 12, 23, 24].map(|entries| Table::Copied.buckets(entries)), [16, 16, 32, 32, 64]);
    }

    #[test]
    fn names_come_in_the_order_of_a_java_hash_map() {
        let few = ["roundrobin", "range", "sticky", "cooperative-sticky", "a", "b", "c"];
        assert_eq!(hash_map_order(few), ["a", "b", "c", "sticky", "range", "roundrobin", "cooperative-sticky"]);
        // Seen in Java 17 with thirty names, which makes the table grow twice.
        let names: Vec<String> = (0..30).map(|i| format!("protocol-{i}")).collect();
        let expected = [
            25, 26, 27, 28, 29, 0, 20, 2, 21, 1, 22, 4, 23, 3, 24, 6, 5, 8, 7, 9, 14, 15, 16, 17, 18, 19, 10, 11, 12,
            13,
        ];
        let expected: Vec<String> = expected.iter().map(|i| format!("protocol-{i}")).collect();
        assert_eq!(hash_map_order(names.iter().map(String::as_str)), expected);
    }
}
