//! The part of a partition that other brokers have a part in.

use super::{Leadership, Partition, PartitionRead, ReadOrder};
use crate::replication::View;
use ottla_log::{AppendError, ReadRequest, StorageError};
use ottla_protocol::ErrorCode;
use ottla_replication::{
    Acknowledgement, AlterPartitionAnswer, AppendRefusal, EpochRefusal, FetchPosition, FetchRead, FetchRefusal,
    FollowerFetch, IsrChange, PartitionState, Progress, Replica, Role, RoleEffect,
};
use ottla_types::{BrokerId, LeaderEpoch, Offset, TopicIdPartition};

/// What a change of metadata demands of the fetching.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FetchChange {
    pub(crate) stop: bool,
    pub(crate) follow: Option<(BrokerId, LeaderEpoch)>,
}

impl Partition {
    /// Which partition it is.
    pub(crate) fn id(&self) -> TopicIdPartition {
        TopicIdPartition { topic_id: self.topic_id, partition: self.index }
    }

    /// Takes over what the metadata says, and lets everyone who waits look again. No append of an earlier leader epoch is under
    /// way when this returns.
    pub(crate) fn apply(&self, state: &PartitionState, leadership: Leadership) -> FetchChange {
        let mut change = FetchChange::default();
        {
            let mut current = self.leadership.write();
            let mut replica = self.replica.lock();
            let now = self.context.now();
            let effects = replica.apply(state, &View(&self.log), self.log.acknowledgeable_offset(), now);
            for effect in effects {
                match effect {
                    RoleEffect::BeginEpoch { epoch, .. } => self.log.begin_leader_epoch(epoch),
                    RoleEffect::Progressed(progress) => self.progressed(progress),
                    RoleEffect::StopFetching => change = FetchChange { stop: true, follow: None },
                    RoleEffect::Follow { leader, leader_epoch } => change.follow = Some((leader, leader_epoch)),
                    // Everybody looks again below.
                    RoleEffect::GiveUpWaiting => {}
                }
            }
            *current = leadership;
        }
        self.synced();
        self.waiters.partition_changed();
        change
    }

    /// Sets what a progress says of the log, and passes its proposal on. Called with the replica locked, so that the high
    /// watermark never goes back.
    fn progressed(&self, progress: Progress) {
        if let Some(high_watermark) = progress.high_watermark {
            self.log.set_high_watermark(high_watermark);
        }
        match progress.isr_change {
            Some(IsrChange::Expanded) => self.context.counters.isr_expands.add(1),
            Some(IsrChange::Shrunk) => self.context.counters.isr_shrinks.add(1),
            Some(IsrChange::Failed) | None => {}
        }
        if let Some(proposal) = progress.proposal {
            self.context.propose(self.id(), proposal);
        }
    }

    /// Tells the leader's machine how far the log is, and moves the high watermark to where all replicas in sync are.
    pub(crate) fn advance_high_watermark(&self) -> Offset {
        let mut replica = self.replica.lock();
        if let Some(leader) = replica.leader_mut() {
            let (end, acknowledgeable) = (self.log.log_end_offset(), self.log.acknowledgeable_offset());
            let progress = leader.appended(end, acknowledgeable, self.context.now());
            self.progressed(progress);
        }
        self.log.high_watermark()
    }

    /// Something that may move the high watermark without an append: whoever waits for it is told.
    pub(super) fn step(&self, step: impl FnOnce(&mut Replica) -> Progress) {
        let before = self.log.high_watermark();
        let low_watermark = {
            let mut replica = self.replica.lock();
            let progress = step(&mut replica);
            let low_watermark = progress.low_watermark;
            self.progressed(progress);
            low_watermark
        };
        if low_watermark.is_some() {
            self.waiters.low_watermark_advanced();
        }
        if self.log.high_watermark() > before {
            self.synced();
            self.context.moved(&self.topic, self.index);
        }
    }

    /// Whether this broker leads it while its replicas are being changed.
    pub(crate) fn is_reassigning(&self) -> bool {
        self.replica.lock().leader().is_some_and(|leader| leader.figures().is_reassigning)
    }

    /// Whether this broker leads it, and is cut off from replicas that have to acknowledge.
    pub(crate) fn is_cut_off(&self) -> bool {
        let leadership = self.leadership.read();
        leadership.is_leader && self.context.is_cut_off_from(&leadership.in_sync_replicas)
    }

    /// Whether this broker leads it and others hold replicas.
    pub(crate) fn is_led_among_others(&self) -> bool {
        self.replica.lock().leader().is_some_and(|leader| !leader.followers().is_empty())
    }

    /// Whether this broker leads and does not know yet how far its predecessors have committed.
    pub(crate) fn is_latest_offset_unknown(&self) -> bool {
        self.replica.lock().leader().is_some_and(|leader| leader.is_latest_offset_unknown())
    }

    /// Looks for replicas in sync that have lagged too long.
    pub(crate) fn check_lag(&self) {
        let now = self.context.now();
        self.step(|replica| replica.leader_mut().map(|leader| leader.check_lag(now)).unwrap_or_default());
    }

    /// The controller has answered a proposal.
    pub(crate) fn proposal_answered(&self, number: u64, answer: &AlterPartitionAnswer) {
        let now = self.context.now();
        self.step(|replica| {
            replica.leader_mut().map(|leader| leader.answered(number, answer, now)).unwrap_or_default()
        });
    }

    /// The topic demands another number of replicas in sync.
    pub(super) fn set_min_in_sync(&self, min_in_sync: usize) {
        let now = self.context.now();
        self.step(|replica| replica.set_min_in_sync(min_in_sync, now));
    }

