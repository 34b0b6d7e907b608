use super::out_of_range::{OutOfRange, after_end, after_start};
use super::truncation::truncation_for;
use crate::leader::FetchPosition;
use crate::log_view::{EpochEnd, LogView};
use ottla_types::{LeaderEpoch, Offset};
use std::time::Duration;

/// One partition that follows a leader in one leader epoch: where it fetches, and what it is busy with.
///
/// Invariants: it fetches from the end of its log, with the last epoch of its log; only an append and a truncation change
/// them. It is busy with one thing at a time. High watermark and log start of an answer are taken over only after its
/// records are appended, and never from an answer that demands a truncation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FollowerPartition {
    leader_epoch: LeaderEpoch,
    fetch_offset: Offset,
    last_fetched_epoch: Option<LeaderEpoch>,
    /// How many committed records it lacks; `None` before the first answer.
    lag: Option<i64>,
    state: State,
    delayed_until: Option<Duration>,
    /// How often it was refused in this epoch without ever being answered.
    refusals: u32,
    /// Where the leader last refused to read, and nothing could be done about it.
    refused_at: Option<FetchPosition>,
}

/// The wait behind the first refusal in an epoch: news of leaders take a few milliseconds from node to node. It doubles with each.
const FIRST_REFUSAL: Duration = Duration::from_millis(5);
/// So often at the most, which is beyond every sensible `replica.fetch.backoff.ms`.
const REFUSAL_DOUBLINGS_MAX: u32 = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Fetching,
    /// Records of an answer are being written; what comes after.
    Appending {
        leader_high_watermark: Offset,
        leader_log_start: Offset,
    },
    /// The log is being cut.
    Truncating {
        before: FetchPosition,
    },
    /// The log is being emptied.
    Emptying,
    /// ListOffsets for the leader's end is under way.
    AskingEnd,
    /// ListOffsets for the leader's start is under way.
    AskingStart {
        leader_end: Offset,
    },
    /// Nothing goes on until the metadata brings a later epoch.
    Failed,
}

/// What the leader says of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartitionAnswer {
    /// Records, perhaps none.
    Data(FetchedData),
    /// The log has other records than the leader's: the leader's greatest epoch not above ours, and its end.
    Diverging(EpochEnd),
    /// An error.
    Fault(FetchFault),
}

/// What comes with records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchedData {
    /// How many bytes of records.
    pub bytes: usize,
    /// The leader's high watermark.
    pub high_watermark: Offset,
    /// The leader's log start.
    pub log_start: Offset,
}

/// Errors of a Fetch or a ListOffsets, by what follows from them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchFault {
    /// OFFSET_OUT_OF_RANGE.
    OffsetOutOfRange,
    /// FENCED_LEADER_EPOCH.
    FencedLeaderEpoch,
    /// Anything else, OFFSET_MOVED_TO_TIERED_STORAGE too: there are no tiers here.
    Retriable,
}

/// Which end of the leader's log is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListedOffset {
    /// `-2`: the log start offset.
    Earliest,
    /// `-1`: the log end offset, as replicas see it.
    Latest,
}

/// Why records could not be appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendRefusal {
    /// They are damaged, which a repeated fetch may mend.
    Corrupt,
    /// The log can't take them at the moment: the disk is full, or the log is just being moved into another directory.
    Later,
    /// The log can't be written, or refuses them for what they are.
    Unwritable,
}

/// Why a partition does not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureReason {
    /// The leader has a later epoch than the metadata here.
    Fenced,
    /// The log can't be written.
    Storage,
    /// The end of the log is not where the partition left it: somebody else writes it.
    OffsetMismatch,
    /// A truncation that the leader demanded has changed nothing, so that it would demand it again.
    NothingTruncated,
}

/// What is to be done with a partition's log, or asked of its leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FollowerEffect {
    /// Append the records of the answer, but no batch of a later epoch than this one: the answer of a leader that was
    /// replaced by itself meanwhile may hold some, and their beginning has not been compared.
    Append {
        /// The leader epoch.
        leader_epoch: LeaderEpoch,
    },
    /// Move the high watermark and the log start, so that nobody sees the one without the other: a leader knows no epochs from
    /// before its log start, and what is there has not been compared.
    Advance {
        /// The high watermark, never before the one of the log.
        high_watermark: Offset,
        /// The log start offset, if it moves.
        log_start: Option<Offset>,
    },
    /// Cut the log; also when it ends there already, since epochs without records may have to go.
    Truncate {
        /// The log ends here afterwards.
        to: Offset,
        /// Whether the logs agree then.
        is_complete: bool,
    },
    /// Empty the log.
    TruncateFully {
        /// It starts and ends here afterwards, and so is its high watermark.
        start_at: Offset,
    },
    /// Ask the leader for an end of its log.
    ListOffset(ListedOffset),
    /// Nothing goes on until the metadata brings a later epoch.
    Fail(FailureReason),
}

