use crate::error::{ConfigError, InvalidValue};
use crate::key::Scope;
use crate::keys;
use crate::settings::{Lookup, Reader, Setting, settings};
use crate::value::Value;
use std::collections::BTreeMap;

settings! {
    /// The configuration of one topic, or the defaults of all. Fields bear the names of their keys.
    ///
    /// `retention_ms` and `retention_bytes` of -1 mean no limit; `message_timestamp_*_max_ms` and `max_compaction_lag_ms`
    /// of `i64::MAX` likewise.
    TopicConfig {
        cleanup_policy: CleanupPolicy = "cleanup.policy",
        compression_gzip_level: i32 = "compression.gzip.level",
        compression_lz4_level: i32 = "compression.lz4.level",
        compression_type: CompressionType = "compression.type",
        compression_zstd_level: i32 = "compression.zstd.level",
        delete_retention_ms: i64 = "delete.retention.ms",
        errors_deadletterqueue_group_enable: bool = "errors.deadletterqueue.group.enable",
        file_delete_delay_ms: i64 = "file.delete.delay.ms",
        flush_messages: i64 = "flush.messages",
        flush_ms: i64 = "flush.ms",
        follower_replication_throttled_replicas: Vec<String> = "follower.replication.throttled.replicas",
        index_interval_bytes: i32 = "index.interval.bytes",
        internal_segment_bytes: Option<i32> = "internal.segment.bytes",
        leader_replication_throttled_replicas: Vec<String> = "leader.replication.throttled.replicas",
        local_retention_bytes: i64 = "local.retention.bytes",
        local_retention_ms: i64 = "local.retention.ms",
        max_compaction_lag_ms: i64 = "max.compaction.lag.ms",
        max_decompressed_message_bytes: i32 = "max.decompressed.message.bytes",
        max_message_bytes: i32 = "max.message.bytes",
        message_timestamp_after_max_ms: i64 = "message.timestamp.after.max.ms",
        message_timestamp_before_max_ms: i64 = "message.timestamp.before.max.ms",
        message_timestamp_type: TimestampType = "message.timestamp.type",
        min_cleanable_dirty_ratio: f64 = "min.cleanable.dirty.ratio",
        min_compaction_lag_ms: i64 = "min.compaction.lag.ms",
        min_insync_replicas: i32 = "min.insync.replicas",
        preallocate: bool = "preallocate",
        remote_copy_lag_bytes: i64 = "remote.copy.lag.bytes",
        remote_copy_lag_ms: i64 = "remote.copy.lag.ms",
        remote_log_copy_disable: bool = "remote.log.copy.disable",
        remote_log_delete_on_disable: bool = "remote.log.delete.on.disable",
        remote_storage_enable: bool = "remote.storage.enable",
        retention_bytes: i64 = "retention.bytes",
        retention_ms: i64 = "retention.ms",
        segment_bytes: i32 = "segment.bytes",
        segment_index_bytes: i32 = "segment.index.bytes",
        segment_jitter_ms: i64 = "segment.jitter.ms",
        segment_ms: i64 = "segment.ms",
        unclean_leader_election_enable: bool = "unclean.leader.election.enable",
    }
}

/// What is done with old segments. Neither is allowed too: records are kept forever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CleanupPolicy {
    /// Segments past the retention are deleted.
    pub delete: bool,
    /// Only the last record of each key is kept.
    pub compact: bool,
}

impl Setting for CleanupPolicy {
    fn from_value(value: Option<Value>) -> Option<Self> {
        let policies = Vec::from_value(value)?;
        let has = |name: &str| policies.iter().any(|policy: &String| policy == name);
        Some(Self { delete: has("delete"), compact: has("compact") })
    }
}

/// In which codec the broker stores batches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CompressionType {
    /// As the producer sent them.
    #[default]
    Producer,
    /// Without compression.
    Uncompressed,
    /// With gzip.
    Gzip,
    /// With Snappy.
    Snappy,
    /// With LZ4.
    Lz4,
    /// With Zstandard.
    Zstd,
}

impl Setting for CompressionType {
    fn from_value(value: Option<Value>) -> Option<Self> {
        Some(match String::from_value(value)?.as_str() {
            "producer" => Self::Producer,
            "uncompressed" => Self::Uncompressed,
            "gzip" => Self::Gzip,
            "snappy" => Self::Snappy,
            "lz4" => Self::Lz4,
            "zstd" => Self::Zstd,
            _ => return None,
        })
    }
}

/// Whose time a record bears.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer's.
    #[default]
    CreateTime,
    /// The broker's, at the append.
    LogAppendTime,
}

impl Setting for TimestampType {
    fn from_value(value: Option<Value>) -> Option<Self> {
        match String::from_value(value)?.as_str() {
            "CreateTime" => Some(Self::CreateTime),
            "LogAppendTime" => Some(Self::LogAppendTime),
            _ => None,
        }
    }
}

impl Default for TopicConfig {
    /// Kafka's defaults.
    fn default() -> Self {
        Self::read(&mut Reader::new(Scope::Topic, &BTreeMap::new()), None)
    }
}

