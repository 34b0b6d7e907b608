//! BeginQuorumEpoch, by which a leader makes itself known, and EndQuorumEpoch, by which it takes its leave.

use crate::messages::{METADATA_TOPIC, endpoints_of, error_of, metadata_partition};
use crate::{Raft, ReplicaKey, Role};
use core::time::Duration;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{
    BeginQuorumEpochRequest, BeginQuorumEpochResponse, EndQuorumEpochRequest, EndQuorumEpochResponse,
    begin_quorum_epoch_request, begin_quorum_epoch_response, end_quorum_epoch_request, end_quorum_epoch_response,
};
use ottla_types::NodeId;

/// The first version of an answer that can say where the leader is reached.
const ENDPOINTS_VERSION: i16 = 1;

impl Raft {
    pub(crate) fn begin_epoch_request(&self, voter: &ReplicaKey) -> BeginQuorumEpochRequest {
        let partition = begin_quorum_epoch_request::PartitionData {
            partition_index: 0,
            voter_directory_id: voter.wire_directory(),
            leader_id: self.settings.local.id.0,
            leader_epoch: self.election.epoch.0,
            ..Default::default()
        };
        let topic = begin_quorum_epoch_request::TopicData {
            topic_name: METADATA_TOPIC.to_owned(),
            partitions: vec![partition],
            ..Default::default()
        };
        BeginQuorumEpochRequest {
            cluster_id: Some(self.settings.cluster_id.clone()),
            voter_id: voter.id.0,
            topics: vec![topic],
            leader_endpoints: self.settings.endpoints.iter().map(Into::into).collect(),
            ..Default::default()
        }
    }

    pub(crate) fn end_epoch_request(&self) -> EndQuorumEpochRequest {
        let successors = match &self.role {
            Role::Resigned(resigned) => resigned.successors.as_slice(),
            _ => &[],
        };
        let candidate = |key: &ReplicaKey| end_quorum_epoch_request::ReplicaInfo {
            candidate_id: key.id.0,
            candidate_directory_id: key.wire_directory(),
            ..Default::default()
        };
        let partition = end_quorum_epoch_request::PartitionData {
            partition_index: 0,
            leader_id: self.settings.local.id.0,
            leader_epoch: self.election.epoch.0,
            preferred_successors: successors.iter().map(|key| key.id.0).collect(),
            preferred_candidates: successors.iter().map(candidate).collect(),
            ..Default::default()
        };
        let topic = end_quorum_epoch_request::TopicData {
            topic_name: METADATA_TOPIC.to_owned(),
            partitions: vec![partition],
            ..Default::default()
        };
        EndQuorumEpochRequest {
            cluster_id: Some(self.settings.cluster_id.clone()),
            topics: vec![topic],
            ..Default::default()
        }
    }

    pub(crate) fn handle_begin_epoch(
        &mut self,
        version: i16,
        listener: &str,
        request: &BeginQuorumEpochRequest,
    ) -> BeginQuorumEpochResponse {
        let refuse = |error: ErrorCode| BeginQuorumEpochResponse { error_code: error.code(), ..Default::default() };
        if !self.is_of_this_cluster(request.cluster_id.as_deref()) {
            return refuse(ErrorCode::InconsistentClusterId);
        }
        let Some(told) = metadata_partition!(request.topics, topic_name, partition_index) else {
            return refuse(ErrorCode::InvalidRequest);
        };
        let mut error = self.check_voter_request(told.leader_id, told.leader_epoch);
        if error.is_none() {
            let claim = self.claim_of(told.leader_id, told.leader_epoch, endpoints_of(&request.leader_endpoints));
            let is_believed = self.believe(claim);
            error = if !is_believed {
                Some(ErrorCode::InvalidRequest)
            } else if self.is_meant(request.voter_id, told.voter_directory_id) {
                None
            } else {
                Some(ErrorCode::InvalidVoterKey)
            };
        }
        let partition = begin_quorum_epoch_response::PartitionData {
            error_code: error.unwrap_or(ErrorCode::None).code(),
            leader_id: self.wire_leader(),
            leader_epoch: self.election.epoch.0,
            ..Default::default()
        };
        let topic = begin_quorum_epoch_response::TopicData {
            topic_name: METADATA_TOPIC.to_owned(),
            partitions: vec![partition],
            ..Default::default()
        };
        let node_endpoints = self.node_endpoints(listener, version >= ENDPOINTS_VERSION);
        BeginQuorumEpochResponse { topics: vec![topic], node_endpoints, ..Default::default() }
    }

