//! Java's string hash: it places the keys of coordinators on partitions.

/// `String.hashCode` of Java, which works on UTF-16 units, not on characters or bytes.
pub fn java_string_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

/// The partition of a coordinator's topic that a key (group id, transactional id) belongs to. `partitions` is the topic's
/// partition count, at least one (zero is taken for one). The least `i32` has no positive counterpart and counts as 0, as
/// in Kafka.
pub fn coordinator_partition(key: &str, partitions: i32) -> i32 {
    java_string_hash(key).checked_abs().unwrap_or(0) % partitions.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_java() {
        assert_eq!(java_string_hash(""), 0);
        assert_eq!(java_string_hash("test-group"), 627_841_412);
        assert_eq!(java_string_hash("group-ü"), 293_427_502);
        assert_eq!(java_string_hash("polygenelubricants"), i32::MIN);
        // Outside of the basic plane a character is two UTF-16 units.
        assert_eq!(java_string_hash("😀"), 0xd83d * 31 + 0xde00);
    }

    #[test]
    fn a_key_whose_hash_has_no_absolute_value_is_on_partition_zero() {
        assert_eq!(coordinator_partition("polygenelubricants", 50), 0);
        assert_eq!(coordinator_partition("test-group", 50), 12);
        assert_eq!(coordinator_partition("anything", 0), 0);
    }
}
