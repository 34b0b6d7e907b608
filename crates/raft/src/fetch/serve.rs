use crate::log_state::Fit;
use crate::messages::{METADATA_TOPIC, only};
use crate::{CallId, Effect, Raft, ReplicaKey, Response, Role};
use core::time::Duration;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{FetchRequest, FetchResponse, fetch_request, fetch_response};
use ottla_types::{LeaderEpoch, Offset, Uuid};

/// The first version of an answer that says where the leader is reached.
const ENDPOINTS_VERSION: i16 = 17;
/// More fetches than this do not wait, but are answered at once.
const PARKED_MAX: usize = 4_096;

/// A fetch of which this leader will answer when there is something new, or when its time is over.
#[derive(Clone, Debug)]
pub(crate) struct ParkedFetch {
    call: CallId,
    version: i16,
    listener: String,
    offset: Offset,
    /// What the follower knows to be committed.
    high_watermark: Offset,
    bytes_max: i32,
    pub(crate) deadline: Duration,
}

impl Raft {
    pub(crate) fn handle_fetch(&mut self, call: CallId, version: i16, listener: String, request: &FetchRequest) {
        let refuse = |error: ErrorCode| FetchResponse { error_code: error.code(), ..Default::default() };
        if !self.is_of_this_cluster(request.cluster_id.as_deref()) {
            return self.reply_to_fetch(call, refuse(ErrorCode::InconsistentClusterId));
        }
        let topic = only(&request.topics).filter(|topic| topic.topic_id == Uuid::METADATA_TOPIC);
        let partition = topic.and_then(|topic| only(&topic.partitions)).filter(|partition| partition.partition == 0);
        let Some(asked) = partition else { return self.reply_to_fetch(call, refuse(ErrorCode::InvalidRequest)) };
        let (offset, last_epoch) = (Offset(asked.fetch_offset), LeaderEpoch(asked.last_fetched_epoch));
        let is_possible = request.max_wait_ms >= 0
            && offset >= Offset(0)
            && last_epoch >= LeaderEpoch(0)
            && last_epoch <= LeaderEpoch(asked.current_leader_epoch);
        if !is_possible {
            let response = self.fetch_response(version, &listener, ErrorCode::InvalidRequest);
            return self.reply_to_fetch(call, response);
        }
        if let Some(error) = self.check_leader_request(LeaderEpoch(asked.current_leader_epoch)) {
            let response = self.fetch_response(version, &listener, error);
            return self.reply_to_fetch(call, response);
        }
        match self.log.fit(offset, last_epoch) {
            Fit::Prefix => {
                self.follower_has(replica_of(request, asked), offset);
                let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
                let parked = ParkedFetch {
                    call,
                    version,
                    listener,
                    offset,
                    high_watermark: Offset(asked.high_watermark),
                    bytes_max: request.max_bytes,
                    deadline: self.now.saturating_add(wait.min(self.settings.timeouts.fetch_wait_max)),
                };
                self.answer_or_park(parked);
            }
            fit => {
                let response = self.unfit_response(version, &listener, fit);
                self.reply_to_fetch(call, response);
            }
        }
    }

    /// A follower shows by its fetch what it has, durably.
    fn follower_has(&mut self, replica: ReplicaKey, offset: Offset) {
        let (now, end) = (self.now, self.log.end().offset);
        if let Role::Leader(leader) = &mut self.role
            && let Some(high_watermark) = leader.replica_fetched(now, replica, offset, end)
        {
            self.leader_committed(high_watermark);
        }
    }

    /// A majority has everything below this offset.
    pub(crate) fn leader_committed(&mut self, high_watermark: Offset) {
        let Role::Leader(leader) = &self.role else { return };
        let epoch = leader.epoch();
        // Its first record was not known to be committed before: only now the controller may become active.
        let is_first = self.committed.is_none_or(|committed| committed <= leader.epoch_start_offset());
        self.advance_committed(high_watermark);
        if is_first {
            self.out.push(Effect::BecameLeader { epoch });
        }
        self.change_committed(high_watermark);
        self.release_fetches();
    }

    pub(crate) fn advance_committed(&mut self, high_watermark: Offset) {
        if self.committed.is_none_or(|committed| committed < high_watermark) {
            self.committed = Some(high_watermark);
            self.out.push(Effect::HighWatermarkAdvanced(high_watermark));
        }
    }

