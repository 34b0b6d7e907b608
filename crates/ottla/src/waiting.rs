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
/// How long another broker of the same id may take to be found dead. Kafka's default of `initial.broker.registration.timeout.ms`.
const TWIN_MAX: Duration = Duration::from_secs(60);

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
        "another broker with this node's id has been alive for {} s: each node needs a node.id (or broker.id) of its own",
        TWIN_MAX.as_secs()
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
    let mut twin_since: Option<Instant> = None;
    while !node.is_running() {
        if stopping.is_asked_or_told_within(stop, LOOKS) {
            return Ok(Waited::Stop);
        }
        let reason = node.waits_for();
        if !is_twin(reason.as_ref()) {
            twin_since = None;
        } else if twin_since.get_or_insert_with(Instant::now).elapsed() > TWIN_MAX {
            return Err(NotTakenIn::Twin);
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

fn is_twin(reason: Option<&LifecycleError>) -> bool {
    reason.is_some_and(LifecycleError::is_twin)
}

fn refuse_other_cluster(ours: &str, theirs: Option<String>) -> Result<(), NotTakenIn> {
    match theirs {
        Some(theirs) if theirs != ours => Err(NotTakenIn::OtherCluster { ours: ours.to_owned(), theirs }),
        _ => Ok(()),
    }
}
