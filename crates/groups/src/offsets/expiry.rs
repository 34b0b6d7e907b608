use super::OffsetStore;
use super::delete::tombstone;
use crate::GroupRecord;
use crate::record::CommittedOffset;
use ottla_types::Timestamp;
use std::sync::Arc;

/// From when a group's offsets age.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExpiryBase {
    /// They do not: the group uses them.
    Never,
    /// From their commit.
    Commit,
    /// From this moment on: when the group became empty.
    Since(Timestamp),
}

/// How long an offset is kept, and what time it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Retention {
    pub(crate) now: Timestamp,
    pub(crate) retention_ms: i64,
}

impl OffsetStore {
    /// Writes the tombstones of a group's expired offsets. Says whether none is left, not even a pending one.
    pub(crate) fn expire(
        &self,
        group_id: &Arc<str>,
        base: ExpiryBase,
        is_subscribed_to: impl Fn(&str) -> bool,
        retention: Retention,
        records: &mut Vec<GroupRecord>,
    ) -> bool {
        let has_open_transactions = self.open.group(group_id).is_some();
        let Some(topics) = self.committed.group(group_id) else { return !has_open_transactions };
        if base == ExpiryBase::Never {
            return false;
        }
        let mut all_expired = true;
        for (topic, partitions) in topics {
            if is_subscribed_to(topic) {
                all_expired = false;
                continue;
            }
            for (partition, offset) in partitions {
                let expired =
                    is_expired(offset, base, retention) && !self.has_open_transaction(group_id, topic, *partition);
                if expired {
                    records.push(tombstone(group_id.clone(), topic.clone(), *partition));
                } else {
                    all_expired = false;
                }
            }
        }
        all_expired && !has_open_transactions
    }
}

fn is_expired(offset: &CommittedOffset, base: ExpiryBase, retention: Retention) -> bool {
    if let Some(expire_timestamp) = offset.expire_timestamp {
        return retention.now >= expire_timestamp;
    }
    let since = match base {
        ExpiryBase::Never => return false,
        ExpiryBase::Commit => offset.commit_timestamp,
        ExpiryBase::Since(timestamp) => timestamp,
    };
    retention.now.value().saturating_sub(since.value()) >= retention.retention_ms
}
