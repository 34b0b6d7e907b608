use super::{Partition, PartitionAppendError, TopicRules};
use crate::codecs::Codecs;
use ottla_log::{AppendInfo, AppendOrigin as LogOrigin};
use ottla_protocol::ErrorCode;
use ottla_records::{
    AppendAction, AppendOrigin, CompressionLevel, RebuildOptions, RecordBatchView, ValidatedBatch, rebuild,
    validate_for_append,
};
use ottla_types::{LeaderEpoch, Offset, Timestamp};

/// How many appends that are not committed are told of one by one. While too few replicas are in sync nothing is committed and
/// appends may go on; those beyond are told of together.
const UNANNOUNCED_MAX: usize = 1024;

/// When a producer wants its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Acknowledgement {
    /// `acks=0`: never.
    None,
    /// `acks=1`: when the leader has appended.
    Leader,
    /// `acks=all`: when all in-sync replicas have.
    All,
}

impl Acknowledgement {
    /// The meaning of a Produce request's `acks`.
    pub(crate) fn from_acks(acks: i16) -> Option<Self> {
        match acks {
            0 => Some(Self::None),
            1 => Some(Self::Leader),
            -1 => Some(Self::All),
            _ => None,
        }
    }
}

/// What goes with an append.
#[derive(Clone, Copy)]
pub(crate) struct Append<'a> {
    /// Who appends, and what is known of the transaction.
    pub(crate) origin: LogOrigin,
    pub(crate) acknowledgement: Acknowledgement,
    pub(crate) now: Timestamp,
    pub(crate) codecs: &'a Codecs,
}

impl Partition {
    /// Appends a record set as leader: checks it, gives it its offsets where it lies, writes it, moves the high watermark
    /// and tells who waits. Nothing is appended when an error is returned.
    pub(crate) fn append(&self, bytes: &mut [u8], append: Append<'_>) -> Result<AppendInfo, PartitionAppendError> {
        let info = self.append_silently(bytes, append)?;
        self.announce(&info);
        Ok(info)
    }

    /// The same, but nobody is told, and the high watermark does not move before [`Self::announce`]: that can lead to anything,
    /// and is nothing for who holds a lock.
    pub(crate) fn append_silently(
        &self,
        bytes: &mut [u8],
        append: Append<'_>,
    ) -> Result<AppendInfo, PartitionAppendError> {
        let length = bytes.len();
        self.metrics.add(|counters| &counters.produce_requests, 1);
        let appended = self.append_here(bytes, append);
        match &appended {
            Ok(info) if info.duplicate => {}
            Ok(info) => {
                let records = info.last_offset.value() - info.first_offset.value() + 1;
                self.metrics.add(|counters| &counters.messages_in, u64::try_from(records).unwrap_or(0));
                self.metrics.add(|counters| &counters.bytes_in, info.bytes as u64);
            }
            Err(error) => self.metrics.append_refused(error.code, length),
        }
        appended
    }

    fn append_here(&self, bytes: &mut [u8], append: Append<'_>) -> Result<AppendInfo, PartitionAppendError> {
        let rules = self.rules.read().clone();
        let leadership = self.leadership.read();
        if !leadership.is_leader {
            return Err(ErrorCode::NotLeaderOrFollower.into());
        }
        if append.acknowledgement == Acknowledgement::All && self.context.is_cut_off_from(&leadership.in_sync_replicas)
        {
            return Err(ErrorCode::NotLeaderOrFollower.into());
        }
        if append.acknowledgement == Acknowledgement::All
            && let Some((in_sync, needed)) = self.lacks_replicas()
        {
            return Err(not_enough_replicas(in_sync, needed));
        }
        self.validate_and_append(bytes, append, &rules, leadership.leader_epoch)
    }

    /// Tells who waits for records, at once or when the high watermark comes to them.
    pub(crate) fn announce(&self, info: &AppendInfo) {
        if info.duplicate {
            return;
        }
        if self.advance_high_watermark() > info.last_offset {
            return self.waiters.high_watermark_advanced(info.bytes as u64);
        }
        // Followers read what is not committed yet.
        self.waiters.log_end_advanced(info.bytes as u64);
        // Entered first: a sync that ends meanwhile finds it, or is found by the second look.
        self.announce_later(info);
        self.synced();
    }

