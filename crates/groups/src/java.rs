//! Java's string hash: it places groups on partitions (see [`ottla_types`]), and it breaks ties between protocols.

pub use ottla_types::{coordinator_partition as partition_for, java_string_hash as string_hash};

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