    pub(crate) fn handle_end_epoch(
        &mut self,
        version: i16,
        listener: &str,
        request: &EndQuorumEpochRequest,
    ) -> EndQuorumEpochResponse {
        let refuse = |error: ErrorCode| EndQuorumEpochResponse { error_code: error.code(), ..Default::default() };
        if !self.is_of_this_cluster(request.cluster_id.as_deref()) {
            return refuse(ErrorCode::InconsistentClusterId);
        }
        let Some(told) = metadata_partition!(request.topics, topic_name, partition_index) else {
            return refuse(ErrorCode::InvalidRequest);
        };
        let mut error = self.check_voter_request(told.leader_id, told.leader_epoch);
        if error.is_none() {
            let claim = self.claim_of(told.leader_id, told.leader_epoch, endpoints_of(&request.leader_endpoints));
            if self.believe(claim) {
                self.leader_takes_leave(told);
            } else {
                error = Some(ErrorCode::InvalidRequest);
            }
        }
        let partition = end_quorum_epoch_response::PartitionData {
            error_code: error.unwrap_or(ErrorCode::None).code(),
            leader_id: self.wire_leader(),
            leader_epoch: self.election.epoch.0,
            ..Default::default()
        };
        let topic = end_quorum_epoch_response::TopicData {
            topic_name: METADATA_TOPIC.to_owned(),
            partitions: vec![partition],
            ..Default::default()
        };
        let node_endpoints = self.node_endpoints(listener, version >= ENDPOINTS_VERSION);
        EndQuorumEpochResponse { topics: vec![topic], node_endpoints, ..Default::default() }
    }

    /// The leader that is followed leads no more. Its list says who stands for election first; this replica waits the
    /// longer, the later it is named.
    fn leader_takes_leave(&mut self, told: &end_quorum_epoch_request::PartitionData) {
        // Version 0 names nodes only.
        let by_id = told.preferred_successors.iter().map(|id| ReplicaKey { id: NodeId(*id), directory: None });
        let candidates = told.preferred_candidates.iter();
        let candidates =
            candidates.map(|named| ReplicaKey::from_wire(named.candidate_id, named.candidate_directory_id));
        let order: Vec<ReplicaKey> =
            if told.preferred_candidates.is_empty() { by_id.collect() } else { candidates.collect() };
        let position = order.iter().position(|key| key.matches(&self.settings.local));
        let wait = succession_wait(self.settings.timeouts.election_backoff_max, position, order.len());
        let deadline = self.now.saturating_add(wait);
        if let Role::Follower(follower) = &mut self.role
            && follower.leader == NodeId(told.leader_id)
        {
            follower.fetch_deadline = deadline;
            // Nobody leads: another one that asks whether it could win is not told no.
            follower.has_fetched = false;
        }
    }

    pub(crate) fn handle_begin_epoch_answer(&mut self, from: NodeId, response: &BeginQuorumEpochResponse) -> bool {
        let partition = metadata_partition!(response.topics, topic_name, partition_index);
        let (ErrorCode::None, Some(partition)) = (error_of(response.error_code), partition) else { return false };
        let claim = self.claim(partition.leader_id, partition.leader_epoch, &response.node_endpoints);
        let error = error_of(partition.error_code);
        self.take_claim(from, error, claim).unwrap_or(error == ErrorCode::None)
    }

    pub(crate) fn handle_end_epoch_answer(&mut self, from: NodeId, response: &EndQuorumEpochResponse) -> bool {
        let partition = metadata_partition!(response.topics, topic_name, partition_index);
        let (ErrorCode::None, Some(partition)) = (error_of(response.error_code), partition) else { return false };
        let claim = self.claim(partition.leader_id, partition.leader_epoch, &response.node_endpoints);
        let error = error_of(partition.error_code);
        // It names the leader that this replica was: that is no news.
        let claim =
            crate::messages::LeaderClaim { leader: claim.leader.filter(|id| *id != self.settings.local.id), ..claim };
        if let Some(done) = self.take_claim(from, error, claim) {
            return done;
        }
        if let Role::Resigned(resigned) = &mut self.role {
            resigned.unacknowledged.remove(&from);
        }
        error == ErrorCode::None
    }
}

/// How long a successor waits: the first not at all, the last for half of `max`, those in between half as long as the one
/// behind them. Who is not named waits for `max`.
fn succession_wait(max: Duration, position: Option<usize>, named: usize) -> Duration {
    match position {
        Some(0) => Duration::ZERO,
        Some(position) if position < named => {
            let halvings = u32::try_from(named - position).unwrap_or(u32::MAX).min(31);
            max / (1 << halvings)
        }
        _ => max,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn successors_stand_for_election_one_after_another() {
        let max = Duration::from_millis(1_000);
        let waits = |position, named| succession_wait(max, position, named).as_millis();
        assert_eq!([waits(Some(0), 4), waits(Some(1), 4), waits(Some(2), 4), waits(Some(3), 4)], [0, 125, 250, 500]);
        assert_eq!((waits(None, 4), waits(None, 0), waits(Some(1), 2)), (1_000, 1_000, 500));
    }
}
