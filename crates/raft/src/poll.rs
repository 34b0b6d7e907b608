//! What is done because of the time, and when it is next.

use crate::role::ResignedState;
use crate::settings::{Address, Membership};
use crate::{Destination, Effect, KraftVersion, Raft, ReplicaKey, Request, Role};
use core::time::Duration;
use ottla_types::{NodeId, Offset};

/// More roles than this in one step would be a circle. The longest way is from a lost leadership to the next one of the
/// only voter left.
const TRANSITIONS_MAX: usize = 6;

impl Raft {
    /// When the replica must be called with [`crate::Event::Tick`] if nothing else happens until then.
    pub fn next_deadline(&self) -> Option<Duration> {
        let mut deadlines = vec![self.connections.next_free(), self.parked.iter().map(|fetch| fetch.deadline).min()];
        let is_voter = self.stands_for_election();
        match &self.role {
            Role::Unattached { election_deadline } => deadlines.push(Some(*election_deadline).filter(|_| is_voter)),
            Role::Prospective(nomination) | Role::Candidate(nomination) => deadlines.push(Some(nomination.deadline)),
            Role::Follower(follower) => {
                deadlines.push(Some(follower.fetch_deadline).filter(|_| is_voter));
                // While something is under way to the leader, that decides when it is asked again.
                let may_update = self.wants_voter_update() && self.connections.is_ready(follower.leader);
                deadlines.push(Some(follower.update_deadline).filter(|_| may_update));
            }
            Role::Leader(leader) => {
                deadlines.push(Some(leader.check_quorum_deadline).filter(|_| leader.needs_followers()));
                deadlines.push(Some(leader.begin_epoch_deadline).filter(|_| leader.needs_followers()));
                deadlines.push(leader.pending.as_ref().map(|pending| pending.deadline));
            }
            Role::Resigned(resigned) => deadlines.push(resigned.election_deadline),
        }
        deadlines.into_iter().flatten().min()
    }

    /// Does what is due: changes roles until none is due any more, then sends what this role sends.
    pub(crate) fn poll(&mut self) {
        let silent = self.connections.expire(self.now);
        self.note_silent(&silent);
        self.expire_parked_fetches();
        for _ in 0..TRANSITIONS_MAX {
            if !self.change_role_if_due() {
                break;
            }
        }
        self.send_what_is_due();
    }

    /// Whether this replica stands for election when it knows of no leader. One that was a voter before the last change of
    /// the voters, and does not know that this change is committed, must: the change may be in no other log, and then
    /// nobody else can be elected. It does not count itself then, and leads no longer than until the change is committed.
    fn stands_for_election(&self) -> bool {
        !self.is_stopping && self.installing.is_none() && (self.is_voter() || self.was_voter_until_now())
    }

    fn was_voter_until_now(&self) -> bool {
        let is_committed = |offset: Offset| self.committed.is_some_and(|committed| offset < committed);
        match self.log.voters_entry() {
            Some((offset, _)) if offset >= Offset(0) && !is_committed(offset) => {
                let before = self.log.voters_below(offset).unwrap_or(&self.settings.static_voters);
                before.is_voter(&self.settings.local)
            }
            _ => false,
        }
    }

    /// Whether the time has brought another role.
    fn change_role_if_due(&mut self) -> bool {
        let now = self.now;
        let is_voter = self.stands_for_election();
        match &self.role {
            Role::Unattached { election_deadline } if is_voter && *election_deadline <= now => {
                self.become_prospective()
            }
            Role::Follower(follower) if is_voter && follower.fetch_deadline <= now => self.become_prospective(),
            Role::Prospective(nomination) if nomination.deadline <= now || nomination.is_rejected() => {
                self.give_up_prospect();
            }
            Role::Candidate(nomination) if nomination.deadline <= now => self.become_prospective(),
            Role::Leader(leader) => {
                let is_alone = leader.needs_followers() && leader.check_quorum_deadline <= now;
                if !is_alone && !leader.resign_requested {
                    return false;
                }
                let deadline = self.election_deadline();
                self.become_resigned(Some(deadline));
            }
            Role::Resigned(ResignedState { election_deadline: Some(deadline), .. }) if *deadline <= now => {
                // In the old epoch this replica would still be taken for the leader.
                let Some(epoch) = self.next_epoch() else { return false };
                self.become_unattached(epoch, None);
            }
            _ => return false,
        }
        true
    }

    /// The others would not elect this replica: it goes back to the leader it had, or waits for one.
    fn give_up_prospect(&mut self) {
        let epoch = self.election.epoch;
        match self.election.leader.filter(|_| !self.leader_endpoints.is_empty()) {
            Some(leader) => {
                let endpoints = self.leader_endpoints.clone();
                self.become_follower(epoch, leader, endpoints);
            }
            None => self.become_unattached(epoch, self.election.leader),
        }
    }

    fn send_what_is_due(&mut self) {
        match &self.role {
            Role::Unattached { .. } => self.ask_any_bootstrap_server(),
            Role::Follower(_) => self.send_as_follower(),
            Role::Prospective(_) | Role::Candidate(_) => self.ask_for_votes(),
            Role::Leader(_) => self.send_as_leader(),
            Role::Resigned(_) => self.send_end_of_epoch(),
        }
    }