    /// The broker has registered anew.
    pub(crate) fn set_broker_epoch(&self) {
        self.replica.lock().set_local_epoch(self.context.broker_epoch());
    }

    /// Whether records up to `last` may be acknowledged to a producer that waits for all replicas; `None` where this broker
    /// does not lead.
    pub(crate) fn acknowledgement(&self, last: Offset) -> Option<Acknowledgement> {
        self.replica.lock().leader().map(|leader| leader.acknowledgement(last.next()))
    }

    /// Whether too few replicas are in sync for an append that all of them acknowledge: how many are, and how many must be.
    pub(super) fn lacks_replicas(&self) -> Option<(usize, usize)> {
        let replica = self.replica.lock();
        let lacking = replica.leader()?.check_append_with_all_acks().err()?;
        Some((lacking.in_sync, lacking.needed))
    }

    /// Reads for a follower, and takes note of how far it is.
    pub(crate) fn read_for_follower(&self, order: ReadOrder, fetch: FollowerFetch) -> Result<PartitionRead, ErrorCode> {
        if self.log.is_offline() {
            return Err(ErrorCode::KafkaStorageError);
        }
        let mut outcome = Err(FetchRefusal::NotLeader);
        self.step(|replica| {
            let now = self.context.now();
            let fetched = replica
                .leader_for(fetch.position.leader_epoch)
                .and_then(|leader| leader.follower_fetched(fetch, &View(&self.log), now));
            match fetched {
                Ok((read, progress)) => {
                    outcome = Ok(read);
                    progress
                }
                Err(refusal) => {
                    outcome = Err(refusal);
                    Progress::default()
                }
            }
        });
        match outcome.map_err(|refusal| refused(refusal, fetch.position))? {
            FetchRead::From(offset) => {
                let ReadOrder { mut max_bytes, mut min_one_batch, bound, .. } = order;
                if self.holds_back(fetch.replica) {
                    // High watermark and log start are told all the same.
                    (max_bytes, min_one_batch) = (0, false);
                }
                let slice = self.log.read(ReadRequest { offset, max_bytes, min_one_batch, bound });
                let mut slice = slice.map_err(|error| super::read::read_error(&error))?;
                if slice.first_batch_incomplete {
                    slice.ranges.clear();
                }
                Ok(PartitionRead::Records(slice))
            }
            FetchRead::Diverging(end) => Ok(PartitionRead::Diverging {
                epoch: end.epoch,
                end_offset: end.end_offset,
                offsets: self.log.offsets(),
            }),
        }
    }

    /// Whether the throttle of leaders leaves out a follower's records for now.
    fn holds_back(&self, replica: BrokerId) -> bool {
        let throttle = &self.context.throttles().leader;
        let is_in_sync = || self.replica.lock().leader().is_some_and(|leader| leader.is_in_sync(replica));
        throttle.is_used() && throttle.lock().holds_back(&self.id(), is_in_sync(), self.context.now())
    }

    /// Counts what a follower is given, also against the throttle of leaders.
    pub(crate) fn count_given(&self, bytes: usize) {
        self.context.counters.bytes_out.add(bytes as u64);
        let throttle = &self.context.throttles().leader;
        if throttle.is_used() && bytes > 0 {
            throttle.lock().record_for(&self.id(), bytes, self.context.now());
        }
    }

    /// Does something with the log as the follower of this epoch; `None` when it is not that any more.
    pub(crate) fn as_follower<T>(&self, epoch: LeaderEpoch, act: impl FnOnce() -> T) -> Option<T> {
        let _leadership = self.leadership.read();
        let is_follower = match self.replica.lock().role() {
            Role::Follower(follower) => follower.leader_epoch == epoch,
            Role::Unassigned | Role::Leader(_) => false,
        };
        is_follower.then(act)
    }

    /// Appends what was fetched. Consumers that read here hear of it when it is known to be committed.
    pub(crate) fn append_fetched(&self, records: &[u8]) -> Result<(), AppendRefusal> {
        let appended = self.log.append_as_follower(records).map_err(|error| {
            if let AppendError::Storage(StorageError::Closed(_)) = error {
                // An answer that was on its way when the node began to stop.
                return AppendRefusal::Later;
            }
            tracing::warn!(partition = %self.log.topic_partition(), %error, "what was fetched can't be appended");
            match error {
                AppendError::Corrupt { .. } => AppendRefusal::Corrupt,
                AppendError::Storage(error) if error.is_passing() => AppendRefusal::Later,
                _ => AppendRefusal::Unwritable,
            }
        });
        appended.map(|info| {
            self.context.counters.bytes_in.add(info.bytes as u64);
            self.announce_later(&info);
        })
    }
}

fn refused(refusal: FetchRefusal, position: FetchPosition) -> ErrorCode {
    match refusal {
        FetchRefusal::Epoch(EpochRefusal::Fenced { .. }) => ErrorCode::FencedLeaderEpoch,
        FetchRefusal::Epoch(EpochRefusal::Unknown { .. }) => ErrorCode::UnknownLeaderEpoch,
        // A follower that knows the leader's epoch has heard of an assignment that is not known here.
        FetchRefusal::UnknownReplica(_) if position.leader_epoch.is_some() => ErrorCode::UnknownLeaderEpoch,
        FetchRefusal::NotLeader | FetchRefusal::UnknownReplica(_) | FetchRefusal::StaleBroker(_) => {
            ErrorCode::NotLeaderOrFollower
        }
        FetchRefusal::OutOfRange { .. } => ErrorCode::OffsetOutOfRange,
    }
}
