//! Replicas on their way into another log directory of this broker.

use crate::broker::Broker;
use crate::directory_assignments::DirectoryAssignments;
use crate::internal_topics::{CONSUMER_OFFSETS, TRANSACTION_STATE};
use crate::partition::Leadership;
use crate::replication::partition_state;
use core::time::Duration;
use ottla_env::Monotonic;
use ottla_log::Log;
use ottla_types::DirectoryId;
use std::sync::Arc;

/// How long a move waits when it was as fast as it may be.
const REST: Duration = Duration::from_millis(100);

/// How fast replicas may move: what was not copied within a second is lost, and what was copied beyond is owed.
#[derive(Default)]
pub(crate) struct Pace {
    allowed: i128,
    /// At first a whole second's worth is allowed.
    counted_to: Option<Monotonic>,
}

impl Pace {
    /// How many bytes may be copied now.
    fn allowance(&mut self, bytes_per_second: u64, now: Monotonic) -> u64 {
        let elapsed = self.counted_to.map_or(1_000_000_000, |last| now.since(last).as_nanos());
        let earned = i128::from(bytes_per_second).saturating_mul(elapsed as i128) / 1_000_000_000;
        // Time that has earned nothing yet goes on to count.
        if earned > 0 {
            self.counted_to = Some(now);
        }
        self.allowed = self.allowed.saturating_add(earned).min(bytes_per_second.into());
        u64::try_from(self.allowed).unwrap_or(0)
    }

    fn spend(&mut self, bytes: u64) {
        self.allowed = self.allowed.saturating_sub(bytes.into());
    }
}

/// Copies a part of what is on its way, and puts in place what has come. Says when to come again, if anything is still on its
/// way.
pub(crate) fn advance(
    broker: &Broker,
    assignments: &DirectoryAssignments,
    pace: &mut Pace,
    now: Monotonic,
) -> Option<Monotonic> {
    let allowance = pace.allowance(broker.config().alter_log_dirs_bytes_per_second, now);
    let copied = broker.logs.copy_moves(allowance);
    pace.spend(copied.bytes);
    for name in copied.ready {
        match broker.logs.finish_move(&name) {
            Ok(Some((log, directory))) => replace(broker, assignments, log, directory),
            Ok(None) => {}
            Err(error) => tracing::error!(partition = %name, %error, "a replica stays in its log directory"),
        }
    }
    let is_moving = !broker.logs.moves().is_empty();
    is_moving.then_some(if copied.bytes < allowance { now } else { now + REST })
}

/// Serves a partition from its log in the new place. Whoever still has the old one finds its log closed, and asks again.
fn replace(broker: &Broker, assignments: &DirectoryAssignments, log: Arc<Log>, directory: DirectoryId) {
    let name = log.topic_partition().clone();
    let Some(old) = broker.partitions.partition(&name.topic, name.partition) else { return };
    let new = Arc::new(old.with_log(log));
    broker.partitions.insert(new.clone());
    // What was published meanwhile went to the old one.
    let image = broker.metadata.image();
    let state = image.topics.topic(new.topic_id).and_then(|topic| topic.partitions.get(&name.partition).cloned());
    if let Some(state) = state {
        let change = new.apply(&partition_state(&image, &state), Leadership::new(broker.node_id, &state));
        broker.replication.follow(&new, change);
    }
    // All that was moved is durable.
    broker.replication.log_synced(&new);
    old.waiters.partition_changed();
    if new.leadership().is_leader {
        match &*name.topic {
            CONSUMER_OFFSETS => broker.groups.load(&new),
            TRANSACTION_STATE => broker.transactions.load(&new),
            _ => {}
        }
    }
    assignments.note(new.topic_id, name.partition, directory);
    tracing::info!(partition = %name, %directory, "a replica has moved into another log directory");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_allows_as_many_bytes_as_the_rate_says() {
        let (start, second) = (Monotonic::default() + Duration::from_secs(60), Duration::from_secs(1));
        let mut pace = Pace::default();
        assert_eq!(pace.allowance(1_000, start), 1_000, "no more than a second's worth");
        pace.spend(1_000);
        assert_eq!(pace.allowance(1_000, start), 0);
        assert_eq!(pace.allowance(1_000, start + second / 2), 500);
        pace.spend(600);
        assert_eq!(pace.allowance(1_000, start + second * 6 / 10), 0, "the debt is paid");
        pace.spend(0);
        // So short a time earns nothing yet, and still counts.
        let instant = Duration::from_micros(600);
        assert_eq!(pace.allowance(1_000, start + second * 6 / 10 + instant), 0);
        assert_eq!(pace.allowance(1_000, start + second * 6 / 10 + instant * 2), 1);
        assert_eq!(pace.allowance(0, start + second * 9), 0);
        assert_eq!(pace.allowance(i64::MAX as u64, start + second * 10), i64::MAX as u64);
    }
}
