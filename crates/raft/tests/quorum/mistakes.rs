//! Deliberate mistakes of a host or of its network. The checks must find each of them; the machine itself has no switch.

/// One mistake, made by every node of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mistake {
    /// `quorum-state` is never written.
    ElectionStateNotWritten,
    /// `quorum-state` is written after everything else of a step.
    ElectionStateWrittenLate,
    /// A start finds the file as it was before its last change.
    ElectionStateRestored,
    /// The log is said to be durable when it is not.
    FlushReportedTooEarly,
    /// A log is not cut where it should be.
    NotTruncated,
    /// Fetched records get the epoch of the leader that sends them.
    EpochOfRecordsChanged,
    /// A follower says that it has more than it has.
    FetchOffsetTooHigh,
    /// Every vote is told as given.
    EveryVoteGranted,
    /// The leader's own copy commits.
    CommittedByMinority,
    /// A majority commits, also before a record of the leader's epoch is on it.
    OldEpochCommitted,
    /// A node that has lost its disk comes back as the replica that it was.
    DiskLost,
    /// A snapshot is made of what is not committed.
    SnapshotOfUncommitted,
    /// Two voters go at once.
    TwoVotersAtOnce,
    /// Trial votes are taken for real ones.
    PreVoteTakenForVote,
    /// Divergence is not told.
    DivergenceHidden,
}
