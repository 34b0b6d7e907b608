//! From one role to the next, and what is made durable on the way.

use crate::role::{FollowerState, Nomination, ResignedState};
use crate::{BatchSummary, ControlRecord, ControllerEndpoint, Effect, ElectionState, Fault, KraftVersion, Raft, Role};
use crate::{LeaderState, VoterSet};
use core::time::Duration;
use ottla_protocol::raft_records::{KRaftVersionRecord, LeaderChangeMessage, leader_change_message};
use ottla_types::{LeaderEpoch, NodeId, Offset};
use std::collections::BTreeSet;

impl Raft {
    pub(crate) fn election_deadline(&mut self) -> Duration {
        let timeout = self.jitter.spread(self.settings.timeouts.election);
        self.now.saturating_add(timeout)
    }

    pub(crate) fn after(&self, period: Duration) -> Duration {
        self.now.saturating_add(period.max(Duration::from_millis(1)))
    }

    /// Changes what must never be forgotten. What the file says already is not written again; of two writes with nothing in
    /// between that anyone could see, the second is enough.
    pub(crate) fn persist(&mut self, election: ElectionState) {
        let (old_epoch, old_leader) = (self.election.epoch, self.election.leader);
        if let Some(Effect::PersistElection(last)) = self.out.last_mut() {
            *last = election.clone();
        } else if self.durable_election.as_ref() != Some(&election) {
            self.out.push(Effect::PersistElection(election.clone()));
        }
        self.durable_election = Some(election.clone());
        self.election = election;
        let (epoch, leader) = (self.election.epoch, self.election.leader);
        if (old_epoch, old_leader) != (epoch, leader) && leader != Some(self.settings.local.id) {
            self.out.push(Effect::LeaderChanged { epoch, leader });
        }
    }

    /// Leaves a leadership, if this is one: who waits for it is told.
    fn step_down(&mut self) {
        if let Role::Leader(leader) = &mut self.role {
            let epoch = leader.epoch();
            let pending = leader.pending.take();
            self.out.push(Effect::LostLeadership { epoch });
            self.refuse_parked_fetches();
            if let Some(pending) = pending {
                self.abort_change(pending);
            }
        }
    }

    /// Another epoch has begun, or the leader of this one can't be reached: the vote of this epoch, if any, stays.
    pub(crate) fn become_unattached(&mut self, epoch: LeaderEpoch, leader: Option<NodeId>) {
        // A replica that was about to stand for election does so in the new epoch no later.
        let election_deadline = match &self.role {
            Role::Unattached { election_deadline } => *election_deadline,
            Role::Candidate(nomination) => nomination.deadline,
            // One whose trial was answered by too few first looks for a leader elsewhere: the voters may have moved.
            Role::Prospective(nomination) if !nomination.is_rejected() && nomination.deadline > self.now => {
                nomination.deadline
            }
            Role::Resigned(ResignedState { election_deadline: Some(deadline), .. }) => *deadline,
            _ => self.election_deadline(),
        };
        let voted = self.election.voted.filter(|_| epoch == self.election.epoch);
        self.step_down();
        self.leader_endpoints.clear();
        self.role = Role::Unattached { election_deadline };
        self.persist(ElectionState { epoch, leader, voted });
        self.connections.reset();
    }

    /// The leader of an epoch is found.
    pub(crate) fn become_follower(&mut self, epoch: LeaderEpoch, leader: NodeId, endpoints: Vec<ControllerEndpoint>) {
        let voted = self.election.voted.filter(|_| epoch == self.election.epoch);
        self.step_down();
        self.role = self.follow_in_memory(leader, endpoints);
        self.persist(ElectionState { epoch, leader: Some(leader), voted });
        self.connections.reset();
    }

    /// The role beside a leader: one whose address is not known can't be followed.
    pub(crate) fn follow_in_memory(&mut self, leader: NodeId, endpoints: Vec<ControllerEndpoint>) -> Role {
        let is_reached = crate::voters::address_on(&endpoints, &self.settings.listener).is_some();
        self.leader_endpoints = if is_reached { endpoints } else { Vec::new() };
        if !is_reached {
            return Role::Unattached { election_deadline: self.election_deadline() };
        }
        Role::Follower(FollowerState {
            leader,
            fetch_deadline: self.after(self.settings.timeouts.fetch),
            update_deadline: self.after(self.settings.timeouts.fetch),
            has_fetched: false,
            has_updated_leader: false,
            snapshot: None,
            ask_others: false,
        })
    }

    /// Asks the others whether an election could be won.
    pub(crate) fn become_prospective(&mut self) {
        let deadline = self.election_deadline();
        self.role = Role::Prospective(self.nomination(deadline));
        self.connections.reset();
        self.maybe_become_candidate();
    }

    fn nomination(&self, deadline: Duration) -> Nomination {
        let mut nomination = Nomination::new(&self.settings.local, self.voters(), deadline);
        self.connections.unreached().iter().for_each(|id| nomination.not_reached(*id));
        nomination
    }

    pub(crate) fn maybe_become_candidate(&mut self) {
        if matches!(&self.role, Role::Prospective(nomination) if nomination.is_granted()) {
            self.become_candidate();
        }
    }

    /// Opens the next epoch, with the vote for itself.
    pub(crate) fn become_candidate(&mut self) {
        let Some(epoch) = self.next_epoch() else { return };
        let deadline = self.election_deadline();
        self.role = Role::Candidate(self.nomination(deadline));
        self.leader_endpoints.clear();
        self.persist(ElectionState { epoch, leader: None, voted: Some(self.settings.local) });
        self.connections.reset();
        self.maybe_become_leader();
    }

