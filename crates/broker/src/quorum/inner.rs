//! The state behind the quorum's lock, and how effects are performed on it.

use super::appended::Appended;
use super::batches::control_batch;
use super::files::QuorumFiles;
use super::pending::Pending;
use super::snapshots::Snapshots;
use super::voters::ToldVoters;
use super::{Publish, QuorumError};
use crate::peers::Peers;
use core::time::Duration;
use ottla_controller::Controller;
use ottla_env::Monotonic;
use ottla_log::{AppendOrigin, Log};
use ottla_metadata::{LoadedBatch, MetadataLoader, VersionedRecord};
use ottla_protocol::ErrorCode;
use ottla_raft::{CallId, ControlRecord, Effect, Event, Raft, Response};
use ottla_types::{LeaderEpoch, Offset, Timestamp};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// What is done when the lock is free again: answers leave.
pub(super) type After = Box<dyn FnOnce() + Send>;

/// What is done with the answer to a replica's request.
pub(super) type CallReply = Box<dyn FnOnce(Response) + Send>;

pub(super) struct Inner {
    pub(super) raft: Raft,
    /// Of an active controller everything that it has decided; of any other what is committed.
    pub(super) controller: Controller,
    pub(super) loader: MetadataLoader,
    pub(super) log: Arc<Log>,
    pub(super) disk_files: QuorumFiles,
    pub(super) snapshots: Snapshots,
    pub(super) publish: Publish,
    /// Batches of the log that are not known to be committed.
    pub(super) uncommitted: VecDeque<Appended>,
    /// Decisions whose answers wait for that.
    pub(super) pending: VecDeque<Pending>,
    /// The epoch in which this node's controller is active.
    pub(super) active: Option<LeaderEpoch>,
    /// What the controller was told of the voters.
    pub(super) told_voters: Option<ToldVoters>,
    /// What formatting has left for the cluster's first controller to write into the log.
    pub(super) bootstrap: Vec<VersionedRecord>,
    /// What has failed; nothing is decided any more after that.
    pub(super) failure: Option<String>,
    /// Requests of other replicas that are not answered yet.
    pub(super) calls: BTreeMap<CallId, CallReply>,
    pub(super) next_call: u64,
    /// What the answer at hand has brought, until the machine says how much of it is to be appended.
    pub(super) fetched: Vec<Appended>,
    pub(super) after: Vec<After>,
    pub(super) peers: Peers,
    pub(super) mailbox: Arc<super::Mailbox>,
}

impl Inner {
    pub(super) fn monotonic(&self) -> Duration {
        Duration::from_nanos(self.disk_files.clock.monotonic().0)
    }

