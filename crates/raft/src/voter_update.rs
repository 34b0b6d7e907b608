//! UpdateRaftVoter, by which a voter says what it is, and the requests by which a controller makes itself a voter.

use crate::messages::{endpoints_of, error_of};
use crate::settings::Membership;
use crate::{ControlRecord, KraftVersion, KraftVersions, Raft, ReplicaKey, Request, Role, Voter};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{
    AddRaftVoterRequest, RemoveRaftVoterRequest, UpdateRaftVoterRequest, UpdateRaftVoterResponse,
    update_raft_voter_request, update_raft_voter_response,
};
use ottla_types::{LeaderEpoch, NodeId};

impl Raft {
    /// What a follower has to say to its leader about itself, if anything.
    pub(crate) fn voter_update(&self) -> Option<Request> {
        let Role::Follower(follower) = &self.role else { return None };
        let local = self.settings.local_voter();
        if self.is_voter() {
            // With static voters, a leader knows of directories and endpoints only what it is told in its epoch.
            let is_due = match self.kraft_version() {
                KraftVersion::Static => !follower.has_updated_leader,
                KraftVersion::Dynamic => self.voters().needs_update(&local),
            };
            return is_due.then(|| Request::UpdateRaftVoter(self.update_voter_request()));
        }
        if self.settings.membership != Membership::AutoJoin || self.kraft_version() == KraftVersion::Static {
            return None;
        }
        // An earlier directory of this node has to make room first.
        Some(match self.voters().get(local.key.id) {
            Some(earlier) => Request::RemoveRaftVoter(RemoveRaftVoterRequest {
                cluster_id: Some(self.settings.cluster_id.clone()),
                voter_id: earlier.key.id.0,
                voter_directory_id: earlier.key.wire_directory(),
                ..Default::default()
            }),
            None => Request::AddRaftVoter(self.join_request()),
        })
    }

    /// The answer comes as soon as the change is in the leader's log: until it is committed, this replica may be needed.
    fn join_request(&self) -> AddRaftVoterRequest {
        AddRaftVoterRequest {
            cluster_id: Some(self.settings.cluster_id.clone()),
            timeout_ms: i32::try_from(self.settings.timeouts.request.as_millis()).unwrap_or(i32::MAX),
            voter_id: self.settings.local.id.0,
            voter_directory_id: self.settings.local.wire_directory(),
            listeners: self.settings.endpoints.iter().map(Into::into).collect(),
            ack_when_committed: false,
            ..Default::default()
        }
    }

    fn update_voter_request(&self) -> UpdateRaftVoterRequest {
        UpdateRaftVoterRequest {
            cluster_id: Some(self.settings.cluster_id.clone()),
            current_leader_epoch: self.election.epoch.0,
            voter_id: self.settings.local.id.0,
            voter_directory_id: self.settings.local.wire_directory(),
            listeners: self.settings.endpoints.iter().map(Into::into).collect(),
            kraft_version_feature: update_raft_voter_request::KRaftVersionFeature {
                min_supported_version: KraftVersions::SUPPORTED.min,
                max_supported_version: KraftVersions::SUPPORTED.max,
                ..Default::default()
            },
            ..Default::default()
        }
    }

    pub(crate) fn handle_update_voter(
        &mut self,
        listener: &str,
        request: &UpdateRaftVoterRequest,
    ) -> UpdateRaftVoterResponse {
        let error = self.update_voter(request).err().unwrap_or(ErrorCode::None);
        let address = crate::voters::address_on(&self.leader_endpoints, listener).filter(|_| self.leader().is_some());
        let (host, port) = address.map_or((String::new(), 0), |address| (address.host, address.port));
        UpdateRaftVoterResponse {
            error_code: error.code(),
            current_leader: update_raft_voter_response::CurrentLeader {
                leader_id: self.wire_leader(),
                leader_epoch: self.election.epoch.0,
                host,
                port: port.into(),
                ..Default::default()
            },
            ..Default::default()
        }
    }