    /// Notes records that consumers hear of when the high watermark passes them.
    pub(super) fn announce_later(&self, info: &AppendInfo) {
        let mut unannounced = self.unannounced.lock();
        let bytes = info.bytes as u64;
        let is_full = unannounced.len() >= UNANNOUNCED_MAX;
        match unannounced.back_mut().filter(|_| is_full) {
            Some((last, together)) => (*last, *together) = (info.last_offset, *together + bytes),
            None => unannounced.push_back((info.last_offset, bytes)),
        }
    }

    /// More of the log may be acknowledged: the high watermark moves, and whoever waits for it is told how many bytes came.
    pub(crate) fn synced(&self) {
        let high_watermark = self.advance_high_watermark();
        let mut bytes = 0;
        {
            let mut unannounced = self.unannounced.lock();
            while let Some((_, passed)) = unannounced.pop_front_if(|(last, _)| *last < high_watermark) {
                bytes += passed;
            }
        }
        if bytes > 0 {
            self.waiters.high_watermark_advanced(bytes);
        }
    }

    fn validate_and_append(
        &self,
        bytes: &mut [u8],
        append: Append<'_>,
        rules: &TopicRules,
        epoch: LeaderEpoch,
    ) -> Result<AppendInfo, PartitionAppendError> {
        let options = rules.validation(batch_origin(append.origin), append.now, epoch);
        let validated =
            append.codecs.with_decompressor(|decompressor| validate_for_append(bytes, &options, decompressor))?;
        let origin = append.origin;
        // What follows the first batch is its cut-off successor.
        let batch = bytes.get_mut(..validated.size).unwrap_or_default();
        match validated.action {
            AppendAction::InPlace => {
                validated.patch(batch, Offset::ZERO, epoch)?;
                Ok(self.log.append_as_leader(batch, epoch, origin)?)
            }
            AppendAction::Rebuild => {
                let mut rebuilt = self.rebuilt(batch, &validated, append, rules, epoch)?;
                let info = self.log.append_as_leader(&mut rebuilt, epoch, origin)?;
                let records = info.last_offset.value() - info.first_offset.value() + 1;
                self.metrics.add(|counters| &counters.produce_conversions, u64::try_from(records).unwrap_or(0));
                Ok(info)
            }
        }
    }

    /// The batch in the codec that the topic wants.
    fn rebuilt(
        &self,
        batch: &[u8],
        validated: &ValidatedBatch,
        append: Append<'_>,
        rules: &TopicRules,
        epoch: LeaderEpoch,
    ) -> Result<Vec<u8>, PartitionAppendError> {
        let view = RecordBatchView::parse(batch).map_err(|_| ErrorCode::CorruptMessage)?;
        let options = RebuildOptions {
            compression: rules
                .target_compression
                .unwrap_or_else(|| CompressionLevel::default_of(validated.compression)),
            base_offset: Offset::ZERO,
            partition_leader_epoch: epoch,
            log_append_time: rules.log_append_time(append.now),
        };
        append.codecs.with_both(|decompressor, compressor| {
            rebuild(view, &options, decompressor, compressor).map_err(PartitionAppendError::from)
        })
    }
}

fn batch_origin(origin: LogOrigin) -> AppendOrigin {
    match origin {
        LogOrigin::Client { .. } => AppendOrigin::Client,
        LogOrigin::Coordinator { .. } => AppendOrigin::Coordinator,
        LogOrigin::RaftLeader | LogOrigin::Replication => AppendOrigin::RaftLeader,
    }
}

fn not_enough_replicas(in_sync: usize, needed: usize) -> PartitionAppendError {
    PartitionAppendError {
        code: ErrorCode::NotEnoughReplicas,
        message: Some(format!("{in_sync} replicas are in sync, but min.insync.replicas asks for {needed}")),
        records: Vec::new(),
    }
}
