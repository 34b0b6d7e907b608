//! Names of files and directories, as Kafka gives them.

use ottla_types::{Offset, PartitionIndex, TopicPartition, Uuid};

/// The lock of a log directory.
pub const LOCK_FILE: &str = ".lock";
/// The identity of a log directory.
pub const META_PROPERTIES_FILE: &str = "meta.properties";
/// Says that the last stop was clean.
pub const CLEAN_SHUTDOWN_FILE: &str = ".kafka_cleanshutdown";
/// Up to where each partition is flushed.
pub const RECOVERY_POINT_FILE: &str = "recovery-point-offset-checkpoint";
/// Where each partition begins, when not at the beginning of its first segment.
pub const LOG_START_OFFSET_FILE: &str = "log-start-offset-checkpoint";
/// The high watermark of each partition.
pub const HIGH_WATERMARK_FILE: &str = "replication-offset-checkpoint";
/// Up to where each partition is compacted.
pub const CLEANER_OFFSET_FILE: &str = "cleaner-offset-checkpoint";
/// The leader epochs of a partition.
pub const LEADER_EPOCH_FILE: &str = "leader-epoch-checkpoint";
/// The topic id of a partition.
pub const PARTITION_METADATA_FILE: &str = "partition.metadata";

/// The suffix of a partition directory that waits for its removal.
pub const DELETE_DIRECTORY_SUFFIX: &str = "-delete";
/// The suffix of a partition directory that is being filled on its way from another log directory.
pub const FUTURE_DIRECTORY_SUFFIX: &str = "-future";
/// The suffix of a partition directory that the cluster knows nothing of.
pub const STRAY_DIRECTORY_SUFFIX: &str = "-stray";
/// The suffix of a file that waits for its removal.
pub const DELETED_FILE_SUFFIX: &str = ".deleted";
/// The suffix of a file that compaction is writing.
pub const CLEANED_FILE_SUFFIX: &str = ".cleaned";
/// The suffix of a file that compaction has written and is about to put in its place.
pub const SWAP_FILE_SUFFIX: &str = ".swap";

/// The longest name of a directory entry.
const NAME_LENGTH_MAX: usize = 255;
/// The longest topic name.
const TOPIC_LENGTH_MAX: usize = 249;
/// Digits of an offset in a file name.
const OFFSET_DIGITS: usize = 20;

/// What a file of a partition directory holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileKind {
    /// Batches.
    Log,
    /// The offset index.
    OffsetIndex,
    /// The time index.
    TimeIndex,
    /// The aborted transactions.
    TransactionIndex,
    /// The state of the producers before an offset.
    ProducerSnapshot,
}

impl FileKind {
    /// The extension, with its dot.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Log => ".log",
            Self::OffsetIndex => ".index",
            Self::TimeIndex => ".timeindex",
            Self::TransactionIndex => ".txnindex",
            Self::ProducerSnapshot => ".snapshot",
        }
    }

    /// The name of the file of this kind for an offset.
    pub fn file_name(self, offset: Offset) -> String {
        format!("{:0OFFSET_DIGITS$}{}", offset.0, self.extension())
    }

    /// What a file name says: the offset, the kind, and the suffix (empty, or `.deleted`, `.cleaned`, `.swap`). `None`
    /// for names that are not of this form.
    pub fn parse_name(name: &str) -> Option<(Offset, Self, &str)> {
        let (digits, rest) = name.split_at_checked(OFFSET_DIGITS)?;
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let offset = Offset(digits.parse().ok()?);
        let kinds = [Self::Log, Self::OffsetIndex, Self::TimeIndex, Self::TransactionIndex, Self::ProducerSnapshot];
        kinds.into_iter().find_map(|kind| {
            let suffix = rest.strip_prefix(kind.extension())?;
            matches!(suffix, "" | DELETED_FILE_SUFFIX | CLEANED_FILE_SUFFIX | SWAP_FILE_SUFFIX)
                .then_some((offset, kind, suffix))
        })
    }
}

/// What the name of a partition directory says of its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirectoryState {
    /// In use.
    Current,
    /// Waits for its removal.
    Delete,
    /// Is being filled on its way from another log directory.
    Future,
    /// Unknown to the cluster.
    Stray,
}

