//! Hosts the metadata quorum: `raft` and `controller` over the log of `__cluster_metadata-0`.
//!
//! A decision goes one way: the controller decides, the records are appended and made durable, raft says that they are
//! committed, they are replayed into controller and image, the change is published, the answer leaves.

mod batches;
mod decidable;
mod error;
mod files;
mod format;
mod requests_of_nodes;
mod snapshots;
mod start;

pub(crate) use decidable::Decidable;
pub(crate) use error::QuorumError;
pub use format::{FormatError, FormatRequest, format};
pub(crate) use start::{QuorumOptions, QuorumStart};

use batches::{control_batch, data_batch};
use core::time::Duration;
use ottla_controller::{Context, Controller, Outcome, Seed};
use ottla_env::{Clock, Random};
use ottla_log::{AppendError, AppendOrigin, Log, StorageError};
use ottla_metadata::{LoadedBatch, MetadataDelta, MetadataImage, MetadataLoader, VersionedRecord};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{DescribeQuorumRequest, DescribeQuorumResponse};
use ottla_protocol::metadata_records::MetadataRecord;
use ottla_raft::{ControlRecord, Effect, Event, Raft};
use ottla_types::{LeaderEpoch, NodeId, Offset, Timestamp};
use parking_lot::Mutex;
use snapshots::Snapshots;
use std::collections::VecDeque;
use std::sync::Arc;

/// Takes each published change, in order, before the answer of the decision that made it leaves. It may not ask the
/// quorum for another decision from within.
pub(crate) type Publish = Box<dyn Fn(&MetadataDelta) + Send + Sync>;

/// The quorum, as the node sees it.
pub(crate) struct MetadataQuorum {
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    inner: Mutex<Inner>,
}

struct Inner {
    raft: Raft,
    controller: Controller,
    loader: MetadataLoader,
    log: Arc<Log>,
    disk_files: files::QuorumFiles,
    snapshots: Snapshots,
    publish: Publish,
    /// Appended batches that are not committed yet.
    uncommitted: VecDeque<Appended>,
    /// The epoch in which this node's controller is active.
    active: Option<LeaderEpoch>,
    /// After a failed write nothing is decided any more.
    failed: bool,
}

/// Where the metadata quorum stands, seen from this node.
pub(crate) struct QuorumReading {
    pub(crate) state: &'static str,
    /// The leader; -1 while there is none.
    pub(crate) leader: i32,
    /// Who got this node's vote; -1 for nobody.
    pub(crate) vote: i32,
    pub(crate) epoch: i32,
    pub(crate) high_watermark: i64,
    pub(crate) log_end: i64,
}

/// A batch on its way to being committed.
struct Appended {
    base_offset: Offset,
    last_offset: Offset,
    epoch: LeaderEpoch,
    timestamp: Timestamp,
    records: Vec<MetadataRecord>,
    bytes: u64,
}

impl MetadataQuorum {
    /// Asks the active controller for a decision. `reply` gets the response when the decision's records are committed and
    /// published, or a refusal when there is no active controller or its log can't be written.
    pub(crate) fn decide<R: Decidable>(
        &self,
        version: i16,
        request: &R,
        reply: impl FnOnce(R::Response) + Send + 'static,
    ) {
        let decide = |controller: &mut Controller, context: &Context| request.decide(controller, context);
        let result = self.inner.lock().decide(self.moment(version), decide);
        reply(result.unwrap_or_else(|code| request.refuse(version, code)));
    }

    /// As `decide`, for the node's own questions, which wait for nothing but the log.
    ///
    /// # Errors
    /// There is no active controller here, or its log can't be written.
    pub(crate) fn decide_now<R: Decidable>(&self, request: &R) -> Result<R::Response, ErrorCode> {
        let decide = |controller: &mut Controller, context: &Context| request.decide(controller, context);
        self.inner.lock().decide(self.moment(R::API_KEY.versions().max), decide)
    }

    /// The answer to DescribeQuorum.
    pub(crate) fn describe(&self, request: &DescribeQuorumRequest) -> DescribeQuorumResponse {
        let (now, wall) = (Duration::from_nanos(self.clock.monotonic().0), self.clock.wall());
        self.inner.lock().raft.describe(now, wall, request)
    }

