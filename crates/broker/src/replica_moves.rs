//! Replicas on their way into another log directory of this broker.

use crate::broker::Broker;
use crate::directory_assignments::DirectoryAssignments;
use crate::internal_topics::{CONSUMER_OFFSETS, TRANSACTION_STATE};
use crate::partition::Leadership;
use ottla_log::Log;
use ottla_types::DirectoryId;
use std::sync::Arc;

/// Copies a part of what is on its way, and puts in place what has come. Says whether anything is still on its way.
pub(crate) fn advance(broker: &Broker, assignments: &DirectoryAssignments) -> bool {
    for name in broker.logs.copy_moves() {
        match broker.logs.finish_move(&name) {
            Ok(Some((log, directory))) => replace(broker, assignments, log, directory),
            Ok(None) => {}
            Err(error) => tracing::error!(partition = %name, %error, "a replica stays in its log directory"),
        }
    }
    !broker.logs.moves().is_empty()
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
        new.set_leadership(Leadership::new(broker.node_id, &state));
    }
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
