use crate::log_view::LogView;
use ottla_types::Offset;

/// How a follower goes on whose offset the leader does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OutOfRange {
    /// Where the leader's log starts has to be known too.
    AskStart {
        /// Where it ends.
        leader_end: Offset,
    },
    /// The leader's log ends before ours.
    Truncate {
        /// Where it ends.
        to: Offset,
    },
    /// The leader has nothing that follows on ours any more.
    TruncateFully {
        /// Where it starts.
        start_at: Offset,
        /// How many records are missing then.
        lag: i64,
    },
    /// Ours fits: the leader's log has changed meanwhile.
    Retry {
        /// How many records are missing.
        lag: i64,
    },
}

/// The leader's log ends at `leader_end`. If that is before our end, then its election was unclean, and ours is cut; the
/// next fetch compares the epochs of what is left.
pub(super) fn after_end(log: &impl LogView, leader_end: Offset) -> OutOfRange {
    if leader_end < log.log_end() {
        OutOfRange::Truncate { to: leader_end.max(Offset::ZERO) }
    } else {
        OutOfRange::AskStart { leader_end }
    }
}

/// The leader's log goes from `leader_start` to `leader_end`. If it starts beyond our end, then this replica was away for
/// longer than records are kept, and all that it has is old.
pub(super) fn after_start(log: &impl LogView, leader_start: Offset, leader_end: Offset) -> OutOfRange {
    let end = log.log_end();
    if leader_start > end {
        OutOfRange::TruncateFully { start_at: leader_start, lag: leader_end.since(leader_start) }
    } else {
        OutOfRange::Retry { lag: leader_end.since(end) }
    }
}