    fn update_voter(&mut self, request: &UpdateRaftVoterRequest) -> Result<(), ErrorCode> {
        if !self.is_of_this_cluster(request.cluster_id.as_deref()) {
            return Err(ErrorCode::InconsistentClusterId);
        }
        if let Some(error) = self.check_leader_request(LeaderEpoch(request.current_leader_epoch)) {
            return Err(error);
        }
        let key = ReplicaKey::from_wire(request.voter_id, request.voter_directory_id);
        let told = &request.kraft_version_feature;
        let versions = KraftVersions { min: told.min_supported_version, max: told.max_supported_version };
        let voter = Voter { key, endpoints: endpoints_of(&request.listeners), kraft_versions: versions };
        let is_reached = crate::voters::address_on(&voter.endpoints, &self.settings.listener).is_some();
        let is_valid = key.id >= NodeId(0) && key.directory.is_some() && is_reached;
        if !is_valid || versions.min < 0 || versions.max < versions.min {
            return Err(ErrorCode::InvalidRequest);
        }
        self.store_update(voter)?;
        let now = self.now;
        if let Role::Leader(leader) = &mut self.role {
            leader.is_followed_by(&key, now);
        }
        Ok(())
    }

    /// With dynamic voters the log states the update; with static ones the leader keeps it in mind.
    fn store_update(&mut self, voter: Voter) -> Result<(), ErrorCode> {
        let version = self.kraft_version();
        let Role::Leader(leader) = &mut self.role else { return Err(ErrorCode::NotLeaderOrFollower) };
        let Some(high_watermark) = leader.high_watermark().filter(|_| leader.pending.is_none()) else {
            return Err(ErrorCode::RequestTimedOut);
        };
        let is_understood = voter.kraft_versions.contains(version);
        match version {
            KraftVersion::Static => {
                let known = leader.volatile_voters.as_ref().ok_or(ErrorCode::RequestTimedOut)?;
                if !is_understood {
                    return Err(ErrorCode::InvalidRequest);
                }
                leader.volatile_voters = Some(known.updated_by_id(voter).ok_or(ErrorCode::VoterNotFound)?);
            }
            KraftVersion::Dynamic => {
                let entry = self.log.voters_entry().filter(|(offset, _)| *offset < high_watermark);
                let (_, voters) = entry.ok_or(ErrorCode::RequestTimedOut)?;
                if !is_understood {
                    return Err(ErrorCode::InvalidRequest);
                }
                let updated = voters.updated(voter).ok_or(ErrorCode::VoterNotFound)?;
                self.append_control(vec![ControlRecord::Voters(updated.to_record())]);
            }
        }
        Ok(())
    }

    pub(crate) fn handle_update_voter_answer(&mut self, from: NodeId, response: &UpdateRaftVoterResponse) -> bool {
        let current = &response.current_leader;
        let error = error_of(response.error_code);
        let named = (!current.host.is_empty()).then(|| u16::try_from(current.port).ok()).flatten();
        let endpoint = named.map(|port| crate::ControllerEndpoint {
            name: self.settings.listener.clone(),
            host: current.host.clone(),
            port,
        });
        let claim = self.claim_of(current.leader_id, current.leader_epoch, endpoint.into_iter().collect());
        if let Some(done) = self.take_claim(from, error, claim) {
            return done;
        }
        // A leader that does not know how to be told of static voters will not learn it.
        let is_done = matches!(error, ErrorCode::None | ErrorCode::UnsupportedVersion);
        if is_done {
            self.leader_answered();
            if let Role::Follower(follower) = &mut self.role {
                follower.has_updated_leader = true;
            }
        }
        is_done
    }

    /// The leader has taken this replica among the voters, or an earlier one out, or will not now. Either way it is asked
    /// again after a while if need be; the voters in the log tell what came of it.
    pub(crate) fn handle_join_answer(&mut self, error_code: i16) -> bool {
        self.postpone_voter_update();
        let expected =
            [ErrorCode::None, ErrorCode::RequestTimedOut, ErrorCode::DuplicateVoter, ErrorCode::VoterNotFound];
        expected.contains(&error_of(error_code))
    }
}
