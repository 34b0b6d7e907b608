//! FetchSnapshot (KIP-630): a leader's answers, a follower's requests, and what follows when the last byte is there.

use crate::messages::{METADATA_TOPIC, error_of, only, snapshot_id};
use crate::role::SnapshotPart;
use crate::{CallId, Effect, KraftVersion, Raft, ReplicaKey, Response, Role, SnapshotId, VoterSet};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{
    FetchSnapshotRequest, FetchSnapshotResponse, fetch_snapshot_request, fetch_snapshot_response,
};
use ottla_types::{LeaderEpoch, NodeId};

/// The first version of an answer that says where the leader is reached.
const ENDPOINTS_VERSION: i16 = 1;

impl Raft {
    pub(crate) fn fetch_snapshot_request(&self, part: SnapshotPart) -> FetchSnapshotRequest {
        let partition = fetch_snapshot_request::PartitionSnapshot {
            partition: 0,
            current_leader_epoch: self.election.epoch.0,
            snapshot_id: fetch_snapshot_request::SnapshotId {
                end_offset: part.id.0.offset.0,
                epoch: part.id.0.epoch.0,
                ..Default::default()
            },
            position: i64::try_from(part.position).unwrap_or(i64::MAX),
            replica_directory_id: self.settings.local.wire_directory(),
            ..Default::default()
        };
        let topic = fetch_snapshot_request::TopicSnapshot {
            name: METADATA_TOPIC.to_owned(),
            partitions: vec![partition],
            ..Default::default()
        };
        FetchSnapshotRequest {
            cluster_id: Some(self.settings.cluster_id.clone()),
            replica_id: self.settings.local.id.0,
            max_bytes: self.settings.fetch_snapshot_bytes_max,
            topics: vec![topic],
            ..Default::default()
        }
    }

    pub(crate) fn handle_fetch_snapshot(
        &mut self,
        call: CallId,
        version: i16,
        listener: &str,
        request: &FetchSnapshotRequest,
    ) {
        let refuse = |error: ErrorCode| FetchSnapshotResponse { error_code: error.code(), ..Default::default() };
        let reply = |raft: &mut Self, response| {
            raft.out.push(Effect::Reply { call, response: Response::FetchSnapshot(response) });
        };
        if !self.is_of_this_cluster(request.cluster_id.as_deref()) {
            return reply(self, refuse(ErrorCode::InconsistentClusterId));
        }
        let topic = only(&request.topics);
        let Some((topic, asked)) = topic.and_then(|topic| Some((topic, only(&topic.partitions)?))) else {
            return reply(self, refuse(ErrorCode::InvalidRequest));
        };
        let mut response = self.snapshot_response(version, listener, &topic.name, asked.partition);
        match self.find_snapshot_part(&topic.name, asked) {
            Err(error) => {
                set_error(&mut response, error);
                reply(self, response);
            }
            Ok((id, size, position)) => {
                let replica = ReplicaKey::from_wire(request.replica_id, asked.replica_directory_id);
                let now = self.now;
                if let Role::Leader(leader) = &mut self.role {
                    leader.is_followed_by(&replica, now);
                }
                set_part(&mut response, id, size, position);
                let bytes_max = request.max_bytes;
                self.out.push(Effect::ReplyWithSnapshot { call, response, id, position, bytes_max });
            }
        }
    }

    /// The snapshot that is asked for, its size, and where in it.
    fn find_snapshot_part(
        &self,
        topic: &str,
        asked: &fetch_snapshot_request::PartitionSnapshot,
    ) -> Result<(SnapshotId, u64, u64), ErrorCode> {
        if topic != METADATA_TOPIC || asked.partition != 0 {
            return Err(ErrorCode::UnknownTopicOrPartition);
        }
        if let Some(error) = self.check_leader_request(LeaderEpoch(asked.current_leader_epoch)) {
            return Err(error);
        }
        // What formatting has written is in the log of the first leader, and differs from node to node.
        let id = snapshot_id(asked.snapshot_id.end_offset, asked.snapshot_id.epoch);
        let id = id.filter(|id| *id != SnapshotId::BOOTSTRAP).ok_or(ErrorCode::SnapshotNotFound)?;
        let size = self.log.snapshot_size(id).ok_or(ErrorCode::SnapshotNotFound)?;
        let position = u64::try_from(asked.position).ok().filter(|position| *position < size);
        Ok((id, size, position.ok_or(ErrorCode::PositionOutOfRange)?))
    }

