//! Answers to this replica's own requests, and what any message says about who leads.

use crate::messages::LeaderClaim;
use crate::{ControllerEndpoint, Effect, Fault, Raft, RequestId, Response, Role, SendFailure};
use core::time::Duration;
use ottla_protocol::ErrorCode;
use ottla_types::NodeId;

/// How long a voter waits at least, and by how much more at most, before it stands for the place of a leader whose process is
/// gone: as long as others may take longer to find that out.
const DEATH_WAIT: Duration = Duration::from_millis(30);
const DEATH_SPREAD: Duration = Duration::from_millis(60);

/// How long a candidate that has lost waits at least, and by how much more at most, before it asks again whether it could.
const LOST_WAIT: Duration = Duration::from_millis(50);
const LOST_SPREAD: Duration = Duration::from_millis(200);

impl Raft {
    /// An answer came. One that is not waited for any more, because the role has changed or another request took its
    /// place, says nothing.
    pub(crate) fn answered(&mut self, request: RequestId, response: Response) {
        let Some(from) = self.connections.asked(request) else { return };
        self.connections.note_reached(from, true);
        let is_fine = match response {
            Response::Vote(response) => self.handle_vote_answer(from, &response),
            Response::BeginQuorumEpoch(response) => self.handle_begin_epoch_answer(from, &response),
            Response::EndQuorumEpoch(response) => self.handle_end_epoch_answer(from, &response),
            Response::Fetch(response, batches) => self.handle_fetch_answer(from, &response, &batches),
            Response::FetchSnapshot(response) => self.handle_fetch_snapshot_answer(from, &response),
            Response::AddRaftVoter(response) => self.handle_join_answer(response.error_code),
            Response::RemoveRaftVoter(response) => self.handle_join_answer(response.error_code),
            Response::UpdateRaftVoter(response) => self.handle_update_voter_answer(from, &response),
            Response::ApiVersions(response) => self.handle_api_versions_answer(request, &response),
        };
        self.finish(request, from, is_fine);
    }

    /// No answer will come.
    pub(crate) fn send_failed(&mut self, request: RequestId, failure: SendFailure) {
        let Some(from) = self.connections.asked(request) else { return };
        self.change_request_failed(request);
        if matches!(failure, SendFailure::Refused | SendFailure::Silent) {
            self.connections.note_reached(from, false);
            self.note_dead(from);
            self.note_no_vote(from);
        }
        let is_fine = failure == SendFailure::UnsupportedVersion && self.vote_is_unsupported();
        self.finish(request, from, is_fine);
    }

    /// Frees the connection, at once or after a while, unless a new role has done so already.
    fn finish(&mut self, request: RequestId, from: NodeId, is_fine: bool) {
        if self.connections.asked(request).is_none() {
            return;
        }
        if is_fine {
            self.connections.answered(from);
        } else {
            let until = self.after(self.settings.timeouts.retry_backoff);
            self.connections.back_off(from, until);
        }
    }

    /// Requests that got no answer in time.
    pub(crate) fn note_silent(&mut self, silent: &[NodeId]) {
        if let Role::Follower(follower) = &mut self.role
            && silent.contains(&follower.leader)
        {
            follower.ask_others = true;
        }
    }

    /// A replica's process is not there, or not to be reached. If it leads, this one need not wait until it has heard nothing for long: it says yes to
    /// others that ask whether they could win, and soon asks that itself. The wait is short and of chance, so that the others have
    /// found out too and one of them is the first.
    fn note_dead(&mut self, id: NodeId) {
        let spread = u64::try_from(DEATH_SPREAD.as_millis()).unwrap_or(u64::MAX);
        let wait = DEATH_WAIT.saturating_add(Duration::from_millis(self.jitter.below(spread)));
        let deadline = self.now.saturating_add(wait);
        if let Role::Follower(follower) = &mut self.role
            && follower.leader == id
        {
            follower.has_fetched = false;
            follower.ask_others = true;
            follower.fetch_deadline = follower.fetch_deadline.min(deadline);
        }
    }

