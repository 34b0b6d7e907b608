//! AddRaftVoter and RemoveRaftVoter (KIP-853): one change at a time, and only after a record of this epoch is committed,
//! so that an earlier leader's change is either in this log or can't be committed any more.

use crate::messages::{endpoints_of, error_of};
use crate::settings::Address;
use crate::{
    CallId, ControlRecord, Destination, Effect, KraftVersion, KraftVersions, Raft, ReplicaKey, Request, RequestId,
    Response, Role, Voter, VoterSet,
};
use core::time::Duration;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{
    AddRaftVoterRequest, AddRaftVoterResponse, ApiVersionsResponse, RemoveRaftVoterRequest, RemoveRaftVoterResponse,
};
use ottla_types::Offset;

/// The feature whose levels a new voter must understand.
const KRAFT_VERSION_FEATURE: &str = "kraft.version";

/// A change of the voters that is under way at the leader.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct PendingChange {
    /// Who asked; nobody, once the answer is given.
    call: Option<CallId>,
    what: Change,
    /// Where the new voters stand in the log, once they do.
    offset: Option<Offset>,
    /// When whoever asked is told that it takes too long.
    pub(crate) deadline: Duration,
}

#[derive(Clone, PartialEq, Debug)]
enum Change {
    /// A voter comes, once it has said what it understands.
    Add { voter: Voter, asked: RequestId, ack_when_committed: bool },
    /// A voter goes.
    Remove,
}

/// Why voters can't be changed, with a sentence for the administrator.
pub(crate) type Refusal = (ErrorCode, String);

fn refusal(error: ErrorCode, message: impl Into<String>) -> Refusal {
    (error, message.into())
}

impl Raft {
    pub(crate) fn handle_add_voter(&mut self, call: CallId, request: &AddRaftVoterRequest) {
        if let Err((error, message)) = self.begin_adding(call, request) {
            self.reply_to_change(call, true, error, message);
        }
    }

    fn begin_adding(&mut self, call: CallId, request: &AddRaftVoterRequest) -> Result<(), Refusal> {
        self.check_change(request.cluster_id.as_deref())?;
        let key = ReplicaKey::from_wire(request.voter_id, request.voter_directory_id);
        if request.voter_id < 0 || key.directory.is_none() {
            return Err(refusal(ErrorCode::InvalidRequest, "The request names no voter with its directory."));
        }
        let voter = Voter::new(key, endpoints_of(&request.listeners));
        let Some(address) = crate::voters::address_on(&voter.endpoints, &self.settings.listener) else {
            let message = format!("The request has no endpoint for the listener {}.", self.settings.listener);
            return Err(refusal(ErrorCode::InvalidRequest, message));
        };
        let voters = self.changeable_voters("adding")?;
        if voters.get(key.id).is_some() {
            let message = format!("A voter with the id {} is there already; remove it first.", key.id);
            return Err(refusal(ErrorCode::DuplicateVoter, message));
        }
        let asked = self.ask_new_voter(&key, address)?;
        let change = Change::Add { voter, asked, ack_when_committed: request.ack_when_committed };
        self.set_pending(call, change, None);
        Ok(())
    }

    /// Asks what the new voter understands; that also shows that it is reached.
    fn ask_new_voter(&mut self, key: &ReplicaKey, address: Address) -> Result<RequestId, Refusal> {
        let is_sent = self.send(Destination { id: key.id, address }, Request::ApiVersions);
        let sent = self.out.last().filter(|_| is_sent);
        match sent {
            Some(Effect::Send { request, .. }) => Ok(*request),
            _ => Err(refusal(ErrorCode::RequestTimedOut, format!("The new voter {key} can't be asked at the moment."))),
        }
    }

    /// What any change needs: the right cluster, and the leader.
    fn check_change(&self, cluster_id: Option<&str>) -> Result<(), Refusal> {
        if !self.is_of_this_cluster(cluster_id) {
            let message = format!("The cluster's id is \"{}\", not the one in the request.", self.settings.cluster_id);
            return Err(refusal(ErrorCode::InconsistentClusterId, message));
        }
        match self.check_leader_request(self.election.epoch) {
            // Apache Kafka says no more than the code, either.
            Some(error) => Err(refusal(error, "")),
            None => Ok(()),
        }
    }

