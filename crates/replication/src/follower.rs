use ottla_types::{BrokerEpoch, Offset};
use std::time::Duration;

/// How far a follower has come, as its leader sees it. Times are on the leader's monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowerProgress {
    /// The end of its log; `None` before its first fetch in this leader epoch.
    pub log_end: Option<Offset>,
    /// The start of its log; `None` before its first fetch.
    pub log_start: Option<Offset>,
    /// The epoch of the broker that fetched last; `None` if it did not say.
    pub broker_epoch: Option<BrokerEpoch>,
    /// Whether its broker is registered, unfenced and not shutting down.
    pub is_eligible: bool,
    /// When it last had everything that the leader had; `None` for never in this leader epoch.
    pub last_caught_up: Option<Duration>,
    last_fetch: Duration,
    leader_end_at_last_fetch: Offset,
}

impl FollowerProgress {
    /// A follower of a leadership that begins now. One in sync is given the benefit of the doubt: it counts as caught up
    /// until it has had the time to prove it.
    pub(crate) fn begin(now: Duration, is_in_sync: bool, leader_end: Offset, is_eligible: bool) -> Self {
        Self {
            log_end: None,
            log_start: None,
            broker_epoch: None,
            is_eligible,
            last_caught_up: is_in_sync.then_some(now),
            last_fetch: now,
            leader_end_at_last_fetch: leader_end,
        }
    }

    /// It fetches from `offset`. It is caught up now if that is the leader's end; and if it is where the leader's end was
    /// when it last fetched, then it was caught up at that time: under steady load a follower is always a little behind.
    pub(crate) fn fetched(&mut self, now: Duration, offset: Offset, log_start: Offset, leader_end: Offset) {
        if offset >= leader_end {
            self.last_caught_up = self.last_caught_up.max(Some(now));
        } else if offset >= self.leader_end_at_last_fetch {
            self.last_caught_up = self.last_caught_up.max(Some(self.last_fetch));
        }
        self.log_end = Some(offset);
        self.log_start = Some(log_start);
        self.last_fetch = now;
        self.leader_end_at_last_fetch = leader_end;
    }

    /// Whether it keeps up: it is at the leader's end, or was there not longer ago than allowed.
    pub(crate) fn is_caught_up(&self, now: Duration, leader_end: Offset, lag_max: Duration) -> bool {
        let is_recent = |at: Duration| now.saturating_sub(at) <= lag_max;
        self.log_end == Some(leader_end) || self.last_caught_up.is_some_and(is_recent)
    }
}
