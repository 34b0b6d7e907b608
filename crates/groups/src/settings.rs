use crate::classic::MemberMemory;
use crate::consumer::assignor::Assignor;
use crate::migration::MigrationPolicy;
use std::sync::Arc;

/// The settings of the `group.*` and `offset*` keys that the machine obeys. Times are in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSettings {
    /// `group.min.session.timeout.ms`
    pub session_timeout_ms_min: i32,
    /// `group.max.session.timeout.ms`
    pub session_timeout_ms_max: i32,
    /// `group.initial.rebalance.delay.ms`: how long an empty group waits for more members after its first one.
    pub initial_rebalance_delay_ms: i32,
    /// `group.max.size`: members of one classic group.
    pub size_max: usize,
    /// How long a member that has never completed a join is kept while it waits for the rebalance. Kafka has no key
    /// for it.
    pub new_member_join_timeout_ms: i32,
    /// `offset.metadata.max.bytes`: greatest length of a commit's metadata, in UTF-16 units as Kafka counts.
    pub offset_metadata_length_max: usize,
    /// `offsets.retention.minutes` in milliseconds.
    pub offsets_retention_ms: i64,
    /// `offsets.retention.check.interval.ms`
    pub offsets_retention_check_interval_ms: i64,
    /// `group.consumer.max.size`.
    pub consumer_size_max: usize,
    /// `group.consumer.assignors`: the first is that of members that name none.
    pub consumer_assignors: Vec<Assignor>,
    /// `ottla.group.members.max.bytes`, shared by all partitions of a node.
    pub member_memory: Arc<MemberMemory>,
    /// `group.consumer.migration.policy`.
    pub migration_policy: MigrationPolicy,
}

impl Default for GroupSettings {
    fn default() -> Self {
        Self {
            session_timeout_ms_min: 6_000,
            session_timeout_ms_max: 1_800_000,
            initial_rebalance_delay_ms: 3_000,
            size_max: i32::MAX as usize,
            new_member_join_timeout_ms: 5 * 60 * 1_000,
            offset_metadata_length_max: 4_096,
            offsets_retention_ms: 7 * 24 * 60 * 60 * 1_000,
            offsets_retention_check_interval_ms: 600_000,
            consumer_size_max: i32::MAX as usize,
            consumer_assignors: vec![Assignor::Uniform, Assignor::Range],
            member_memory: Arc::default(),
            migration_policy: MigrationPolicy::Bidirectional,
        }
    }
}
