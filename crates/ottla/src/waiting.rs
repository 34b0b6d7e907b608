//! The time between a node's start and when its cluster takes it in.

use crate::stopping::Stopping;
use ottla_broker::{LifecycleError, Node};
use std::time::{Duration, Instant};
use thiserror::Error;
use tokio::sync::Notify;

const LOOKS: Duration = Duration::from_millis(2);
/// After so long it is said that the node waits, and again and again.
const SAID_AFTER: Duration = Duration::from_secs(3);
const SAID_EVERY: Duration = Duration::from_secs(10);

/// How the waiting has ended.
pub(crate) enum Waited {
    /// The cluster has taken the node in.
    TakenIn,
    /// Somebody wants it to stop.
    Stop,
}

/// Why the cluster never will.
#[derive(Debug, Error)]
pub(crate) enum NotTakenIn {
    #[error(
        "another broker with this node's id has been alive for as long as initial.broker.registration.timeout.ms: each node needs \
         a node.id (or broker.id) of its own"
    )]
    Twin,
    #[error(
        "the directories in log.dirs belong to cluster {ours}, and the controllers to cluster {theirs}: name the controllers of this \
         cluster in controller.quorum.voters or controller.quorum.bootstrap.servers, or empty directories in log.dirs to join \
         theirs"
    )]
    OtherCluster { ours: String, theirs: String },
}

/// Waits until the cluster has taken the node in. Says what it waits for. `their_cluster` asks the controllers which cluster is
/// theirs.
pub(crate) fn until_taken_in(
    node: &Node,
    stopping: &mut Stopping,
    stop: &Notify,
    their_cluster: impl Fn() -> Option<String>,
) -> Result<Waited, NotTakenIn> {
    let began = Instant::now();
    let mut say_at = began + SAID_AFTER;
    while !node.is_running() {
        let is_over = stopping.is_asked_or_told_within(stop, LOOKS);
        let reason = node.waits_for();
        if is_over {
            let has_waited_for_twin = node.failure().is_some() && reason.as_ref().is_some_and(LifecycleError::is_twin);
            return if has_waited_for_twin { Err(NotTakenIn::Twin) } else { Ok(Waited::Stop) };
        }
        if Instant::now() >= say_at {
            refuse_other_cluster(node.cluster_id(), their_cluster())?;
            let reason = reason
                .map_or_else(|| "it does not know all of the metadata yet".to_owned(), |reason| reason.to_string());
            tracing::warn!(reason, "this node waits for the cluster to take it in");
            say_at = Instant::now() + SAID_EVERY;
        }
    }
    Ok(Waited::TakenIn)
}

fn refuse_other_cluster(ours: &str, theirs: Option<String>) -> Result<(), NotTakenIn> {
    match theirs {
        Some(theirs) if theirs != ours => Err(NotTakenIn::OtherCluster { ours: ours.to_owned(), theirs }),
        _ => Ok(()),
    }
}
