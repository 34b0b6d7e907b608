use crate::partition_state::BrokerStatus;
use ottla_types::{BrokerEpoch, Offset};
use std::time::Duration;

/// How far a follower has come, as its leader sees it. Times are on the leader's monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowerProgress {
    /// The end of its log; `None` before its first fetch in this leader epoch.
    pub log_end: Option<Offset>,
    /// The start of its log; `None` before its first fetch.
    pub log_start: Option<Offset>,
    /// The epoch of the broker that fetched last; `None` before its first fetch.
    pub broker_epoch: Option<FetcherEpoch>,
    /// What the metadata says of its broker; `None` when it is not registered.
    pub broker: Option<BrokerStatus>,
    /// When it last had everything that the leader had; `None` for never in this leader epoch.
    pub last_caught_up: Option<Duration>,
    last_fetch: Option<LastFetch>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct LastFetch {
    at: Duration,
    /// Where the leader's log ended then.
    leader_end: Offset,
}

/// What a fetch says of the broker that sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetcherEpoch {
    /// Nothing: versions before 15 (`-1`).
    Unsaid,
    /// The epoch of its registration.
    Said(BrokerEpoch),
}

impl FollowerProgress {
    /// A follower of a leadership that begins now. One in sync is given the benefit of the doubt: it counts as caught up
    /// until it has had the time to prove it. One that is not must not hold back the high watermark.
    pub(super) fn begin(now: Duration, is_in_sync: bool, broker: Option<BrokerStatus>) -> Self {
        Self {
            log_end: None,
            log_start: None,
            broker_epoch: None,
            broker,
            last_caught_up: is_in_sync.then_some(now),
            last_fetch: None,
        }
    }

    /// It fetches from `offset`. It is caught up now if that is the leader's end; and if it is where the leader's end was
    /// when it last fetched, then it was caught up at that time: under steady load a follower is always a little behind.
    pub(super) fn fetched(&mut self, now: Duration, fetch: Fetched, leader_end: Offset) {
        if fetch.offset >= leader_end {
            self.last_caught_up = self.last_caught_up.max(Some(now));
        } else if let Some(last) = self.last_fetch
            && fetch.offset >= last.leader_end
        {
            self.last_caught_up = self.last_caught_up.max(Some(last.at));
        }
        self.log_end = Some(fetch.offset);
        self.log_start = Some(fetch.log_start);
        self.broker_epoch = Some(fetch.broker_epoch);
        // Fetches that overtake each other must not make the leader's end seem earlier than it was.
        let leader_end = self.last_fetch.map_or(leader_end, |last| last.leader_end.max(leader_end));
        self.last_fetch = Some(LastFetch { at: now, leader_end });
    }

    /// Whether it keeps up: it is at the leader's end, or was there not longer ago than allowed.
    pub(super) fn is_caught_up(&self, now: Duration, leader_end: Offset, lag_max: Duration) -> bool {
        let is_recent = |at: Duration| now.saturating_sub(at) <= lag_max;
        self.log_end == Some(leader_end) || self.last_caught_up.is_some_and(is_recent)
    }

    /// Whether the controller would let it into the in-sync replicas: its broker is unfenced and stays, and is the one that
    /// fetched. Without the last, a broker that came back with an empty disk could join on what it had before (KIP-903).
    pub(super) fn is_eligible(&self) -> bool {
        let Some(broker) = self.broker else { return false };
        let is_same = match self.broker_epoch {
            None => false,
            Some(FetcherEpoch::Unsaid) => true,
            Some(FetcherEpoch::Said(epoch)) => epoch == broker.epoch,
        };
        broker.may_be_in_sync() && is_same
    }

    /// Whether its broker is alive: its log start counts for what is deleted everywhere.
    pub(super) fn is_alive(&self) -> bool {
        self.broker.is_some_and(|broker| !broker.is_fenced)
    }

    /// Whether a fetch is of an earlier life of its broker.
    pub(super) fn is_stale(&self, epoch: FetcherEpoch) -> bool {
        matches!((epoch, self.broker), (FetcherEpoch::Said(said), Some(broker)) if broker.epoch > said)
    }
}

/// What a fetch says of the follower's log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fetched {
    pub(super) offset: Offset,
    pub(super) log_start: Offset,
    pub(super) broker_epoch: FetcherEpoch,
}