    /// The voters, if the leader may change them now. `change` says how, as Apache Kafka's administrators read it.
    fn changeable_voters(&self, change: &str) -> Result<VoterSet, Refusal> {
        let Role::Leader(leader) = &self.role else {
            return Err(refusal(ErrorCode::NotLeaderOrFollower, ErrorCode::NotLeaderOrFollower.message()));
        };
        let late = |message: &str| Err(refusal(ErrorCode::RequestTimedOut, message));
        if leader.pending.is_some() {
            return late("Another change of the voters is under way; try again later.");
        }
        let Some(high_watermark) = leader.high_watermark() else {
            return late("The leader has not committed a record of its epoch yet; try again later.");
        };
        if self.kraft_version() == KraftVersion::Static {
            let message = format!("Cluster doesn't support {change} voter because the kraft.version feature is 0");
            return Err(refusal(ErrorCode::UnsupportedVersion, message));
        }
        match self.log.voters_entry() {
            Some((offset, voters)) if offset < high_watermark => Ok(voters.clone()),
            _ => late("The last change of the voters is not committed yet; try again later."),
        }
    }

    fn set_pending(&mut self, call: CallId, what: Change, offset: Option<Offset>) {
        let deadline = self.after(self.settings.timeouts.request);
        if let Role::Leader(leader) = &mut self.role {
            leader.pending = Some(PendingChange { call: Some(call), what, offset, deadline });
        }
    }

    /// The new voter has said what it understands: if all is well, it becomes one now.
    pub(crate) fn handle_api_versions_answer(&mut self, request: RequestId, response: &ApiVersionsResponse) -> bool {
        let Role::Leader(leader) = &mut self.role else { return true };
        let Some(mut pending) = leader.pending.take() else { return true };
        let Change::Add { voter, asked, ack_when_committed } = pending.what.clone() else {
            leader.pending = Some(pending);
            return true;
        };
        if asked != request || pending.offset.is_some() {
            leader.pending = Some(pending);
            return true;
        }
        match self.check_new_voter(voter, response) {
            Err((error, message)) => {
                let is_reached = error_of(response.error_code) == ErrorCode::None;
                self.finish_change(&mut pending, error, message);
                is_reached
            }
            Ok(voters) => {
                pending.offset = Some(self.append_control(vec![ControlRecord::Voters(voters.to_record())]));
                if !ack_when_committed {
                    self.finish_change(&mut pending, ErrorCode::None, String::new());
                }
                if let Role::Leader(leader) = &mut self.role {
                    leader.pending = Some(pending);
                }
                self.recount();
                true
            }
        }
    }

    fn check_new_voter(&self, mut voter: Voter, response: &ApiVersionsResponse) -> Result<VoterSet, Refusal> {
        let key = voter.key;
        let error = error_of(response.error_code);
        if error != ErrorCode::None {
            let message = format!("The new voter {key} can't be asked for its versions: {}", error.message());
            return Err(refusal(ErrorCode::RequestTimedOut, message));
        }
        let feature = response.supported_features.iter().find(|feature| feature.name == KRAFT_VERSION_FEATURE);
        let versions = feature.map_or(KraftVersions { min: 0, max: 0 }, |feature| KraftVersions {
            min: feature.min_version,
            max: feature.max_version,
        });
        if !versions.contains(self.kraft_version()) {
            let message =
                format!("The new voter {key} does not understand kraft.version {}.", self.kraft_version().level());
            return Err(refusal(ErrorCode::InvalidRequest, message));
        }
        let is_caught_up = matches!(&self.role, Role::Leader(leader) if leader.is_caught_up(&key, self.now));
        if !is_caught_up {
            // As a voter it would hold up the high watermark.
            let message = format!("The new voter {key} has not caught up with the leader's log.");
            return Err(refusal(ErrorCode::RequestTimedOut, message));
        }
        voter.kraft_versions = versions;
        let message = format!("A voter with the id {} is there already.", key.id);
        self.voters().with(voter).ok_or_else(|| refusal(ErrorCode::DuplicateVoter, message))
    }

