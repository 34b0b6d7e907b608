use super::Leader;
use ottla_types::{BrokerId, Offset};
use std::time::Duration;

/// `replica.selector.class`: which replica a consumer reads from (KIP-392).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplicaSelector {
    /// None, or `LeaderSelector`: the leader.
    Leader,
    /// `RackAwareReplicaSelector`: one in the consumer's rack, the leader if it is there.
    RackAware,
}

/// Where a consumer is told to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFrom {
    /// Here; the answer names no replica.
    Leader,
    /// From that follower: the answer names it and holds no records.
    Follower(BrokerId),
}

/// A follower from which a consumer could read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Who.
    pub broker: BrokerId,
    /// The end of its log.
    pub log_end: Offset,
    /// How long ago it was last caught up; `None` for never in this leader epoch.
    pub lag: Option<Duration>,
}

impl Leader {
    /// The followers from which a consumer at `offset` could read: those in sync that have it. One that is not in sync would
    /// let the consumer fall further and further behind.
    pub fn read_candidates(&self, offset: Offset, now: Duration) -> impl Iterator<Item = Candidate> {
        self.followers.iter().filter(|(id, _)| self.is_in_sync(**id)).filter_map(move |(id, follower)| {
            let log_end = follower.log_end.filter(|end| *end >= offset)?;
            follower.log_start.filter(|start| *start <= offset)?;
            let lag = follower.last_caught_up.map(|at| now.saturating_sub(at));
            Some(Candidate { broker: *id, log_end, lag })
        })
    }

    /// The replica that a consumer at `offset` should read from. `rack_of` says a broker's rack, and nothing for one that has no
    /// address on the consumer's listener.
    pub fn read_replica<'a>(
        &self,
        selector: ReplicaSelector,
        consumer_rack: &str,
        offset: Offset,
        rack_of: impl Fn(BrokerId) -> Option<&'a str>,
        now: Duration,
    ) -> ReadFrom {
        let is_near = |broker| rack_of(broker) == Some(consumer_rack);
        if selector == ReplicaSelector::Leader || consumer_rack.is_empty() || is_near(self.settings.local) {
            return ReadFrom::Leader;
        }
        let near = self.read_candidates(offset, now).filter(|candidate| is_near(candidate.broker));
        // The most caught up; of equals the one that was so last, then the greater id.
        let rank = |c: &Candidate| (c.log_end, std::cmp::Reverse(c.lag.unwrap_or(Duration::MAX)), c.broker);
        near.max_by_key(rank).map_or(ReadFrom::Leader, |candidate| ReadFrom::Follower(candidate.broker))
    }
}