    /// Where the quorum stands: for metrics.
    pub(crate) fn reading(&self) -> QuorumReading {
        let inner = self.inner.lock();
        let raft = &inner.raft;
        let id = |id: Option<NodeId>| id.unwrap_or(NodeId::NONE).value();
        QuorumReading {
            state: raft.role().name(),
            leader: id(raft.leader()),
            vote: id(raft.voted()),
            epoch: raft.epoch().value(),
            high_watermark: raft.high_watermark().unwrap_or(Offset(-1)).value(),
            log_end: raft.log_end_offset().value(),
        }
    }

    /// The newest committed image.
    pub(crate) fn image(&self) -> MetadataImage {
        self.inner.lock().loader.published().clone()
    }

    /// Writes what a controller that has just become active writes first.
    fn activate(&self, bootstrap: &[VersionedRecord]) -> Result<(), QuorumError> {
        let is_open = self.inner.lock().loader.transaction_start().is_some();
        let activation = |controller: &mut Controller, _: &Context| controller.activation_records(bootstrap, is_open);
        let decided = self.inner.lock().decide(self.moment(0), activation);
        decided.map_err(|_| QuorumError::NotActive)
    }

    /// Stops leading: no decision is taken from now on. The log is closed with its directory.
    pub(crate) fn resign(&self) {
        let mut inner = self.inner.lock();
        let effects = inner.step(Event::Stop);
        if let Err(error) = inner.perform(effects, self.clock.wall()) {
            tracing::warn!(%error, "the metadata log can't be left in order");
        }
    }

    fn moment(&self, version: i16) -> Moment {
        let mut seed = [0; 16];
        self.random.fill(&mut seed);
        Moment {
            wall: self.clock.wall(),
            monotonic: Duration::from_nanos(self.clock.monotonic().0),
            seed: Seed(u128::from_le_bytes(seed)),
            version,
        }
    }
}

/// The world at the time of a decision.
#[derive(Clone, Copy)]
struct Moment {
    wall: Timestamp,
    monotonic: Duration,
    seed: Seed,
    version: i16,
}

impl Inner {
    fn decide<R>(
        &mut self,
        moment: Moment,
        decide: impl FnOnce(&mut Controller, &Context) -> Outcome<R>,
    ) -> Result<R, ErrorCode> {
        let epoch = self.active.filter(|_| !self.failed).ok_or(ErrorCode::NotController)?;
        let context = Context {
            monotonic: moment.monotonic,
            next_offset: self.log.log_end_offset(),
            seed: moment.seed,
            version: moment.version,
        };
        let (batches, response) = decide(&mut self.controller, &context).into_batches();
        for records in batches {
            self.append_decision(records, epoch, moment.wall)?;
        }
        Ok(response)
    }

    fn append_decision(
        &mut self,
        records: Vec<VersionedRecord>,
        epoch: LeaderEpoch,
        now: Timestamp,
    ) -> Result<(), ErrorCode> {
        let bytes = data_batch(&records, self.log.log_end_offset(), epoch, now).map_err(|error| {
            tracing::error!(%error, "metadata records can't be encoded");
            ErrorCode::UnknownServerError
        })?;
        let records = records.into_iter().map(|record| record.record).collect();
        let appended = self.append(bytes, records, epoch, now);
        match appended.and_then(|effects| self.perform(effects, now)) {
            Ok(()) => Ok(()),
            // Nothing was appended, and a decision changes nothing by itself: it is as if it had not been asked for.
            Err(QuorumError::Append(error @ AppendError::Storage(StorageError::DiskFull(_)))) => {
                tracing::error!(%error, "metadata can't be changed while the disk is full");
                Err(ErrorCode::KafkaStorageError)
            }
            Err(error) => Err(self.give_up(&error)),
        }
    }

    fn step(&mut self, event: Event) -> Vec<Effect> {
        let now = Duration::from_nanos(self.disk_files.clock.monotonic().0);
        self.raft.step(now, event)
    }

