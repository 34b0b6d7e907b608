use crate::log_view::{EpochEnd, LogView};
use ottla_types::LeaderEpoch;
use thiserror::Error;

/// Somebody has another idea of the leader epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum EpochRefusal {
    /// FENCED_LEADER_EPOCH: who asks has missed an election.
    #[error("the leader epoch is {current} by now")]
    Fenced {
        /// The epoch here.
        current: LeaderEpoch,
    },
    /// UNKNOWN_LEADER_EPOCH: this replica has missed an election.
    #[error("the leader epoch is only {current} here")]
    Unknown {
        /// The epoch here.
        current: LeaderEpoch,
    },
}

/// Compares the leader epoch that a request expects with the one here. Requests that expect none pass.
///
/// # Errors
/// When they differ.
pub fn check_leader_epoch(expected: Option<LeaderEpoch>, current: LeaderEpoch) -> Result<(), EpochRefusal> {
    match expected {
        Some(epoch) if epoch < current => Err(EpochRefusal::Fenced { current }),
        Some(epoch) if epoch > current => Err(EpochRefusal::Unknown { current }),
        _ => Ok(()),
    }
}

/// The answer of an OffsetsForLeaderEpoch: where the greatest epoch not above `asked` ends. `None` when the log can't tell,
/// which the answer says as epoch and offset `-1`.
///
/// # Errors
/// When who asks expects another leader epoch than the current one.
pub fn end_offset_for_leader_epoch(
    log: &impl LogView,
    expected: Option<LeaderEpoch>,
    current: LeaderEpoch,
    asked: LeaderEpoch,
) -> Result<Option<EpochEnd>, EpochRefusal> {
    check_leader_epoch(expected, current)?;
    Ok(log.end_offset_for_epoch(asked))
}
