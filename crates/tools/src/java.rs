//! What of Java shows through in the tools' output: the order of its hash maps, the names of its exceptions, its log.

use ottla_client::{ClientError, ErrorCode};
use ottla_types::TopicPartition;

/// `String.hashCode`.
pub(crate) fn string_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

/// `TopicPartition.hashCode` of Kafka's clients.
pub(crate) fn partition_hash(partition: &TopicPartition) -> i32 {
    let first = 31i32.wrapping_add(partition.partition.value());
    first.wrapping_mul(31).wrapping_add(string_hash(&partition.topic))
}

/// How large a hash map was when it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sized {
    /// As Java makes it when nothing is said.
    Default,
    /// For as many keys as it then got: the table is larger only by what it had to grow.
    ToFit,
}

/// Sorts as `java.util.HashMap` hands out its keys, put in one after the other in the given order.
pub(crate) fn hash_order<T>(items: &mut [T], sized: Sized, hash: impl Fn(&T) -> i32) {
    let count = items.len() as u64;
    let mut buckets = match sized {
        Sized::Default => 16,
        Sized::ToFit => count.max(1).next_power_of_two(),
    };
    // The table doubles when it is more than three quarters full; a bucket keeps the order of insertion.
    while count > buckets * 3 / 4 {
        buckets *= 2;
    }
    items.sort_by_key(|item| {
        let hash = hash(item) as u32;
        u64::from(hash ^ (hash >> 16)) & (buckets - 1)
    });
}

/// The class of the exception that Kafka's Java client throws for an error.
pub(crate) fn exception_class(error: &ClientError) -> String {
    let name = match error {
        ClientError::Api { code, .. } => return format!("org.apache.kafka.common.errors.{}", exception_of_code(*code)),
        ClientError::Timeout { .. } | ClientError::Bootstrap { .. } | ClientError::Connect { .. } => "TimeoutException",
        ClientError::Disconnected { .. } => "DisconnectException",
        ClientError::UnsupportedApi { .. } => "UnsupportedVersionException",
        ClientError::RecordTooLarge { .. } => "RecordTooLargeException",
        ClientError::NoOffset { .. } => {
            return "org.apache.kafka.clients.consumer.NoOffsetForPartitionException".to_owned();
        }
        ClientError::Setting { .. } => return "org.apache.kafka.common.config.ConfigException".to_owned(),
        _ => return "org.apache.kafka.common.KafkaException".to_owned(),
    };
    format!("org.apache.kafka.common.errors.{name}")
}

fn exception_of_code(code: ErrorCode) -> String {
    match code {
        ErrorCode::InvalidConfig => "InvalidConfigurationException".to_owned(),
        ErrorCode::TopicAlreadyExists => "TopicExistsException".to_owned(),
        ErrorCode::InvalidTopicException => "InvalidTopicException".to_owned(),
        ErrorCode::MessageTooLarge => "RecordTooLargeException".to_owned(),
        ErrorCode::RequestTimedOut => "TimeoutException".to_owned(),
        ErrorCode::NonEmptyGroup => "GroupNotEmptyException".to_owned(),
        ErrorCode::NoReassignmentInProgress => "NoReassignmentInProgressException".to_owned(),
        ErrorCode::OutOfOrderSequenceNumber => "OutOfOrderSequenceException".to_owned(),
        ErrorCode::TopicAuthorizationFailed => "TopicAuthorizationException".to_owned(),
        ErrorCode::GroupAuthorizationFailed => "GroupAuthorizationException".to_owned(),
        ErrorCode::ClusterAuthorizationFailed => "ClusterAuthorizationException".to_owned(),
        ErrorCode::CorruptMessage => "CorruptRecordException".to_owned(),
        code => {
            // The others are called after their codes: POLICY_VIOLATION is a PolicyViolationException.
            let words = code.name().split('_').map(|word| {
                let (first, rest) = word.split_at_checked(1).unwrap_or((word, ""));
                format!("{first}{}", rest.to_ascii_lowercase())
            });
            format!("{}Exception", words.collect::<String>())
        }
    }
}

