//! Java's string hash: it places groups on partitions, and it breaks ties between protocols.

/// `String.hashCode` of Java, which works on UTF-16 units, not on characters or bytes.
pub fn string_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

/// The partition of `__consumer_offsets` that coordinates a group. `partitions` is the topic's partition count, at
/// least one (zero is taken for one). The least `i32` has no positive counterpart and counts as 0, as in Kafka.
pub fn partition_for(group_id: &str, partitions: i32) -> i32 {
    string_hash(group_id).checked_abs().unwrap_or(0) % partitions.max(1)
}

/// Orders names as a Java `HashMap` with these keys would list them: by bucket, then by insertion.
///
/// Kafka's vote for a group's protocol walks such a map and keeps the first of the names with the most votes.
pub(crate) fn hash_map_order<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut names: Vec<&str> = names.into_iter().collect();
    // The table doubles from 16 whenever it is more than three quarters full.
    let mut table: usize = 16;
    while names.len() * 4 > table * 3 {
        table *= 2;
    }
    let bucket = |name: &str| {
        let hash = string_hash(name) as u32;
        (hash ^ hash >> 16) as usize & (table - 1)
    };
    names.sort_by_key(|name| bucket(name));
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_java() {
        assert_eq!(string_hash(""), 0);
        assert_eq!(string_hash("test-group"), 627_841_412);
        assert_eq!(string_hash("group-ü"), 293_427_502);
        assert_eq!(string_hash("polygenelubricants"), i32::MIN);
        // Outside of the basic plane a character is two UTF-16 units.
        assert_eq!(string_hash("😀"), 0xd83d * 31 + 0xde00);
    }

    #[test]
    fn a_group_whose_hash_has_no_absolute_value_is_on_partition_zero() {
        assert_eq!(partition_for("polygenelubricants", 50), 0);
        assert_eq!(partition_for("test-group", 50), 12);
        assert_eq!(partition_for("anything", 0), 0);
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