    /// When something is due by time.
    pub(super) fn next_deadline(&self) -> Option<Monotonic> {
        let deadlines = [self.raft.next_deadline(), self.controller.next_deadline()];
        let deadline = deadlines.into_iter().flatten().min().filter(|_| self.failure.is_none())?;
        Some(Monotonic(u64::try_from(deadline.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// Takes an event to the machine and does everything that follows from it. After a failure nothing goes on: what the
    /// machine believes of the log is no longer true.
    pub(super) fn take(&mut self, event: Event) {
        if self.failure.is_some() {
            return;
        }
        let effects = self.step(event);
        self.perform_or_give_up(effects);
    }

    pub(super) fn step(&mut self, event: Event) -> Vec<Effect> {
        let now = self.monotonic();
        self.raft.step(now, event)
    }

    /// Does what the quorum wants, in its order; what follows from one effect comes after those that are waiting.
    pub(super) fn perform(&mut self, effects: Vec<Effect>) -> Result<(), QuorumError> {
        let mut waiting = VecDeque::from(effects);
        while let Some(effect) = waiting.pop_front() {
            waiting.extend(self.perform_one(effect)?);
        }
        Ok(())
    }

    fn perform_one(&mut self, effect: Effect) -> Result<Vec<Effect>, QuorumError> {
        let nothing = Ok(Vec::new());
        match effect {
            Effect::PersistElection(election) => {
                self.disk_files.write_quorum_state(&self.raft.quorum_state_file(&election))?;
                nothing
            }
            Effect::AppendControlRecords { base_offset, epoch, records } => {
                self.append_control(&records, base_offset, epoch)
            }
            Effect::AppendFetched { records, end, .. } => self.append_fetched(&records, end),
            Effect::Truncate { end } => {
                self.log.truncate_to(end)?;
                self.uncommitted.retain(|batch| batch.base_offset < end);
                nothing
            }
            Effect::Send { to, request, message } => {
                self.send(to, request, message);
                nothing
            }
            Effect::Reply { call, response } => {
                self.reply(call, response);
                nothing
            }
            Effect::ReplyWithRecords { call, response, offset, bytes_max } => {
                self.reply_with_records(call, response, offset, bytes_max).map(|()| Vec::new())
            }
            Effect::ReplyWithSnapshot { call, response, id, position, bytes_max } => {
                self.reply_with_snapshot(call, response, id, position, bytes_max).map(|()| Vec::new())
            }
            Effect::WriteSnapshotPart { id, position, bytes } => {
                self.disk_files.write_snapshot_part(id, position, &bytes)?;
                nothing
            }
            Effect::InstallSnapshot { id } => self.install_snapshot(id),
            Effect::HighWatermarkAdvanced(offset) => self.commit(offset),
            Effect::BecameLeader { epoch } => self.become_active(epoch),
            Effect::LostLeadership { .. } => {
                self.become_inactive();
                nothing
            }
            Effect::LeaderChanged { .. } => nothing,
            Effect::Fault(fault) => {
                tracing::error!(%fault, "the metadata quorum is at fault");
                nothing
            }
        }
    }

    fn append_control(
        &mut self,
        records: &[ControlRecord],
        base_offset: Offset,
        epoch: LeaderEpoch,
    ) -> Result<Vec<Effect>, QuorumError> {
        let bytes = control_batch(records, base_offset, epoch, self.disk_files.clock.wall())?;
        self.append(bytes, Vec::new(), epoch)
    }

    /// Appends a batch of this leader and makes it durable. Returns what follows from that.
    pub(super) fn append(
        &mut self,
        mut bytes: Vec<u8>,
        records: Vec<VersionedRecord>,
        epoch: LeaderEpoch,
    ) -> Result<Vec<Effect>, QuorumError> {
        let timestamp = self.disk_files.clock.wall();
        let info = self.log.append_as_leader(&mut bytes, epoch, AppendOrigin::RaftLeader)?;
        if !records.is_empty() {
            self.controller.replay_uncommitted(info.first_offset, &records)?;
        }
        self.uncommitted.push_back(Appended {
            base_offset: info.first_offset,
            last_offset: info.last_offset,
            epoch,
            timestamp,
            records: records.into_iter().map(|record| record.record).collect(),
            bytes: bytes.len() as u64,
            decided_here: true,
        });
        let mut effects = self.step(Event::Appended { end: info.last_offset.next() });
        effects.extend(self.flush()?);
        Ok(effects)
    }

    /// Appends what was fetched from the leader, up to `end`, and makes it durable.
    fn append_fetched(&mut self, records: &[u8], end: Offset) -> Result<Vec<Effect>, QuorumError> {
        let mut length = 0;
        for batch in std::mem::take(&mut self.fetched) {
            if batch.base_offset >= self.log.log_end_offset() && batch.last_offset < end {
                length += usize::try_from(batch.bytes).unwrap_or(usize::MAX);
                self.uncommitted.push_back(batch);
            }
        }
        self.log.append_as_follower(records.get(..length).unwrap_or(records))?;
        self.flush()
    }

    fn flush(&mut self) -> Result<Vec<Effect>, QuorumError> {
        let end = self.log.flush()?;
        Ok(self.step(Event::Flushed { end }))
    }

    /// Replays what is committed, publishes the new image, and lets the answers go that waited for it.
    fn commit(&mut self, high_watermark: Offset) -> Result<Vec<Effect>, QuorumError> {
        self.log.set_high_watermark(high_watermark);
        let mut bytes = 0;
        while let Some(batch) = self.uncommitted.pop_front_if(|batch| batch.last_offset < high_watermark) {
            bytes += batch.bytes;
            self.replay(&batch)?;
        }
        let effects = self.publish(bytes)?;
        while let Some(pending) = self.pending.pop_front_if(|pending| pending.last_offset < high_watermark) {
            self.after.push(Box::new(move || (pending.reply)(Ok(()))));
        }
        Ok(effects)
    }

    fn replay(&mut self, batch: &Appended) -> Result<(), QuorumError> {
        if batch.decided_here {
            self.controller.commit(batch.last_offset);
        } else {
            let mut offset = batch.base_offset;
            for record in &batch.records {
                self.controller.replay(offset, record)?;
                offset = offset.next();
            }
        }
        self.loader.load(LoadedBatch {
            base_offset: batch.base_offset,
            last_offset: batch.last_offset,
            epoch: batch.epoch,
            timestamp: batch.timestamp,
            records: &batch.records,
        })?;
        Ok(())
    }

    fn publish(&mut self, bytes: u64) -> Result<Vec<Effect>, QuorumError> {
        let Some(delta) = self.loader.publish() else { return Ok(Vec::new()) };
        (self.publish)(&delta);
        self.controller.share(delta.after());
        let now: Timestamp = self.disk_files.clock.wall();
        let events = self.snapshots.published(delta.after(), bytes, now, self.raft.log(), &self.log)?;
        Ok(events.into_iter().flat_map(|event| self.step(event)).collect())
    }

    /// The controller is active from now on: everything that its predecessors decided is committed and replayed.
    fn become_active(&mut self, epoch: LeaderEpoch) -> Result<Vec<Effect>, QuorumError> {
        self.active = Some(epoch);
        self.tell_voters();
        self.controller.activate(self.monotonic());
        let is_open = self.loader.transaction_start().is_some();
        let activation = self.controller.activation_records(&self.bootstrap, is_open);
        self.write(activation.into_batches().0, epoch)
    }

    /// Nothing is decided here any more, and what was not committed may never be.
    fn become_inactive(&mut self) {
        self.active = None;
        self.controller.resign();
        self.uncommitted.iter_mut().for_each(|batch| batch.decided_here = false);
        self.refuse_pending(ErrorCode::NotController);
    }

    fn refuse_pending(&mut self, code: ErrorCode) {
        for pending in self.pending.drain(..) {
            self.after.push(Box::new(move || (pending.reply)(Err(code))));
        }
    }

    /// The metadata log can't be trusted any more: nothing is decided until a restart.
    pub(super) fn give_up(&mut self, error: &QuorumError) -> ErrorCode {
        tracing::error!(%error, "the metadata log failed; nothing can be changed until a restart");
        self.failure = Some(error.to_string());
        self.active = None;
        self.controller.resign();
        self.refuse_pending(ErrorCode::KafkaStorageError);
        // Dropping what others asked for ends their connections: they ask somebody else.
        self.calls.clear();
        ErrorCode::KafkaStorageError
    }
}
