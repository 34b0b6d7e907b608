use ottla_config::{CompressionType, NodeConfig, TimestampType as ConfigTimestampType, TopicConfig};
use ottla_log::{CleanupPolicy, LogConfig};
use ottla_records::{AppendOrigin, Compression, CompressionLevel, TimestampType, ValidationDepth, ValidationOptions};
use ottla_types::{LeaderEpoch, Timestamp};

/// What a topic's configuration demands of records that are appended.
#[derive(Clone, Debug)]
pub(crate) struct TopicRules {
    pub(crate) config: TopicConfig,
    /// The codec that the topic wants, with its level; `None` keeps the producer's.
    pub(crate) target_compression: Option<CompressionLevel>,
}

impl TopicRules {
    pub(crate) fn new(config: TopicConfig) -> Self {
        let target = match config.compression_type {
            CompressionType::Producer => None,
            CompressionType::Uncompressed => Some((Compression::None, None)),
            CompressionType::Gzip => Some((Compression::Gzip, Some(config.compression_gzip_level))),
            CompressionType::Snappy => Some((Compression::Snappy, None)),
            CompressionType::Lz4 => Some((Compression::Lz4, Some(config.compression_lz4_level))),
            CompressionType::Zstd => Some((Compression::Zstd, Some(config.compression_zstd_level))),
        };
        let target_compression = target.map(|(codec, level)| level_of(codec, level));
        Self { config, target_compression }
    }

    /// The timestamp type of the stored batches.
    fn timestamp_type(&self) -> TimestampType {
        match self.config.message_timestamp_type {
            ConfigTimestampType::CreateTime => TimestampType::CreateTime,
            ConfigTimestampType::LogAppendTime => TimestampType::LogAppendTime,
        }
    }

    /// What a batch is held against.
    pub(crate) fn validation(&self, origin: AppendOrigin, now: Timestamp, epoch: LeaderEpoch) -> ValidationOptions {
        let depth = match origin {
            AppendOrigin::Client => ValidationDepth::Records,
            AppendOrigin::Coordinator | AppendOrigin::RaftLeader => ValidationDepth::Header,
        };
        ValidationOptions {
            origin,
            depth,
            batch_bytes_max: usize::try_from(self.config.max_message_bytes).unwrap_or(0),
            record_bytes_max: usize::try_from(self.config.max_decompressed_message_bytes).unwrap_or(usize::MAX),
            is_compacted: self.config.cleanup_policy.compact,
            timestamp_type: self.timestamp_type(),
            now,
            timestamp_before_milliseconds_max: self.config.message_timestamp_before_max_ms,
            timestamp_after_milliseconds_max: self.config.message_timestamp_after_max_ms,
            target_compression: self.target_compression.map(|target| target.compression()),
            leader_epoch: epoch,
        }
    }

    /// The time that a rebuilt batch is stamped with.
    pub(crate) fn log_append_time(&self, now: Timestamp) -> Option<Timestamp> {
        (self.timestamp_type() == TimestampType::LogAppendTime).then_some(now)
    }
}

/// The level as configured. The declarations allow no other levels than the codec has, so that the codec's own level
/// stands in only for what can't happen.
fn level_of(codec: Compression, level: Option<i32>) -> CompressionLevel {
    let chosen = level.and_then(|level| CompressionLevel::new(codec, level).ok());
    chosen.unwrap_or_else(|| CompressionLevel::default_of(codec))
}

/// The active segment is never compacted, so that it must be rolled before a record has waited too long for compaction.
fn segment_ms(topic: &TopicConfig) -> i64 {
    if topic.cleanup_policy.compact { topic.segment_ms.min(topic.max_compaction_lag_ms) } else { topic.segment_ms }
}

/// What the log itself obeys of a topic's configuration.
pub(crate) fn log_config(node: &NodeConfig, topic: &TopicConfig) -> LogConfig {
    let bytes = |value: i32| u32::try_from(value).unwrap_or(0);
    LogConfig {
        segment_bytes: bytes(topic.internal_segment_bytes.unwrap_or(topic.segment_bytes)),
        segment_ms: segment_ms(topic),
        segment_jitter_ms: topic.segment_jitter_ms,
        segment_index_bytes: bytes(topic.segment_index_bytes),
        index_interval_bytes: bytes(topic.index_interval_bytes),
        flush_messages: topic.flush_messages,
        flush_ms: topic.flush_ms,
        retention_bytes: topic.retention_bytes,
        retention_ms: topic.retention_ms,
        cleanup_policy: CleanupPolicy { delete: topic.cleanup_policy.delete, compact: topic.cleanup_policy.compact },
        min_cleanable_dirty_ratio: topic.min_cleanable_dirty_ratio,
        min_compaction_lag_ms: topic.min_compaction_lag_ms,
        max_compaction_lag_ms: topic.max_compaction_lag_ms,
        delete_retention_ms: topic.delete_retention_ms,
        max_message_bytes: bytes(topic.max_message_bytes),
        file_delete_delay_ms: u64::try_from(topic.file_delete_delay_ms).unwrap_or(0),
        preallocate: topic.preallocate,
        producer_id_expiration_ms: i64::from(node.producer_ids.producer_id_expiration_ms),
        transaction_verification: true,
    }
}