impl TopicConfig {
    /// The configuration of a topic: its `overrides`, and `defaults` for everything else.
    ///
    /// # Errors
    /// The first override that is unknown, bad, or in conflict with another value. A broker that loads what the controller
    /// has accepted never sees one.
    pub fn resolve(defaults: &Self, overrides: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        if let Some(name) = overrides.keys().find(|name| keys::find(Scope::Topic, name).is_none()) {
            return Err(ConfigError::Unknown { message: unknown(name) });
        }
        let mut reader = Reader::new(Scope::Topic, overrides);
        let config = Self::read(&mut reader, Some(defaults));
        match reader.errors.into_iter().next() {
            Some(error) => Err(error),
            None => config.checked(),
        }
    }

    fn checked(self) -> Result<Self, ConfigError> {
        let conflict = |message: String| Err(ConfigError::Conflict { place: None, message });
        if self.min_compaction_lag_ms > self.max_compaction_lag_ms {
            return conflict(format!(
                "min.compaction.lag.ms ({}) must not be greater than max.compaction.lag.ms ({})",
                self.min_compaction_lag_ms, self.max_compaction_lag_ms
            ));
        }
        if self.remote_storage_enable {
            return conflict("remote.storage.enable needs a broker with tiered storage".to_owned());
        }
        Ok(self)
    }
}

fn unknown(name: &str) -> String {
    match keys::nearest_to(Scope::Topic, name) {
        Some(nearest) => format!("Unknown topic config name: {name} (did you mean {nearest}?)"),
        None => format!("Unknown topic config name: {name}"),
    }
}

/// The topic values that a broker's keys give, converted to the topic's units. A key that is null or unset everywhere is
/// missing: the topic key's own default counts.
pub(crate) fn defaults_of(reader: &mut Reader<'_>) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    for key in keys::TOPIC {
        for synonym in key.server_synonyms {
            let Some(broker_key) = keys::find(Scope::Broker, synonym.name) else { continue };
            let Some(value) = reader.value(broker_key).or_else(|| broker_key.default_value()) else { continue };
            let value = match value {
                // Any negative retention is "forever" to a broker; a topic knows -1 only.
                Value::Integer(value) if key.name == "retention.ms" && value < 0 => Value::Integer(-1),
                Value::Integer(value) => Value::Integer(value.saturating_mul(synonym.factor)),
                other => other,
            };
            values.insert(key.name.to_owned(), value.to_text());
            break;
        }
    }
    values
}

/// The defaults of topics on a broker. Values that a topic would not allow become errors that name the broker's key.
pub(crate) fn topic_defaults(reader: &mut Reader<'_>) -> TopicConfig {
    let values = defaults_of(reader);
    let mut topic = Reader::new(Scope::Topic, &values as &dyn Lookup);
    let config = TopicConfig::read(&mut topic, None);
    for error in std::mem::take(&mut topic.errors) {
        if let ConfigError::Invalid { invalid: InvalidValue { key, value, reason }, .. } = error {
            let broker_key = keys::find(Scope::Topic, &key).and_then(|key| key.server_synonyms.first());
            let name = broker_key.map_or(key.as_str(), |synonym| synonym.name);
            reader.conflict(name, format!("Invalid value {value} for configuration {name}: {reason}"));
        }
    }
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overrides(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn every_topic_key_has_a_field() {
        let declared: Vec<_> = keys::TOPIC.iter().map(|key| key.name).collect();
        assert_eq!(TopicConfig::KEYS, declared);
    }

    #[test]
    fn an_override_wins_over_the_default() {
        let defaults = TopicConfig { retention_ms: 5, segment_ms: 7, ..TopicConfig::default() };
        let config = TopicConfig::resolve(
            &defaults,
            &overrides(&[("retention.ms", " 10 "), ("cleanup.policy", "compact , delete")]),
        )
        .unwrap();
        assert_eq!((config.retention_ms, config.segment_ms), (10, 7));
        assert_eq!(config.cleanup_policy, CleanupPolicy { delete: true, compact: true });
    }

    #[test]
    fn bad_overrides_are_refused_with_what_is_allowed() {
        for (name, value, message) in [
            ("retention.ms", "abc", "Invalid value abc for configuration retention.ms: Not a number of type LONG"),
            ("segment.bytes", "1", "Invalid value 1 for configuration segment.bytes: Value must be at least 1048576"),
            (
                "cleanup.policy",
                "foo",
                "Invalid value foo for configuration cleanup.policy: String must be one of: compact, delete",
            ),
            ("nosuch", "1", "Unknown topic config name: nosuch"),
            ("retention.m", "1", "Unknown topic config name: retention.m (did you mean retention.ms?)"),
            ("preallocate", "maybe", "Invalid value maybe for configuration preallocate: must be true or false"),
        ] {
            let error = TopicConfig::resolve(&TopicConfig::default(), &overrides(&[(name, value)])).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
    }

    #[test]
    fn values_that_contradict_each_other_are_refused() {
        let contradiction = overrides(&[("min.compaction.lag.ms", "5"), ("max.compaction.lag.ms", "4")]);
        assert!(TopicConfig::resolve(&TopicConfig::default(), &contradiction).is_err());
    }

    #[test]
    fn an_empty_cleanup_policy_keeps_everything() {
        let config = TopicConfig::resolve(&TopicConfig::default(), &overrides(&[("cleanup.policy", "")])).unwrap();
        assert_eq!(config.cleanup_policy, CleanupPolicy { delete: false, compact: false });
    }
}
