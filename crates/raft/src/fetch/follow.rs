use crate::messages::{METADATA_TOPIC, error_of, only, snapshot_id};
use crate::role::SnapshotPart;
use crate::{BatchSummary, Effect, Fault, OffsetAndEpoch, Raft, Request, Role, SnapshotId};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{FetchRequest, FetchResponse, fetch_request, fetch_response};
use ottla_types::{LeaderEpoch, NodeId, Offset, Uuid};

impl Raft {
    /// Whether the log stands still, so that a fetch can say where it ends: everything in it is durable, and no snapshot is
    /// about to take its place.
    pub(crate) fn may_fetch(&self) -> bool {
        self.installing.is_none() && self.log.durable_end().offset == self.log.end().offset
    }

    /// Fetches from the leader; or, if that fails, asks others whether there is a new one.
    pub(crate) fn fetch_as_follower(&mut self) {
        if !self.may_fetch() {
            return;
        }
        let Role::Follower(follower) = &mut self.role else { return };
        let (leader, part) = (follower.leader, follower.snapshot);
        if core::mem::take(&mut follower.ask_others) || self.connections.is_backing_off(leader) {
            self.ask_any_bootstrap_server();
        } else if !self.connections.is_anything_asked() {
            let request = match part {
                Some(part) => Request::FetchSnapshot(self.fetch_snapshot_request(part)),
                None => Request::Fetch(self.fetch_request()),
            };
            self.send_to_leader(request);
        }
    }

    pub(crate) fn fetch_request(&self) -> FetchRequest {
        let end = self.log.end();
        let partition = fetch_request::FetchPartition {
            partition: 0,
            current_leader_epoch: self.election.epoch.0,
            fetch_offset: end.offset.0,
            last_fetched_epoch: end.epoch.0,
            replica_directory_id: self.settings.local.wire_directory(),
            high_watermark: self.committed.unwrap_or(Offset(-1)).0,
            ..Default::default()
        };
        let topic = fetch_request::FetchTopic {
            topic: METADATA_TOPIC.to_owned(),
            topic_id: Uuid::METADATA_TOPIC,
            partitions: vec![partition],
            ..Default::default()
        };
        let max_wait_ms = i32::try_from(self.settings.timeouts.fetch_wait_max.as_millis()).unwrap_or(i32::MAX);
        FetchRequest {
            cluster_id: Some(self.settings.cluster_id.clone()),
            replica_state: fetch_request::ReplicaState { replica_id: self.settings.local.id.0, ..Default::default() },
            max_wait_ms,
            max_bytes: self.settings.fetch_bytes_max,
            topics: vec![topic],
            ..Default::default()
        }
    }

    pub(crate) fn handle_fetch_answer(
        &mut self,
        from: NodeId,
        response: &FetchResponse,
        batches: &[BatchSummary],
    ) -> bool {
        let topic = only(&response.responses).filter(|topic| topic.topic_id == Uuid::METADATA_TOPIC);
        let partition = topic.and_then(|topic| only(&topic.partitions)).filter(|found| found.partition_index == 0);
        let (ErrorCode::None, Some(partition)) = (error_of(response.error_code), partition) else { return false };
        let current = &partition.current_leader;
        let claim = self.claim(current.leader_id, current.leader_epoch, &response.node_endpoints);
        let error = error_of(partition.error_code);
        if let Some(done) = self.take_claim(from, error, claim) {
            return done;
        }
        // Only the leader answers without an error, and only its follower asks.
        if error != ErrorCode::None || !matches!(self.role, Role::Follower(_)) {
            return false;
        }
        let diverging = &partition.diverging_epoch;
        let is_fine = if diverging.epoch >= 0 {
            let offset = Offset(diverging.end_offset);
            self.truncate_to_common(OffsetAndEpoch { offset, epoch: LeaderEpoch(diverging.epoch) })
        } else if partition.snapshot_id.end_offset >= 0 || partition.snapshot_id.epoch >= 0 {
            let id = snapshot_id(partition.snapshot_id.end_offset, partition.snapshot_id.epoch);
            id.is_some_and(|id| self.begin_snapshot(id))
        } else {
            self.append_fetched(partition, batches)
        };
        if is_fine {
            self.leader_answered();
        }
        is_fine
    }

    /// The leader lives, and knows of this follower.
    pub(crate) fn leader_answered(&mut self) {
        let deadline = self.after(self.settings.timeouts.fetch);
        if let Role::Follower(follower) = &mut self.role {
            follower.fetch_deadline = deadline;
            follower.has_fetched = true;
        }
    }

    /// What can't be taken back: what this replica knows to be committed, and what a snapshot holds.
    fn committed_floor(&self) -> Offset {
        let snapshot = self.log.latest_snapshot().map_or(Offset(0), |id| id.0.offset);
        self.committed.unwrap_or(Offset(0)).max(snapshot)
    }

    fn truncate_to_common(&mut self, common: OffsetAndEpoch) -> bool {
        let committed = self.committed_floor();
        let end = self.log.truncation(common);
        if end < committed || common.offset < Offset(0) {
            self.out.push(Effect::Fault(Fault::CommittedTruncated { common, committed }));
            return false;
        }
        let is_shorter = end < self.log.end().offset;
        if is_shorter {
            self.log.truncate(end);
            self.out.push(Effect::Truncate { end });
        }
        // A leader that finds fault with the whole log and with nothing in it would be asked for ever.
        is_shorter
    }

    /// The leader does not have what comes next any more, but a snapshot.
    fn begin_snapshot(&mut self, id: SnapshotId) -> bool {
        let committed = self.committed_floor();
        if id.0.offset < committed {
            self.out.push(Effect::Fault(Fault::SnapshotTooOld { id, committed }));
            return false;
        }
        // One that is there already would lead here again.
        if self.log.snapshot_size(id).is_some() && self.log.end().offset >= id.0.offset {
            return false;
        }
        if let Role::Follower(follower) = &mut self.role {
            follower.snapshot = Some(SnapshotPart { id, position: 0 });
        }
        true
    }

    fn append_fetched(&mut self, partition: &fetch_response::PartitionData, batches: &[BatchSummary]) -> bool {
        let base_offset = self.log.end().offset;
        let epoch = self.election.epoch;
        let mut is_fine = true;
        for batch in batches {
            if let Err(error) = self.log.append(batch, epoch) {
                self.out.push(Effect::Fault(Fault::BadBatch(error)));
                is_fine = false;
                break;
            }
        }
        let end = self.log.end().offset;
        if end > base_offset {
            let records = partition.records.as_bytes().cloned().unwrap_or_default();
            self.out.push(Effect::AppendFetched { base_offset, records, end });
        } else if !partition.records.is_empty() {
            // Nothing in them was whole.
            is_fine = false;
        }
        if partition.high_watermark >= 0 {
            self.advance_committed(Offset(partition.high_watermark).min(end));
        }
        is_fine
    }
}