    /// The question to a new voter got no answer.
    pub(crate) fn change_request_failed(&mut self, request: RequestId) {
        let Role::Leader(leader) = &mut self.role else { return };
        let is_meant = leader.pending.as_ref().is_some_and(
            |pending| matches!(&pending.what, Change::Add { asked, .. } if *asked == request && pending.offset.is_none()),
        );
        if let Some(mut pending) = leader.pending.take_if(|_| is_meant) {
            let message = "The new voter does not answer.".to_owned();
            self.finish_change(&mut pending, ErrorCode::RequestTimedOut, message);
        }
    }

    pub(crate) fn handle_remove_voter(&mut self, call: CallId, request: &RemoveRaftVoterRequest) {
        if let Err((error, message)) = self.begin_removing(call, request) {
            self.reply_to_change(call, false, error, message);
        }
    }

    fn begin_removing(&mut self, call: CallId, request: &RemoveRaftVoterRequest) -> Result<(), Refusal> {
        self.check_change(request.cluster_id.as_deref())?;
        let key = ReplicaKey::from_wire(request.voter_id, request.voter_directory_id);
        if request.voter_id < 0 || key.directory.is_none() {
            return Err(refusal(ErrorCode::InvalidRequest, "The request names no voter with its directory."));
        }
        let voters = self.changeable_voters("removing")?;
        let Some(fewer) = voters.without(&key) else {
            let message = format!("{key} is not a voter, or is the only one.");
            return Err(refusal(ErrorCode::VoterNotFound, message));
        };
        let offset = self.append_control(vec![ControlRecord::Voters(fewer.to_record())]);
        self.set_pending(call, Change::Remove, Some(offset));
        self.recount();
        Ok(())
    }

    /// With fewer voters, a majority may have more.
    pub(crate) fn recount(&mut self) {
        if let Role::Leader(leader) = &mut self.role
            && let Some(high_watermark) = leader.advance()
        {
            self.leader_committed(high_watermark);
        }
    }

    /// The high watermark has moved: a change may be done, and this leader no voter any more.
    pub(crate) fn change_committed(&mut self, high_watermark: Offset) {
        let is_voter = self.is_voter();
        let are_committed = self.log.voters_entry().is_some_and(|(offset, _)| offset < high_watermark);
        let Role::Leader(leader) = &mut self.role else { return };
        if are_committed && !is_voter {
            leader.resign_requested = true;
        }
        let is_done = |pending: &mut PendingChange| pending.offset.is_some_and(|offset| offset < high_watermark);
        if let Some(mut pending) = leader.pending.take_if(is_done) {
            self.finish_change(&mut pending, ErrorCode::None, String::new());
        }
    }

    pub(crate) fn expire_change(&mut self) {
        let now = self.now;
        let Role::Leader(leader) = &mut self.role else { return };
        if let Some(mut pending) = leader.pending.take_if(|pending| pending.deadline <= now) {
            let message = "The change of the voters takes too long; it may still come to pass.".to_owned();
            self.finish_change(&mut pending, ErrorCode::RequestTimedOut, message);
        }
    }

    /// This replica leads no more; whether the change comes to pass is another leader's matter.
    pub(crate) fn abort_change(&mut self, mut pending: PendingChange) {
        let error = ErrorCode::NotLeaderOrFollower;
        self.finish_change(&mut pending, error, error.message().to_owned());
    }

    fn finish_change(&mut self, pending: &mut PendingChange, error: ErrorCode, message: String) {
        if let Some(call) = pending.call.take() {
            self.reply_to_change(call, matches!(pending.what, Change::Add { .. }), error, message);
        }
    }

    fn reply_to_change(&mut self, call: CallId, is_add: bool, error: ErrorCode, message: String) {
        let error_code = error.code();
        let error_message = (error != ErrorCode::None).then_some(message);
        let response = if is_add {
            Response::AddRaftVoter(AddRaftVoterResponse { error_code, error_message, ..Default::default() })
        } else {
            Response::RemoveRaftVoter(RemoveRaftVoterResponse { error_code, error_message, ..Default::default() })
        };
        self.out.push(Effect::Reply { call, response });
    }
}