    /// A voter is not there to vote. With it an election may be lost.
    fn note_no_vote(&mut self, id: NodeId) {
        if let Role::Prospective(nomination) | Role::Candidate(nomination) = &mut self.role {
            nomination.not_reached(id);
        }
        self.shorten_lost_election();
    }

    /// Who can't win does not wait for the end of its election: others may have lost it too by standing at the same time, or have
    /// found out only now that there is no leader. The wait is of chance, so that they don't do so again.
    pub(crate) fn shorten_lost_election(&mut self) {
        let spread = u64::try_from(LOST_SPREAD.as_millis()).unwrap_or(u64::MAX);
        let wait = LOST_WAIT.saturating_add(Duration::from_millis(self.jitter.below(spread)));
        let deadline = self.now.saturating_add(wait);
        if let Role::Prospective(nomination) | Role::Candidate(nomination) = &mut self.role
            && nomination.is_as_good_as_lost()
        {
            nomination.deadline = nomination.deadline.min(deadline);
        }
    }

    /// What all answers have in common: the epoch and the leader that the other side knows. `None` if the answer is to be
    /// looked at further; else whether the other side may be asked again at once.
    pub(crate) fn take_claim(&mut self, from: NodeId, error: ErrorCode, claim: LeaderClaim) -> Option<bool> {
        let epoch = self.election.epoch;
        let is_stale = matches!(error, ErrorCode::FencedLeaderEpoch | ErrorCode::NotLeaderOrFollower);
        if claim.epoch < epoch || error == ErrorCode::UnknownLeaderEpoch {
            // The other side will learn of the newer epoch.
            return Some(error == ErrorCode::None);
        }
        if claim.epoch > epoch || is_stale {
            self.believe(claim);
            return Some(false);
        }
        // A replica that starts may know from its file who leads, and not where.
        let is_found = claim.leader.is_some_and(|leader| {
            let is_reached = !claim.endpoints.is_empty() && leader != self.settings.local.id;
            self.election.leader.is_none() || (self.leader_endpoints.is_empty() && is_reached)
        });
        if is_found {
            // One that finds the leader by asking it has its answer already.
            let is_believed = self.believe(claim);
            return if is_believed && error == ErrorCode::None { None } else { Some(false) };
        }
        match error {
            ErrorCode::BrokerNotAvailable | ErrorCode::InvalidVoterKey => Some(false),
            ErrorCode::InvalidRequest => {
                self.out.push(Effect::Fault(Fault::CalledInvalid { from }));
                Some(false)
            }
            _ => None,
        }
    }

    /// Takes over what somebody knows of epoch and leader, if it is news. Returns false, and changes nothing, if it
    /// contradicts what is known for sure.
    pub(crate) fn believe(&mut self, claim: LeaderClaim) -> bool {
        let LeaderClaim { epoch, leader, endpoints, is_told } = claim;
        let (own_epoch, known) = (self.election.epoch, self.election.leader);
        let Some(leader) = leader else {
            if epoch > own_epoch {
                self.become_unattached(epoch, None);
            }
            return true;
        };
        if epoch < own_epoch {
            return true;
        }
        let is_news = epoch > own_epoch || known.is_none();
        if !is_news && known != Some(leader) {
            self.out.push(Effect::Fault(Fault::TwoLeaders { epoch, known, claimed: leader }));
            return false;
        }
        if leader == self.settings.local.id {
            // A replica that has lost its files is told what it was. It must not vote in that epoch.
            if is_news {
                self.become_unattached(epoch, Some(leader));
            }
        } else if is_news || (self.leader_endpoints.is_empty() && !endpoints.is_empty()) {
            self.become_follower(epoch, leader, endpoints);
        } else if is_told && !self.is_leader() {
            self.learn_endpoints(endpoints);
        }
        true
    }

    /// A leader that has moved is found by asking others, and then followed where it is now.
    fn learn_endpoints(&mut self, told: Vec<ControllerEndpoint>) {
        for endpoint in told {
            let known = self.leader_endpoints.iter_mut().find(|known| known.name.eq_ignore_ascii_case(&endpoint.name));
            match known {
                Some(known) => *known = endpoint,
                None => self.leader_endpoints.push(endpoint),
            }
        }
    }
}