/// An exception as Java shows it: its class and its message.
pub(crate) fn exception(error: &ClientError) -> String {
    format!("{}: {error}", exception_class(error))
}

/// An exception that nobody catches, as Java shows it.
pub(crate) fn uncaught(exception: &str) -> String {
    format!("Exception in thread \"main\" {exception}")
}

/// A number as Java's `%.4f` writes it, with so many digits behind the point.
pub(crate) fn decimal(number: f64, digits: usize) -> String {
    if number.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    format!("{number:.digits$}")
}

/// A line of the log that Kafka's tools write to the error output: `[2026-11-25 04:53:14,901] ERROR text (class)`.
pub(crate) fn log_line(level: &str, text: &str, class: &str) -> String {
    format!("[{}] {level} {text} ({class})", timestamp(now_ms()))
}

/// The time in milliseconds since the epoch.
pub(crate) fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn timestamp(milliseconds: i64) -> String {
    let (year, month, day, time) = date_time(milliseconds);
    let (seconds, fraction) = (time / 1_000, time % 1_000);
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hours:02}:{minutes:02}:{seconds:02},{fraction:03}")
}

/// The date of a time in milliseconds since the epoch, and the milliseconds of that day, in UTC.
pub(crate) fn date_time(milliseconds: i64) -> (i64, i64, i64, i64) {
    let days = milliseconds.div_euclid(86_400_000);
    // Days are counted from 1 March of year 0, so that the leap day is the last of a year (Hinnant's civil_from_days).
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day, milliseconds.rem_euclid(86_400_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The time of a date, in milliseconds since the epoch, in UTC.
    fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
        let year = if month <= 2 { year - 1 } else { year };
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        era * 146_097 + day_of_era - 719_468
    }

    #[test]
    fn keys_come_out_in_the_order_of_javas_hash_map() {
        // As kafka-topics --describe of the pinned release listed them.
        let mut topics = ["__consumer_offsets", "alpha", "beta", "delta.x", "first", "second"];
        hash_order(&mut topics, Sized::ToFit, |topic| string_hash(topic));
        assert_eq!(topics, ["delta.x", "__consumer_offsets", "beta", "first", "alpha", "second"]);
        let mut two = ["alpha", "beta"];
        hash_order(&mut two, Sized::ToFit, |topic| string_hash(topic));
        assert_eq!(two, ["beta", "alpha"]);
        let mut partitions: Vec<_> = (0..4).map(|index| TopicPartition::new("second", index)).collect();
        hash_order(&mut partitions, Sized::Default, partition_hash);
        let order: Vec<_> = partitions.iter().map(|partition| partition.partition.value()).collect();
        assert_eq!(order, [2, 3, 0, 1]);
    }

    #[test]
    fn exceptions_are_called_as_in_kafkas_client() {
        let of = |code| exception(&ClientError::Api { code, message: Some("m".to_owned()) });
        assert_eq!(of(ErrorCode::TopicAlreadyExists), "org.apache.kafka.common.errors.TopicExistsException: m");
        assert_eq!(of(ErrorCode::PolicyViolation), "org.apache.kafka.common.errors.PolicyViolationException: m");
        assert_eq!(of(ErrorCode::GroupIdNotFound), "org.apache.kafka.common.errors.GroupIdNotFoundException: m");
    }

    #[test]
    fn dates_and_days_fit_together() {
        assert_eq!(timestamp(1_764_046_394_901), "2025-11-25 04:53:14,901");
        assert_eq!(timestamp(0), "1970-01-01 00:00:00,000");
        for days in [-719_468, -1, 0, 58, 59, 60, 11_016, 11_017, 20_782, 100_000] {
            let (year, month, day, _) = date_time(days * 86_400_000);
            assert_eq!(days_since_epoch(year, month, day), days);
        }
    }
}