/// Reads the name of a partition directory. `None` for names that are none, such as those of other programs.
pub fn parse_partition_directory(name: &str) -> Option<(TopicPartition, DirectoryState)> {
    let suffixes = [
        (DELETE_DIRECTORY_SUFFIX, DirectoryState::Delete),
        (FUTURE_DIRECTORY_SUFFIX, DirectoryState::Future),
        (STRAY_DIRECTORY_SUFFIX, DirectoryState::Stray),
    ];
    let (name, state) = suffixes
        .into_iter()
        .find_map(|(suffix, state)| {
            let (name, unique) = name.strip_suffix(suffix)?.rsplit_once('.')?;
            let plausible = !unique.is_empty() && unique.bytes().all(|byte| byte.is_ascii_alphanumeric());
            plausible.then_some((name, state))
        })
        .unwrap_or((name, DirectoryState::Current));
    let (topic, partition) = name.rsplit_once('-')?;
    if topic.is_empty() || !partition.bytes().all(|byte| byte.is_ascii_digit()) || !is_topic_name(topic) {
        return None;
    }
    Some((TopicPartition::new(topic, PartitionIndex(partition.parse().ok()?)), state))
}

/// Whether a topic of this name may exist: letters, digits, dot, underscore, dash; at most 249 of them; not `.` or `..`.
pub fn is_topic_name(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    !name.is_empty() && name.len() <= TOPIC_LENGTH_MAX && !matches!(name, "." | "..") && name.bytes().all(legal)
}

/// The name under which the directory of a partition waits for its removal. The topic's name is shortened when it must be.
pub fn delete_directory_name(partition: &TopicPartition, unique: Uuid) -> String {
    capped_name(partition, unique, DELETE_DIRECTORY_SUFFIX)
}

/// The name of the directory of a partition that the cluster knows nothing of.
pub fn stray_directory_name(partition: &TopicPartition, unique: Uuid) -> String {
    capped_name(partition, unique, STRAY_DIRECTORY_SUFFIX)
}

/// The name of the directory in which a partition is filled on its way from another log directory.
pub fn future_directory_name(partition: &TopicPartition, unique: Uuid) -> String {
    format!("{partition}.{:032x}{FUTURE_DIRECTORY_SUFFIX}", unique.as_u128())
}

fn capped_name(partition: &TopicPartition, unique: Uuid, suffix: &str) -> String {
    let rest = format!("-{}.{:032x}{suffix}", partition.partition, unique.as_u128());
    let topic = &partition.topic[..];
    let length = topic.len().min(NAME_LENGTH_MAX - rest.len());
    format!("{}{rest}", topic.get(..length).unwrap_or(topic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_have_twenty_digits() {
        assert_eq!(FileKind::Log.file_name(Offset(42)), "00000000000000000042.log");
        assert_eq!(
            FileKind::parse_name("00000000000000000042.timeindex.swap"),
            Some((Offset(42), FileKind::TimeIndex, ".swap"))
        );
    }

    #[test]
    fn names_that_are_not_of_kafka_are_left_alone() {
        for name in
            ["42.log", "00000000000000000042.log.bak", "99999999999999999999.log", "-0000000000000000042.log", ""]
        {
            assert_eq!(FileKind::parse_name(name), None, "{name}");
        }
        for name in ["lost+found", "topic", "-0", "topic-", "topic-x", "to pic-0", "topic-99999999999", "a/b-0"] {
            assert_eq!(parse_partition_directory(name), None, "{name}");
        }
    }

    #[test]
    fn a_partition_directory_tells_topic_partition_and_state() {
        let partition = TopicPartition::new("my-topic.x", 12);
        assert_eq!(parse_partition_directory("my-topic.x-12"), Some((partition.clone(), DirectoryState::Current)));
        let unique = Uuid::from_u128(0xabc);
        for (name, state) in [
            (delete_directory_name(&partition, unique), DirectoryState::Delete),
            (stray_directory_name(&partition, unique), DirectoryState::Stray),
            (future_directory_name(&partition, unique), DirectoryState::Future),
        ] {
            assert_eq!(parse_partition_directory(&name), Some((partition.clone(), state)), "{name}");
        }
    }

    #[test]
    fn a_topic_that_ends_like_a_suffix_is_still_that_topic() {
        let partition = TopicPartition::new("jobs-delete", 0);
        assert_eq!(parse_partition_directory("jobs-delete-0"), Some((partition, DirectoryState::Current)));
    }

    #[test]
    fn the_name_of_a_directory_to_delete_is_never_longer_than_the_system_allows() {
        let partition = TopicPartition::new("t".repeat(249), 100_000);
        let name = delete_directory_name(&partition, Uuid::from_u128(u128::MAX));
        assert_eq!(name.len(), 255);
        assert!(parse_partition_directory(&name).is_some());
    }
}