    fn snapshot_response(&self, version: i16, listener: &str, topic: &str, index: i32) -> FetchSnapshotResponse {
        let partition = fetch_snapshot_response::PartitionSnapshot {
            index,
            current_leader: fetch_snapshot_response::LeaderIdAndEpoch {
                leader_id: self.wire_leader(),
                leader_epoch: self.election.epoch.0,
                ..Default::default()
            },
            unaligned_records: ottla_protocol::RecordSet::from(bytes::Bytes::new()),
            ..Default::default()
        };
        let topic = fetch_snapshot_response::TopicSnapshot {
            name: topic.to_owned(),
            partitions: vec![partition],
            ..Default::default()
        };
        let node_endpoints = self.node_endpoints(listener, version >= ENDPOINTS_VERSION);
        FetchSnapshotResponse { topics: vec![topic], node_endpoints, ..Default::default() }
    }

    pub(crate) fn handle_fetch_snapshot_answer(&mut self, from: NodeId, response: &FetchSnapshotResponse) -> bool {
        let topic = only(&response.topics).filter(|topic| topic.name == METADATA_TOPIC);
        let partition = topic.and_then(|topic| only(&topic.partitions)).filter(|found| found.index == 0);
        let (ErrorCode::None, Some(told)) = (error_of(response.error_code), partition) else { return false };
        let current = &told.current_leader;
        let claim = self.claim(current.leader_id, current.leader_epoch, &response.node_endpoints);
        let error = error_of(told.error_code);
        if let Some(done) = self.take_claim(from, error, claim) {
            return done;
        }
        let Role::Follower(follower) = &mut self.role else { return false };
        let Some(part) = follower.snapshot else { return false };
        if matches!(error, ErrorCode::SnapshotNotFound | ErrorCode::PositionOutOfRange) {
            // The leader has a newer one by now: the next fetch names it.
            follower.snapshot = None;
            self.leader_answered();
            return true;
        }
        let id = snapshot_id(told.snapshot_id.end_offset, told.snapshot_id.epoch);
        if error != ErrorCode::None || id != Some(part.id) {
            follower.snapshot = None;
            return false;
        }
        self.take_snapshot_bytes(part, told)
    }

    fn take_snapshot_bytes(&mut self, part: SnapshotPart, told: &fetch_snapshot_response::PartitionSnapshot) -> bool {
        let bytes = told.unaligned_records.as_bytes().cloned().unwrap_or_default();
        let size = u64::try_from(told.size).unwrap_or(0);
        let position = part.position.saturating_add(bytes.len() as u64);
        let follows = u64::try_from(told.position).is_ok_and(|position| position == part.position);
        let Role::Follower(follower) = &mut self.role else { return false };
        if !follows || bytes.is_empty() || position > size {
            follower.snapshot = None;
            return false;
        }
        let is_complete = position == size;
        follower.snapshot = (!is_complete).then_some(SnapshotPart { position, ..part });
        self.out.push(Effect::WriteSnapshotPart { id: part.id, position: part.position, bytes });
        if is_complete {
            self.installing = Some(part.id);
            self.out.push(Effect::InstallSnapshot { id: part.id });
        }
        self.leader_answered();
        true
    }

    /// The log of this replica is the snapshot now. Everything in it is committed.
    pub(crate) fn snapshot_installed(
        &mut self,
        id: SnapshotId,
        size: u64,
        version: KraftVersion,
        voters: Option<VoterSet>,
    ) {
        self.installing = None;
        self.log.install(id, size, version, voters);
        self.advance_committed(id.0.offset);
    }

    /// The log is as it was: the next fetch leads to a snapshot again.
    pub(crate) fn snapshot_refused(&mut self, id: SnapshotId) {
        self.installing = self.installing.filter(|installing| *installing != id);
    }
}

fn set_error(response: &mut FetchSnapshotResponse, error: ErrorCode) {
    for partition in response.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
        partition.error_code = error.code();
    }
}

fn set_part(response: &mut FetchSnapshotResponse, id: SnapshotId, size: u64, position: u64) {
    for partition in response.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
        partition.snapshot_id.end_offset = id.0.offset.0;
        partition.snapshot_id.epoch = id.0.epoch.0;
        partition.size = i64::try_from(size).unwrap_or(i64::MAX);
        partition.position = i64::try_from(position).unwrap_or(i64::MAX);
    }
}