    pub(crate) fn next_epoch(&mut self) -> Option<LeaderEpoch> {
        let epoch = self.election.epoch;
        let next = epoch.0.checked_add(1).map(LeaderEpoch);
        if next.is_none() {
            self.out.push(Effect::Fault(Fault::EpochsExhausted(epoch)));
        }
        next
    }

    pub(crate) fn maybe_become_leader(&mut self) {
        let Role::Candidate(nomination) = &self.role else { return };
        if !nomination.is_granted() {
            return;
        }
        let granting = nomination.granting();
        let local = self.settings.local;
        let epoch = self.election.epoch;
        // There is no message between the vote for itself and this, if there is nobody else to vote.
        self.drop_unseen_leader_change();
        self.persist(ElectionState { epoch, leader: Some(local.id), voted: None });
        let voters = self.voters().clone();
        let start = self.log.end().offset;
        let check_quorum = self.settings.timeouts.fetch.saturating_mul(3) / 2;
        let mut leader = LeaderState::new((epoch, start), local, &voters, self.now, check_quorum);
        if self.kraft_version() == KraftVersion::Static {
            leader.volatile_voters = voters.updated_by_id(self.settings.local_voter());
        }
        self.role = Role::Leader(Box::new(leader));
        self.leader_endpoints = self.settings.endpoints.clone();
        self.connections.reset();
        let records = self.start_of_epoch(&voters, &granting);
        self.append_control(records);
        let durable = self.log.durable_end().offset;
        if let Role::Leader(leader) = &mut self.role {
            leader.local_flushed(durable);
        }
    }

    /// The only voter goes from no leader to itself within one step; that in between nobody led is not told.
    fn drop_unseen_leader_change(&mut self) {
        let epoch = self.election.epoch;
        self.out.retain(|effect| !matches!(effect, Effect::LeaderChanged { epoch: e, leader: None } if *e == epoch));
    }

    /// Who leads, who may vote, and who did. The voters follow if the log does not state them yet, or not this replica as it
    /// is now.
    fn start_of_epoch(&self, voters: &VoterSet, granting: &BTreeSet<NodeId>) -> Vec<ControlRecord> {
        let voter = |id: NodeId| leader_change_message::Voter { voter_id: id.0, ..Default::default() };
        let mut records = vec![ControlRecord::LeaderChange(LeaderChangeMessage {
            version: 0,
            leader_id: self.settings.local.id.0,
            voters: voters.ids().map(voter).collect(),
            granting_voters: granting.iter().copied().map(voter).collect(),
            ..Default::default()
        })];
        let local = self.settings.local_voter();
        let has_moved = !local.endpoints.is_empty() && voters.needs_update(&local);
        let is_stated = self.log.voters_entry().is_some_and(|(offset, _)| offset >= Offset(0));
        if self.kraft_version() == KraftVersion::Dynamic && (!is_stated || has_moved) {
            let stated = if has_moved { voters.updated(local) } else { None }.unwrap_or_else(|| voters.clone());
            records.push(ControlRecord::KraftVersion(version_record(KraftVersion::Dynamic)));
            records.push(ControlRecord::Voters(stated.to_record()));
        }
        records
    }

    /// Appends a batch of the quorum's own records to this leader's log, and returns the offset of its last record.
    pub(crate) fn append_control(&mut self, records: Vec<ControlRecord>) -> Offset {
        let epoch = self.election.epoch;
        let base_offset = self.log.end().offset;
        let control: Vec<_> =
            records.iter().enumerate().map(|(i, record)| (base_offset.plus(i as i64), record.clone())).collect();
        let last_offset = base_offset.plus(records.len() as i64 - 1);
        self.note_append(&BatchSummary { base_offset, last_offset, epoch, control });
        self.out.push(Effect::AppendControlRecords { base_offset, epoch, records });
        self.leader_voters_changed();
        self.release_fetches();
        last_offset
    }

    /// The leader goes by the newest voters, committed or not.
    fn leader_voters_changed(&mut self) {
        let (voters, now) = (self.voters().clone(), self.now);
        if let Role::Leader(leader) = &mut self.role
            && !leader.leads(&voters)
        {
            leader.voters_changed(&voters, now);
        }
    }

    /// Leads no more; the others are told, so that they need not wait for a timeout.
    pub(crate) fn become_resigned(&mut self, election_deadline: Option<Duration>) {
        let Role::Leader(leader) = &self.role else { return };
        let successors = leader.successors();
        let local = self.settings.local.id;
        let unacknowledged = self.voters().ids().filter(|id| *id != local).collect();
        self.step_down();
        // The file still names this replica as leader; at the next start that only means "a new epoch".
        self.role = Role::Resigned(ResignedState { election_deadline, unacknowledged, successors });
        self.leader_endpoints.clear();
        self.connections.reset();
        let epoch = self.election.epoch;
        self.out.push(Effect::LeaderChanged { epoch, leader: None });
    }

    /// The controller can't go on: somebody else is to lead.
    pub(crate) fn resign(&mut self) {
        let deadline = self.election_deadline();
        self.become_resigned(Some(deadline));
    }

    /// The node stops: it stands for no election any more.
    pub(crate) fn stop(&mut self) {
        self.is_stopping = true;
        self.become_resigned(None);
    }
}

/// The record that states a level of `kraft.version`.
pub(crate) fn version_record(version: KraftVersion) -> KRaftVersionRecord {
    KRaftVersionRecord { version: 0, kraft_version: version.level(), ..Default::default() }
}