    /// Appends a batch and makes it durable. Returns what follows from that.
    fn append(
        &mut self,
        mut bytes: Vec<u8>,
        records: Vec<MetadataRecord>,
        epoch: LeaderEpoch,
        now: Timestamp,
    ) -> Result<Vec<Effect>, QuorumError> {
        let info = self.log.append_as_leader(&mut bytes, epoch, AppendOrigin::RaftLeader)?;
        self.uncommitted.push_back(Appended {
            base_offset: info.first_offset,
            last_offset: info.last_offset,
            epoch,
            timestamp: now,
            records,
            bytes: bytes.len() as u64,
        });
        let mut effects = self.step(Event::Appended { end: info.last_offset.next() });
        let end = self.log.flush()?;
        effects.extend(self.step(Event::Flushed { end }));
        Ok(effects)
    }

    /// Does what the quorum wants, in its order; what follows from one effect comes after those that are waiting.
    fn perform(&mut self, effects: Vec<Effect>, now: Timestamp) -> Result<(), QuorumError> {
        let mut waiting = VecDeque::from(effects);
        while let Some(effect) = waiting.pop_front() {
            waiting.extend(self.perform_one(effect, now)?);
        }
        Ok(())
    }

    fn perform_one(&mut self, effect: Effect, now: Timestamp) -> Result<Vec<Effect>, QuorumError> {
        match effect {
            Effect::PersistElection(election) => {
                self.disk_files.write_quorum_state(&self.raft.quorum_state_file(&election))?;
            }
            Effect::AppendControlRecords { base_offset, epoch, records } => {
                return self.append_control(&records, base_offset, epoch, now);
            }
            Effect::HighWatermarkAdvanced(offset) => return self.commit(offset, now),
            Effect::BecameLeader { epoch } => {
                self.active = Some(epoch);
                self.controller.activate(Duration::from_nanos(self.disk_files.clock.monotonic().0));
            }
            Effect::LostLeadership { .. } => self.active = None,
            Effect::LeaderChanged { .. } => {}
            Effect::Fault(fault) => tracing::error!(%fault, "the metadata quorum is at fault"),
            // These come of other replicas, and there are none.
            Effect::AppendFetched { .. } => return Err(QuorumError::NotAlone("to append what was fetched")),
            Effect::Truncate { .. } => return Err(QuorumError::NotAlone("to cut the log")),
            Effect::Send { .. } => return Err(QuorumError::NotAlone("to ask another")),
            Effect::Reply { .. } | Effect::ReplyWithRecords { .. } | Effect::ReplyWithSnapshot { .. } => {
                return Err(QuorumError::NotAlone("to answer another"));
            }
            Effect::WriteSnapshotPart { .. } | Effect::InstallSnapshot { .. } => {
                return Err(QuorumError::NotAlone("to take over a snapshot"));
            }
        }
        Ok(Vec::new())
    }

    fn append_control(
        &mut self,
        records: &[ControlRecord],
        base_offset: Offset,
        epoch: LeaderEpoch,
        now: Timestamp,
    ) -> Result<Vec<Effect>, QuorumError> {
        let bytes = control_batch(records, base_offset, epoch, now)?;
        self.append(bytes, Vec::new(), epoch, now)
    }

    /// Replays what is committed, and publishes the new image.
    fn commit(&mut self, high_watermark: Offset, now: Timestamp) -> Result<Vec<Effect>, QuorumError> {
        self.log.set_high_watermark(high_watermark);
        let mut bytes = 0;
        while let Some(batch) = self.uncommitted.pop_front_if(|batch| batch.last_offset < high_watermark) {
            bytes += batch.bytes;
            self.replay(&batch)?;
        }
        self.publish(bytes, now)
    }

    fn replay(&mut self, batch: &Appended) -> Result<(), QuorumError> {
        let mut offset = batch.base_offset;
        for record in &batch.records {
            self.controller.replay(offset, record)?;
            offset = offset.next();
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

    fn publish(&mut self, bytes: u64, now: Timestamp) -> Result<Vec<Effect>, QuorumError> {
        let Some(delta) = self.loader.publish() else { return Ok(Vec::new()) };
        (self.publish)(&delta);
        self.controller.share(delta.after());
        let events = self.snapshots.published(delta.after(), bytes, now, self.raft.log(), &self.log)?;
        Ok(events.into_iter().flat_map(|event| self.step(event)).collect())
    }

    /// The metadata log can't be trusted any more: nothing is decided until a restart.
    fn give_up(&mut self, error: &QuorumError) -> ErrorCode {
        tracing::error!(%error, "the metadata log failed; nothing can be changed until a restart");
        self.failed = true;
        ErrorCode::KafkaStorageError
    }
}
