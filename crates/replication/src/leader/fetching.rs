use super::epochs::{EpochRefusal, check_leader_epoch};
use super::follower_progress::{Fetched, FetcherEpoch};
use super::{Leader, Progress};
use crate::log_view::{EpochEnd, LogView};
use ottla_types::{BrokerId, LeaderEpoch, Offset};
use std::time::Duration;
use thiserror::Error;

/// What a Fetch says of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchPosition {
    /// The leader epoch that the fetcher expects; `None` when it does not say.
    pub leader_epoch: Option<LeaderEpoch>,
    /// The first offset it wants. A follower's is the end of its log.
    pub offset: Offset,
    /// The epoch of the last record it has; `None` when it has none or does not say.
    pub last_fetched_epoch: Option<LeaderEpoch>,
}

/// A follower asks for what comes after what it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowerFetch {
    /// Who asks.
    pub replica: BrokerId,
    /// The epoch of its registration.
    pub broker_epoch: FetcherEpoch,
    /// What it asks for.
    pub position: FetchPosition,
    /// The start of its log.
    pub log_start: Offset,
}

/// A consumer asks the leader or, if it may, a follower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsumerFetch {
    /// What it asks for.
    pub position: FetchPosition,
    /// Whether only the leader may answer: versions before 11.
    pub is_leader_only: bool,
}

/// What to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchRead {
    /// The records from this offset on.
    From(Offset),
    /// No records: the log of the fetcher has others. It goes back to the end of this epoch.
    Diverging(EpochEnd),
}

/// Why a fetch is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FetchRefusal {
    /// FENCED_LEADER_EPOCH or UNKNOWN_LEADER_EPOCH.
    #[error(transparent)]
    Epoch(#[from] EpochRefusal),
    /// NOT_LEADER_OR_FOLLOWER: this replica does not lead.
    #[error("this replica does not lead the partition")]
    NotLeader,
    /// The metadata here does not know the replica yet: UNKNOWN_LEADER_EPOCH, or NOT_LEADER_OR_FOLLOWER if the fetch
    /// says no epoch. The follower asks again.
    #[error("broker {0} holds no replica of this partition")]
    UnknownReplica(BrokerId),
    /// NOT_LEADER_OR_FOLLOWER: the fetch is of an earlier life of its broker.
    #[error("broker {0} has registered anew since it sent this fetch")]
    StaleBroker(BrokerId),
    /// OFFSET_OUT_OF_RANGE.
    #[error("{requested} is not in the log, which is from {start} to {end}")]
    OutOfRange {
        /// What was asked for.
        requested: Offset,
        /// The log start offset.
        start: Offset,
        /// The log end offset.
        end: Offset,
    },
}

impl Leader {
    /// A follower fetches. What it says of its log counts only if it is a continuation of a common beginning: a diverging
    /// fetch moves nothing.
    ///
    /// # Errors
    /// When it is not for this leader epoch, not of a replica, of an earlier life of its broker, or out of range. Nothing
    /// has changed then.
    pub fn follower_fetched(
        &mut self,
        fetch: FollowerFetch,
        log: &impl LogView,
        now: Duration,
    ) -> Result<(FetchRead, Progress), FetchRefusal> {
        check_leader_epoch(fetch.position.leader_epoch, self.leader_epoch)?;
        let follower = self.followers.get_mut(&fetch.replica).ok_or(FetchRefusal::UnknownReplica(fetch.replica))?;
        if follower.is_stale(fetch.broker_epoch) {
            return Err(FetchRefusal::StaleBroker(fetch.replica));
        }
        let read = read_position(log, fetch.position)?;
        if let FetchRead::Diverging(_) = read {
            return Ok((read, Progress::default()));
        }
        let fetched =
            Fetched { offset: fetch.position.offset, log_start: fetch.log_start, broker_epoch: fetch.broker_epoch };
        follower.fetched(now, fetched, self.log_end);
        let expansion = self.expansion(fetch.replica);
        let progress = self.progress(now);
        Ok((read, Progress { proposal: expansion, ..progress }))
    }
}

/// Where to read for a fetch, in a log whose leader epoch has been compared already.
///
/// # Errors
/// When the offset is not in the log, or the log knows nothing of the epoch of the fetcher's last record.
pub fn read_position(log: &impl LogView, position: FetchPosition) -> Result<FetchRead, FetchRefusal> {
    let (start, end) = (log.log_start(), log.log_end());
    let out_of_range = FetchRefusal::OutOfRange { requested: position.offset, start, end };
    if let Some(epoch) = position.last_fetched_epoch {
        let known = log.end_offset_for_epoch(epoch).ok_or(out_of_range)?;
        if position.offset < start {
            return Err(out_of_range);
        }
        if known.epoch < epoch || known.end_offset < position.offset {
            return Ok(FetchRead::Diverging(known));
        }
    }
    if position.offset < start || position.offset > end {
        Err(out_of_range)
    } else {
        Ok(FetchRead::From(position.offset))
    }
}
