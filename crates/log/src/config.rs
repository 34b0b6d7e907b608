//! What a log obeys: the topic configuration, resolved, as plain values.

/// Which old records are removed, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CleanupPolicy {
    /// Whole segments that are too old or too many (`delete`).
    pub delete: bool,
    /// Records that a later one of the same key replaces (`compact`).
    pub compact: bool,
}

/// The configuration of one log. Field by field the topic configuration of the same name; the defaults are Kafka's.
#[derive(Clone, Debug, PartialEq)]
pub struct LogConfig {
    /// `segment.bytes`.
    pub segment_bytes: u32,
    /// `segment.ms`.
    pub segment_ms: i64,
    /// `segment.jitter.ms`: up to so much earlier a segment is rolled, so that partitions do not all roll at once.
    pub segment_jitter_ms: i64,
    /// `segment.index.bytes`: the most that an index file may hold.
    pub segment_index_bytes: u32,
    /// `index.interval.bytes`.
    pub index_interval_bytes: u32,
    /// `flush.messages`.
    pub flush_messages: i64,
    /// `flush.ms`.
    pub flush_ms: i64,
    /// `retention.bytes`; -1 for no limit.
    pub retention_bytes: i64,
    /// `retention.ms`; -1 for no limit.
    pub retention_ms: i64,
    /// `cleanup.policy`.
    pub cleanup_policy: CleanupPolicy,
    /// `min.cleanable.dirty.ratio`: the least part of a log that compaction has not looked at for it to be compacted.
    pub min_cleanable_dirty_ratio: f64,
    /// `min.compaction.lag.ms`: younger records are left alone.
    pub min_compaction_lag_ms: i64,
    /// `max.compaction.lag.ms`: a log with older records is compacted whatever its ratio.
    pub max_compaction_lag_ms: i64,
    /// `delete.retention.ms`: how long tombstones and markers stay once all that they concern is gone.
    pub delete_retention_ms: i64,
    /// `max.message.bytes`: the most that a batch may have as it is stored.
    pub max_message_bytes: u32,
    /// `file.delete.delay.ms`.
    pub file_delete_delay_ms: u64,
    /// `preallocate`.
    pub preallocate: bool,
    /// `producer.id.expiration.ms` of the node.
    pub producer_id_expiration_ms: i64,
    /// `transaction.partition.verification.enable` of the node.
    pub transaction_verification: bool,
}

impl Default for LogConfig {
    fn default() -> Self {
        const HOUR: i64 = 60 * 60 * 1000;
        Self {
            segment_bytes: 1 << 30,
            segment_ms: 7 * 24 * HOUR,
            segment_jitter_ms: 0,
            segment_index_bytes: 10 << 20,
            index_interval_bytes: 4096,
            flush_messages: i64::MAX,
            flush_ms: i64::MAX,
            retention_bytes: -1,
            retention_ms: 7 * 24 * HOUR,
            cleanup_policy: CleanupPolicy { delete: true, compact: false },
            min_cleanable_dirty_ratio: 0.5,
            min_compaction_lag_ms: 0,
            max_compaction_lag_ms: i64::MAX,
            delete_retention_ms: 24 * HOUR,
            max_message_bytes: 1_048_588,
            file_delete_delay_ms: 60_000,
            preallocate: false,
            producer_id_expiration_ms: 24 * HOUR,
            transaction_verification: true,
        }
    }
}