impl FollowerPartition {
    /// Begins to follow. A log without any epoch can't be compared: what of it is not known to be committed goes.
    pub fn begin(leader_epoch: LeaderEpoch, log: &impl LogView) -> (Self, Option<FollowerEffect>) {
        let mut partition = Self {
            leader_epoch,
            fetch_offset: log.log_end(),
            last_fetched_epoch: log.latest_epoch(),
            lag: None,
            state: State::Fetching,
            delayed_until: None,
            refusals: 0,
            refused_at: None,
        };
        let is_incomparable = log.latest_epoch().is_none() && log.high_watermark() < log.log_end();
        let effect = is_incomparable.then(|| partition.truncate(log.high_watermark(), true));
        (partition, effect)
    }

    /// The leader epoch in which it fetches.
    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.leader_epoch
    }

    /// What its next fetch says.
    pub fn position(&self) -> FetchPosition {
        FetchPosition {
            leader_epoch: Some(self.leader_epoch),
            offset: self.fetch_offset,
            last_fetched_epoch: self.last_fetched_epoch,
        }
    }

    /// Whether it can be fetched now.
    pub fn is_ready(&self, now: Duration) -> bool {
        self.state == State::Fetching && self.delayed_until.is_none_or(|until| now >= until)
    }

    /// When it can be fetched again, if only time is missing.
    pub fn delayed_until(&self) -> Option<Duration> {
        self.delayed_until.filter(|_| self.state == State::Fetching)
    }

    /// Whether its log is being changed.
    pub fn is_busy(&self) -> bool {
        matches!(self.state, State::Appending { .. } | State::Truncating { .. } | State::Emptying)
    }

    /// Whether it has given up in this epoch.
    pub fn is_failed(&self) -> bool {
        self.state == State::Failed
    }

    /// How many committed records it lacks.
    pub fn lag(&self) -> Option<i64> {
        self.lag
    }

    /// Whether it has everything committed: then it is never throttled.
    pub fn is_in_sync(&self) -> bool {
        self.lag.is_some_and(|lag| lag <= 0)
    }

    /// The leader has answered what was asked at `asked`. When the partition is elsewhere by now, or in a later epoch, or
    /// waits, the answer is dropped.
    pub fn answered(
        &mut self,
        asked: FetchPosition,
        answer: PartitionAnswer,
        log: &impl LogView,
        now: Duration,
        backoff: Duration,
    ) -> Option<FollowerEffect> {
        if asked != self.position() || !self.is_ready(now) {
            return None;
        }
        match answer {
            PartitionAnswer::Fault(fault) => self.refused(fault, now, backoff),
            _ if log.log_end() != self.fetch_offset => Some(self.fail(FailureReason::OffsetMismatch)),
            PartitionAnswer::Diverging(leader) => {
                let truncation = truncation_for(log, leader);
                Some(self.truncate(truncation.offset, truncation.is_complete))
            }
            PartitionAnswer::Data(data) if data.bytes > 0 => {
                self.state =
                    State::Appending { leader_high_watermark: data.high_watermark, leader_log_start: data.log_start };
                Some(FollowerEffect::Append { leader_epoch: self.leader_epoch })
            }
            PartitionAnswer::Data(data) => self.advance(data.high_watermark, data.log_start, log),
        }
    }

    fn refused(&mut self, fault: FetchFault, now: Duration, backoff: Duration) -> Option<FollowerEffect> {
        match fault {
            FetchFault::OffsetOutOfRange => {
                self.state = State::AskingEnd;
                Some(FollowerEffect::ListOffset(ListedOffset::Latest))
            }
            FetchFault::FencedLeaderEpoch => Some(self.fail(FailureReason::Fenced)),
            FetchFault::Retriable => {
                self.delay(now, self.patience(backoff));
                self.refusals = self.refusals.saturating_add(1);
                None
            }
        }
    }

    /// How long to wait behind a refusal. A leader that was elected a moment ago may hear of it later than its followers and
    /// refuse them, and what it acknowledges to all replicas would wait for them; so the first waits of an epoch are short,
    /// until it has answered once.
    fn patience(&self, backoff: Duration) -> Duration {
        if self.lag.is_some() {
            return backoff;
        }
        FIRST_REFUSAL.saturating_mul(1 << self.refusals.min(REFUSAL_DOUBLINGS_MAX)).min(backoff)
    }

    /// Waits before the next fetch, if it does not wait already.
    pub fn delay(&mut self, now: Duration, backoff: Duration) {
        if self.delayed_until.is_none_or(|until| now >= until) {
            self.delayed_until = Some(now + backoff);
        }
    }

    /// The records are in the log, and as durable as the topic's `flush.messages` demands: the next fetch tells the leader so.
    pub fn appended(&mut self, log: &impl LogView, now: Duration, backoff: Duration) -> Option<FollowerEffect> {
        let State::Appending { leader_high_watermark, leader_log_start } = self.state else { return None };
        self.state = State::Fetching;
        if log.log_end() <= self.fetch_offset {
            // Nothing of it was for this epoch, or not one whole batch.
            self.delay(now, backoff);
            return None;
        }
        self.fetch_offset = log.log_end();
        self.last_fetched_epoch = log.latest_epoch();
        self.advance(leader_high_watermark, leader_log_start, log)
    }

    /// The records could not be appended.
    pub fn append_refused(
        &mut self,
        refusal: AppendRefusal,
        now: Duration,
        backoff: Duration,
    ) -> Option<FollowerEffect> {
        let State::Appending { .. } = self.state else { return None };
        self.state = State::Fetching;
        match refusal {
            AppendRefusal::Corrupt | AppendRefusal::Later => {
                self.delay(now, backoff);
                None
            }
            AppendRefusal::Unwritable => Some(self.fail(FailureReason::Storage)),
        }
    }

    /// The log has been cut or emptied.
    pub fn truncated(&mut self, log: &impl LogView) -> Option<FollowerEffect> {
        let before = match self.state {
            State::Truncating { before } => Some(before),
            State::Emptying => None,
            _ => return None,
        };
        self.state = State::Fetching;
        self.fetch_offset = log.log_end();
        self.last_fetched_epoch = log.latest_epoch();
        (before == Some(self.position()) && self.last_fetched_epoch.is_some())
            .then(|| self.fail(FailureReason::NothingTruncated))
    }

    /// The log could not be cut at the moment. The leader is asked again later, and will say again that it is to be cut. A log
    /// without epochs it could not compare: what is to go of that must go now.
    pub fn truncation_put_off(
        &mut self,
        log: &impl LogView,
        now: Duration,
        backoff: Duration,
    ) -> Option<FollowerEffect> {
        if log.latest_epoch().is_none() {
            return Some(self.storage_failed());
        }
        self.state = State::Fetching;
        self.fetch_offset = log.log_end();
        self.last_fetched_epoch = log.latest_epoch();
        self.delay(now, backoff);
        None
    }

    /// The leader has said where its log ends or starts, or has refused to.
    pub fn listed(
        &mut self,
        which: ListedOffset,
        listed: Result<Offset, FetchFault>,
        log: &impl LogView,
        now: Duration,
        backoff: Duration,
    ) -> Option<FollowerEffect> {
        let step = match (self.state, which) {
            (State::AskingEnd, ListedOffset::Latest) => listed.map(|end| after_end(log, end)),
            (State::AskingStart { leader_end }, ListedOffset::Earliest) => {
                listed.map(|start| after_start(log, start, leader_end))
            }
            _ => return None,
        };
        self.state = State::Fetching;
        match step {
            Err(FetchFault::FencedLeaderEpoch) => Some(self.fail(FailureReason::Fenced)),
            Err(_) => {
                self.delay(now, backoff);
                None
            }
            Ok(step) => self.go_on(step, now, backoff),
        }
    }

    fn go_on(&mut self, step: OutOfRange, now: Duration, backoff: Duration) -> Option<FollowerEffect> {
        match step {
            OutOfRange::AskStart { leader_end } => {
                self.state = State::AskingStart { leader_end };
                Some(FollowerEffect::ListOffset(ListedOffset::Earliest))
            }
            OutOfRange::Truncate { to } => {
                self.lag = Some(0);
                Some(self.truncate(to, true))
            }
            OutOfRange::TruncateFully { start_at, lag } => {
                self.lag = Some(lag);
                self.state = State::Emptying;
                Some(FollowerEffect::TruncateFully { start_at })
            }
            OutOfRange::Retry { lag } => {
                self.lag = Some(lag);
                // The leader's log may have changed between its answers; if it refuses the same again, it is no longer that.
                if self.refused_at.replace(self.position()) == Some(self.position()) {
                    self.delay(now, backoff);
                }
                None
            }
        }
    }

    fn truncate(&mut self, to: Offset, is_complete: bool) -> FollowerEffect {
        self.state = State::Truncating { before: self.position() };
        FollowerEffect::Truncate { to, is_complete }
    }

    /// A follower's high watermark is that of its leader, as far as its log goes. A new leader may know of less that is
    /// committed than this replica does; that does not make it less.
    fn advance(&mut self, leader: Offset, leader_start: Offset, log: &impl LogView) -> Option<FollowerEffect> {
        self.lag = Some(leader.since(self.fetch_offset).max(0));
        self.refused_at = None;
        let high_watermark = leader.min(log.log_end()).max(log.high_watermark());
        let log_start = Some(leader_start.min(high_watermark)).filter(|start| *start > log.log_start());
        let changes = high_watermark != log.high_watermark() || log_start.is_some();
        changes.then_some(FollowerEffect::Advance { high_watermark, log_start })
    }

    fn fail(&mut self, reason: FailureReason) -> FollowerEffect {
        self.state = State::Failed;
        FollowerEffect::Fail(reason)
    }

    /// The log can't be used any more.
    pub fn storage_failed(&mut self) -> FollowerEffect {
        self.fail(FailureReason::Storage)
    }
}

#[cfg(test)]
mod tests;