    fn send_as_leader(&mut self) {
        self.expire_change();
        let now = self.now;
        let half = self.settings.timeouts.fetch / 2;
        let Role::Leader(leader) = &mut self.role else { return };
        if leader.begin_epoch_deadline > now {
            return;
        }
        leader.begin_epoch_deadline = now.saturating_add(half.max(Duration::from_millis(1)));
        for voter in leader.silent_voters(now, half) {
            let request = self.begin_epoch_request(&voter);
            self.send_to_voter(&voter, Request::BeginQuorumEpoch(request));
        }
    }

    fn send_end_of_epoch(&mut self) {
        let Role::Resigned(resigned) = &self.role else { return };
        let unacknowledged: Vec<NodeId> = resigned.unacknowledged.iter().copied().collect();
        for id in unacknowledged {
            let request = self.end_epoch_request();
            self.send_to_voter(&ReplicaKey { id, directory: None }, Request::EndQuorumEpoch(request));
        }
    }

    fn send_as_follower(&mut self) {
        let Role::Follower(follower) = &self.role else { return };
        if follower.update_deadline <= self.now && self.wants_voter_update() {
            let is_sent = match self.voter_update() {
                Some(request) => self.send_to_leader(request),
                None => false,
            };
            // A leader that can't be asked now is asked as soon as it can.
            if is_sent || self.voter_update().is_none() {
                self.postpone_voter_update();
            }
            if is_sent {
                return;
            }
        }
        self.fetch_as_follower();
    }

    pub(crate) fn postpone_voter_update(&mut self) {
        let deadline = self.after(self.settings.timeouts.fetch);
        if let Role::Follower(follower) = &mut self.role {
            follower.update_deadline = deadline;
        }
    }

    /// Whether this follower looks now and then whether it stands among the voters as it should.
    fn wants_voter_update(&self) -> bool {
        match self.settings.membership {
            Membership::Observer => false,
            Membership::Voter => self.is_voter(),
            Membership::AutoJoin => self.is_voter() || self.kraft_version() == KraftVersion::Dynamic,
        }
    }

    /// Sends to a voter where the voters say that it is reached, unless something is under way there.
    pub(crate) fn send_to_voter(&mut self, voter: &ReplicaKey, message: Request) {
        let found = self.voters().get(voter.id);
        let address = found.and_then(|found| crate::voters::address_on(&found.endpoints, &self.settings.listener));
        if let Some(address) = address {
            self.send(Destination { id: voter.id, address }, message);
        }
    }

    /// Sends to the leader. Returns whether it was sent.
    pub(crate) fn send_to_leader(&mut self, message: Request) -> bool {
        let Role::Follower(follower) = &self.role else { return false };
        let id = follower.leader;
        match crate::voters::address_on(&self.leader_endpoints, &self.settings.listener) {
            Some(address) => self.send(Destination { id, address }, message),
            None => false,
        }
    }

    /// Sends, unless something is under way there. Returns whether it was sent.
    pub(crate) fn send(&mut self, to: Destination, message: Request) -> bool {
        if !self.connections.is_ready(to.id) {
            return false;
        }
        let until = self.after(self.settings.timeouts.request);
        let request = self.connections.ask(to.id, until);
        self.out.push(Effect::Send { to, request, message });
        true
    }

    /// Asks one of the bootstrap servers who leads, by a fetch, unless anything is under way.
    pub(crate) fn ask_any_bootstrap_server(&mut self) {
        if self.connections.is_anything_asked() || !self.may_fetch() {
            return;
        }
        let mut servers = self.bootstrap_servers();
        let ready = |connections: &crate::connections::Connections, to: &Destination| connections.is_ready(to.id);
        servers.retain(|server| ready(&self.connections, server));
        let chosen = self.jitter.below(servers.len() as u64);
        if let Some(server) = usize::try_from(chosen).ok().and_then(|i| servers.get(i)).cloned() {
            let request = self.fetch_request();
            self.send(server, Request::Fetch(request));
        }
    }

    /// Whom to ask: the configured servers, under ids that no node has, or else the voters. Not this replica itself.
    fn bootstrap_servers(&self) -> Vec<Destination> {
        let listener = &self.settings.listener;
        let own = crate::voters::address_on(&self.settings.endpoints, listener);
        let configured = self.settings.bootstrap_servers.iter().enumerate();
        let id = |i: usize| NodeId(-2 - i32::try_from(i).unwrap_or(i32::MAX - 2));
        let configured = configured.map(|(i, address)| Destination { id: id(i), address: address.clone() });
        let voters = self.voters().iter().filter(|voter| voter.key.id != self.settings.local.id).filter_map(|voter| {
            let address: Address = crate::voters::address_on(&voter.endpoints, listener)?;
            Some(Destination { id: voter.key.id, address })
        });
        let servers: Vec<_> =
            if self.settings.bootstrap_servers.is_empty() { voters.collect() } else { configured.collect() };
        servers.into_iter().filter(|server| own.as_ref() != Some(&server.address)).collect()
    }
}