    fn is_worth_answering(&self, parked: &ParkedFetch) -> bool {
        let high_watermark = self.high_watermark().unwrap_or(Offset(-1));
        self.log.end().offset > parked.offset || high_watermark > parked.high_watermark || parked.deadline <= self.now
    }

    fn answer_or_park(&mut self, parked: ParkedFetch) {
        if self.is_worth_answering(&parked) || self.parked.len() >= PARKED_MAX {
            self.answer_fetch(parked);
        } else {
            self.parked.push_back(parked);
        }
    }

    fn answer_fetch(&mut self, parked: ParkedFetch) {
        let ParkedFetch { call, version, listener, offset, bytes_max, .. } = parked;
        let response = self.fetch_response(version, &listener, ErrorCode::None);
        if self.log.end().offset > offset {
            self.out.push(Effect::ReplyWithRecords { call, response, offset, bytes_max });
        } else {
            self.reply_to_fetch(call, response);
        }
    }

    /// Answers those that wait for what there is now.
    pub(crate) fn release_fetches(&mut self) {
        for parked in core::mem::take(&mut self.parked) {
            self.answer_or_park(parked);
        }
    }

    pub(crate) fn expire_parked_fetches(&mut self) {
        if self.parked.iter().any(|parked| parked.deadline <= self.now) {
            self.release_fetches();
        }
    }

    /// The others are to look for another leader.
    pub(crate) fn refuse_parked_fetches(&mut self) {
        for ParkedFetch { call, version, listener, .. } in core::mem::take(&mut self.parked) {
            let mut response = self.fetch_response(version, &listener, ErrorCode::NotLeaderOrFollower);
            // The next epoch, or that there is none yet, is not decided at this point.
            response.node_endpoints.clear();
            if let Some(partition) = response.responses.first_mut().and_then(|topic| topic.partitions.first_mut()) {
                partition.current_leader.leader_id = -1;
                partition.high_watermark = -1;
            }
            self.reply_to_fetch(call, response);
        }
    }

    fn reply_to_fetch(&mut self, call: CallId, response: FetchResponse) {
        self.out.push(Effect::Reply { call, response: Response::Fetch(response, Vec::new()) });
    }

    fn fetch_response(&self, version: i16, listener: &str, error: ErrorCode) -> FetchResponse {
        let high_watermark = match &self.role {
            Role::Leader(leader) if error == ErrorCode::None => leader.high_watermark(),
            _ => None,
        };
        let partition = fetch_response::PartitionData {
            partition_index: 0,
            error_code: error.code(),
            high_watermark: high_watermark.unwrap_or(Offset(-1)).0,
            log_start_offset: self.log.start().offset.0,
            current_leader: fetch_response::LeaderIdAndEpoch {
                leader_id: self.wire_leader(),
                leader_epoch: self.election.epoch.0,
                ..Default::default()
            },
            records: ottla_protocol::RecordSet::from(bytes::Bytes::new()),
            ..Default::default()
        };
        let topic = fetch_response::FetchableTopicResponse {
            topic: METADATA_TOPIC.to_owned(),
            topic_id: Uuid::METADATA_TOPIC,
            partitions: vec![partition],
            ..Default::default()
        };
        let node_endpoints = self.node_endpoints(listener, version >= ENDPOINTS_VERSION);
        FetchResponse { responses: vec![topic], node_endpoints, ..Default::default() }
    }

    fn unfit_response(&self, version: i16, listener: &str, fit: Fit) -> FetchResponse {
        let mut response = self.fetch_response(version, listener, ErrorCode::None);
        let partition = response.responses.first_mut().and_then(|topic| topic.partitions.first_mut());
        if let Some(partition) = partition {
            match fit {
                Fit::Diverging(common) => {
                    partition.diverging_epoch.epoch = common.epoch.0;
                    partition.diverging_epoch.end_offset = common.offset.0;
                }
                Fit::Snapshot(id) => {
                    partition.snapshot_id.end_offset = id.0.offset.0;
                    partition.snapshot_id.epoch = id.0.epoch.0;
                }
                Fit::Prefix => {}
            }
        }
        response
    }
}

/// Who fetches. Versions before 15 have the id in another place.
fn replica_of(request: &FetchRequest, asked: &fetch_request::FetchPartition) -> ReplicaKey {
    let id = if request.replica_state.replica_id >= 0 { request.replica_state.replica_id } else { request.replica_id };
    ReplicaKey::from_wire(id, asked.replica_directory_id)
}
