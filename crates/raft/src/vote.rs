//! Vote: asking for votes and giving them, in trial (KIP-996) and in earnest.

use crate::messages::{error_of, metadata_partition};
use crate::{ElectionState, OffsetAndEpoch, Raft, ReplicaKey, Request, Role};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{VoteRequest, VoteResponse, vote_request, vote_response};
use ottla_types::{LeaderEpoch, NodeId, Offset};

/// The first version of an answer that can say where the leader is reached.
const ENDPOINTS_VERSION: i16 = 1;

impl Raft {
    pub(crate) fn ask_for_votes(&mut self) {
        let (nomination, pre_vote) = match &self.role {
            Role::Prospective(nomination) => (nomination, true),
            Role::Candidate(nomination) => (nomination, false),
            _ => return,
        };
        // A lost election is waited out, so that its end does not collide with the next one.
        if nomination.is_rejected() {
            return;
        }
        for voter in nomination.open() {
            let request = self.vote_request(&voter, pre_vote);
            self.send_to_voter(&voter, Request::Vote(request));
        }
    }

    /// Only what is durable is claimed: a candidate that crashes may ask again in the same epoch, and who has voted for it
    /// says yes again without another look at its log.
    fn vote_request(&self, voter: &ReplicaKey, pre_vote: bool) -> VoteRequest {
        let end = self.log.durable_end();
        let partition = vote_request::PartitionData {
            partition_index: 0,
            replica_epoch: self.election.epoch.0,
            replica_id: self.settings.local.id.0,
            replica_directory_id: self.settings.local.wire_directory(),
            voter_directory_id: voter.wire_directory(),
            last_offset_epoch: end.epoch.0,
            last_offset: end.offset.0,
            pre_vote,
            ..Default::default()
        };
        let topic = vote_request::TopicData {
            topic_name: crate::messages::METADATA_TOPIC.to_owned(),
            partitions: vec![partition],
            ..Default::default()
        };
        VoteRequest {
            cluster_id: Some(self.settings.cluster_id.clone()),
            voter_id: voter.id.0,
            topics: vec![topic],
            ..Default::default()
        }
    }

    pub(crate) fn handle_vote(&mut self, version: i16, listener: &str, request: &VoteRequest) -> VoteResponse {
        let refuse = |error: ErrorCode| VoteResponse { error_code: error.code(), ..Default::default() };
        if !self.is_of_this_cluster(request.cluster_id.as_deref()) {
            return refuse(ErrorCode::InconsistentClusterId);
        }
        let Some(asked) = metadata_partition!(request.topics, topic_name, partition_index) else {
            return refuse(ErrorCode::InvalidRequest);
        };
        let result = self.decide_vote(request.voter_id, asked);
        let (error, is_granted) = match result {
            Ok(is_granted) => (ErrorCode::None, is_granted),
            Err(error) => (error, false),
        };
        let partition = vote_response::PartitionData {
            error_code: error.code(),
            leader_id: self.wire_leader(),
            leader_epoch: self.election.epoch.0,
            vote_granted: is_granted,
            ..Default::default()
        };
        let topic = vote_response::TopicData {
            topic_name: crate::messages::METADATA_TOPIC.to_owned(),
            partitions: vec![partition],
            ..Default::default()
        };
        let node_endpoints = self.node_endpoints(listener, version >= ENDPOINTS_VERSION);
        VoteResponse { topics: vec![topic], node_endpoints, ..Default::default() }
    }

    fn decide_vote(&mut self, voter_id: i32, asked: &vote_request::PartitionData) -> Result<bool, ErrorCode> {
        let (epoch, pre_vote) = (LeaderEpoch(asked.replica_epoch), asked.pre_vote);
        let end = OffsetAndEpoch { offset: Offset(asked.last_offset), epoch: LeaderEpoch(asked.last_offset_epoch) };
        // A candidate has opened its epoch, so nothing can have been written in it. One that only asks has not.
        let is_epoch_possible = if pre_vote { end.epoch <= epoch } else { end.epoch < epoch };
        if end.offset < Offset(0) || end.epoch < LeaderEpoch(0) || !is_epoch_possible {
            return Err(ErrorCode::InvalidRequest);
        }
        if let Some(error) = self.check_voter_request(asked.replica_id, asked.replica_epoch) {
            return Err(error);
        }
        if epoch > self.election.epoch {
            self.become_unattached(epoch, None);
        }
        if !self.is_meant(voter_id, asked.voter_directory_id) {
            return Err(ErrorCode::InvalidVoterKey);
        }
        let candidate = ReplicaKey::from_wire(asked.replica_id, asked.replica_directory_id);
        let is_granted = self.would_vote_for(&candidate, end.is_up_to_date_with(&self.log.end()), pre_vote);
        if is_granted && !pre_vote {
            self.vote_for(candidate);
        }
        Ok(is_granted)
    }

    fn would_vote_for(&self, candidate: &ReplicaKey, is_up_to_date: bool, pre_vote: bool) -> bool {
        match &self.role {
            Role::Leader(_) => false,
            // As long as the leader answers, nobody else is wanted.
            Role::Follower(follower) => pre_vote && !follower.has_fetched && is_up_to_date,
            Role::Candidate(_) | Role::Resigned(_) => pre_vote && is_up_to_date,
            Role::Unattached { .. } | Role::Prospective(_) if pre_vote => is_up_to_date,
            Role::Unattached { .. } | Role::Prospective(_) => match (self.election.voted, self.election.leader) {
                (Some(voted), _) => voted.matches(candidate),
                (None, Some(_)) => false,
                (None, None) => is_up_to_date && candidate.id != self.settings.local.id,
            },
        }
    }

    /// Gives the vote of this epoch. The candidate has as good a chance as this replica, which therefore waits anew.
    fn vote_for(&mut self, candidate: ReplicaKey) {
        if self.election.voted.is_some() {
            return;
        }
        let deadline = self.election_deadline();
        self.role = match self.role {
            Role::Prospective(_) => {
                Role::Prospective(crate::role::Nomination::new(&self.settings.local, self.voters(), deadline))
            }
            _ => Role::Unattached { election_deadline: deadline },
        };
        self.persist(ElectionState { voted: Some(candidate), ..self.election.clone() });
    }

    /// Takes an answer; returns whether the other side may be asked again at once.
    pub(crate) fn handle_vote_answer(&mut self, from: NodeId, response: &VoteResponse) -> bool {
        let error = error_of(response.error_code);
        if error == ErrorCode::UnsupportedVersion {
            return self.vote_is_unsupported();
        }
        let partition = metadata_partition!(response.topics, topic_name, partition_index);
        let (ErrorCode::None, Some(partition)) = (error, partition) else { return false };
        let claim = self.claim(partition.leader_id, partition.leader_epoch, &response.node_endpoints);
        let error = error_of(partition.error_code);
        if let Some(done) = self.take_claim(from, error, claim) {
            return done;
        }
        if error != ErrorCode::None {
            return false;
        }
        if let Role::Prospective(nomination) | Role::Candidate(nomination) = &mut self.role {
            nomination.record(from, partition.vote_granted);
        }
        self.maybe_become_candidate();
        self.maybe_become_leader();
        self.shorten_lost_election();
        true
    }

    /// A voter does not know trials: it can only be asked in earnest.
    pub(crate) fn vote_is_unsupported(&mut self) -> bool {
        let is_prospective = matches!(self.role, Role::Prospective(_));
        if is_prospective {
            self.become_candidate();
        }
        is_prospective
    }
}
