use crate::{LeaderState, ReplicaKey, SnapshotId, VoterSet};
use core::time::Duration;
use ottla_types::NodeId;
use std::collections::{BTreeMap, BTreeSet};

/// What a replica is at the moment. Epoch, leader and vote stand in the election state, not here.
#[derive(Clone, PartialEq, Debug)]
pub enum Role {
    /// Knows no leader that it could follow, or voted for one that is not elected yet.
    Unattached {
        /// When a voter starts an election.
        election_deadline: Duration,
    },
    /// Follows the leader of the epoch.
    Follower(FollowerState),
    /// Asks whether it could win an election, without disturbing the epoch (KIP-996).
    Prospective(Nomination),
    /// Has opened a new epoch and asks for votes.
    Candidate(Nomination),
    /// Leads the epoch.
    Leader(Box<LeaderState>),
    /// Led the epoch and does so no more.
    Resigned(ResignedState),
}

impl Role {
    /// Kafka's name of the state, as its metrics show it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Unattached { .. } => "unattached",
            Self::Follower(_) => "follower",
            Self::Prospective(_) => "prospective",
            Self::Candidate(_) => "candidate",
            Self::Leader(_) => "leader",
            Self::Resigned(_) => "resigned",
        }
    }
}

/// What a follower keeps in mind.
#[derive(Clone, PartialEq, Debug)]
pub struct FollowerState {
    /// The leader.
    pub leader: NodeId,
    /// When a voter gives the leader up.
    pub(crate) fetch_deadline: Duration,
    /// When it next tells the leader of itself, or joins.
    pub(crate) update_deadline: Duration,
    /// Whether the leader has answered a fetch. As long as it has not, the replica says yes to others that ask whether they
    /// could win: the leader may be gone.
    pub(crate) has_fetched: bool,
    /// Whether the leader knows this voter's directory and endpoints; asked with static voters only.
    pub(crate) has_updated_leader: bool,
    /// The snapshot that is being fetched.
    pub(crate) snapshot: Option<SnapshotPart>,
    /// Whether the leader has just failed, so that others are asked whether there is a new one.
    pub(crate) ask_others: bool,
}

/// A snapshot on its way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SnapshotPart {
    pub(crate) id: SnapshotId,
    /// How many bytes are there.
    pub(crate) position: u64,
}

/// An election in which this replica stands: a trial or a real one. It counts itself as granting, if it is a voter.
#[derive(Clone, PartialEq, Debug)]
pub struct Nomination {
    votes: BTreeMap<NodeId, Option<bool>>,
    keys: BTreeMap<NodeId, ReplicaKey>,
    /// Who was not there when asked. They are asked again, for they may come.
    unreached: BTreeSet<NodeId>,
    /// When it is over.
    pub(crate) deadline: Duration,
}

impl Nomination {
    pub(crate) fn new(local: &ReplicaKey, voters: &VoterSet, deadline: Duration) -> Self {
        let votes = voters.iter().map(|voter| (voter.key.id, voter.key.matches(local).then_some(true))).collect();
        let keys = voters.iter().map(|voter| (voter.key.id, voter.key)).collect();
        Self { votes, keys, unreached: BTreeSet::new(), deadline }
    }

    /// Takes a vote. One of somebody who is not asked counts nothing.
    pub(crate) fn record(&mut self, from: NodeId, is_granted: bool) {
        if let Some(vote) = self.votes.get_mut(&from) {
            *vote = Some(is_granted);
        }
    }

    /// Notes that somebody was not there when asked.
    pub(crate) fn not_reached(&mut self, id: NodeId) {
        self.unreached.insert(id);
    }

    /// Whether somebody says no, and those who could still say yes are not enough, or not there.
    pub(crate) fn is_as_good_as_lost(&self) -> bool {
        let is_there = |(id, vote): &(&NodeId, &Option<bool>)| vote.is_none() && !self.unreached.contains(id);
        let possible = self.count(Some(true)) + self.votes.iter().filter(is_there).count();
        self.count(Some(false)) > 0 && possible < self.majority()
    }

    fn count(&self, vote: Option<bool>) -> usize {
        self.votes.values().filter(|known| **known == vote).count()
    }

    fn majority(&self) -> usize {
        self.votes.len() / 2 + 1
    }

    /// Whether a majority says yes.
    pub(crate) fn is_granted(&self) -> bool {
        self.count(Some(true)) >= self.majority()
    }

    /// Whether so many say no that a majority can't come together any more.
    pub(crate) fn is_rejected(&self) -> bool {
        self.count(Some(true)) + self.count(None) < self.majority()
    }

    /// Who said yes.
    pub fn granting(&self) -> BTreeSet<NodeId> {
        self.votes.iter().filter(|(_, vote)| **vote == Some(true)).map(|(id, _)| *id).collect()
    }

    /// Who has not answered yet.
    pub(crate) fn open(&self) -> Vec<ReplicaKey> {
        let open = self.votes.iter().filter(|(_, vote)| vote.is_none());
        open.filter_map(|(id, _)| self.keys.get(id).copied()).collect()
    }
}

/// What a replica that led keeps in mind.
#[derive(Clone, PartialEq, Debug)]
pub struct ResignedState {
    /// When it takes part again; never, if its node is stopping.
    pub(crate) election_deadline: Option<Duration>,
    /// Who does not know yet.
    pub(crate) unacknowledged: BTreeSet<NodeId>,
    /// Who should lead next, the best first.
    pub(crate) successors: Vec<ReplicaKey>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Voter;

    fn nomination(voters: i32) -> Nomination {
        let key = |id| ReplicaKey { id: NodeId(id), directory: None };
        let voters = VoterSet::new((1..=voters).map(|id| Voter::new(key(id), Vec::new())));
        Nomination::new(&key(1), &voters, Duration::ZERO)
    }

    #[test]
    fn an_election_is_won_and_lost_by_majorities() {
        let mut five = nomination(5);
        five.record(NodeId(2), false);
        five.record(NodeId(3), false);
        assert!(!five.is_granted() && !five.is_rejected());
        let mut won = five.clone();
        won.record(NodeId(4), true);
        won.record(NodeId(5), true);
        assert!(won.is_granted() && !won.is_rejected());
        five.record(NodeId(4), false);
        assert!(!five.is_granted() && five.is_rejected());
        assert!(nomination(1).is_granted());
    }

    #[test]
    fn an_election_is_as_good_as_lost_when_those_who_have_not_said_no_are_not_there() {
        let mut three = nomination(3);
        three.not_reached(NodeId(2));
        three.not_reached(NodeId(3));
        assert!(!three.is_as_good_as_lost(), "they may only be about to start");
        three.record(NodeId(3), false);
        assert!(three.is_as_good_as_lost() && !three.is_rejected());
        three.record(NodeId(2), true);
        assert!(!three.is_as_good_as_lost());
    }

    #[test]
    fn the_vote_of_a_stranger_counts_nothing() {
        let mut two = nomination(2);
        two.record(NodeId(9), true);
        assert!(!two.is_granted());
        assert_eq!(two.open().iter().map(|key| key.id).collect::<Vec<_>>(), [NodeId(2)]);
    }
}
