use super::QuorumError;
use super::batches::{control_batch, data_batch};
use super::files::QuorumFiles;
use ottla_env::DiskError;
use ottla_log::{Log, StorageError};
use ottla_metadata::{MetadataImage, VersionedRecord};
use ottla_raft::{
    ControlRecord, Event, KraftVersion, LogState, OffsetAndEpoch, RetainedSnapshot, SnapshotId, SnapshotPolicy,
    SnapshotRetention, VoterSet, snapshots_to_delete,
};
use ottla_types::{LeaderEpoch, Offset, Timestamp};

/// How many records one batch of a snapshot holds.
const RECORDS_PER_BATCH: usize = 1_000;

/// Writes snapshots when they are due, and removes what they make superfluous.
pub(super) struct Snapshots {
    files: QuorumFiles,
    policy: SnapshotPolicy,
    retention: SnapshotRetention,
    retained: Vec<RetainedSnapshot>,
}

impl Snapshots {
    /// `retained` are the snapshots on the disk, the oldest first.
    pub(super) fn new(
        files: QuorumFiles,
        policy: SnapshotPolicy,
        retention: SnapshotRetention,
        retained: Vec<RetainedSnapshot>,
    ) -> Self {
        Self { files, policy, retention, retained }
    }

    /// Counts a published change, and writes a snapshot of the image when one is due. Returns what the quorum is to be told.
    pub(super) fn published(
        &mut self,
        image: &MetadataImage,
        bytes: u64,
        now: Timestamp,
        quorum: &LogState,
        log: &Log,
    ) -> Result<Vec<Event>, QuorumError> {
        if self.policy.count(now, bytes).is_none() {
            return Ok(Vec::new());
        }
        let end = image.provenance.offset.next();
        let id = SnapshotId(OffsetAndEpoch { offset: end, epoch: image.provenance.epoch });
        let voters = quorum.voters_below(end).cloned().unwrap_or_default();
        let contents = snapshot(image, id, quorum.version_below(end), &voters)?;
        if let Err(error) = self.files.write_snapshot(id, &contents) {
            return unless_full(log, error).map(|()| Vec::new());
        }
        self.policy.reset(now);
        tracing::info!(snapshot = id.file_name(), bytes = contents.len(), "metadata snapshot written");
        self.retained.push(RetainedSnapshot {
            id,
            size: contents.len() as u64,
            last_contained_log_timestamp: image.provenance.timestamp,
        });
        let mut events = vec![Event::SnapshotCreated { id, size: contents.len() as u64 }];
        events.extend(self.clean(now, log)?.map(|id| Event::PrefixDeleted { id }));
        Ok(events)
    }

    /// A snapshot of the leader has taken the place of the log.
    pub(super) fn installed(&mut self, snapshot: RetainedSnapshot) {
        self.retained.push(snapshot);
    }

    /// Removes old snapshots, and the log before the oldest that stays, which is returned.
    fn clean(&mut self, now: Timestamp, log: &Log) -> Result<Option<SnapshotId>, QuorumError> {
        let count = snapshots_to_delete(&self.retained, log.size()?, self.retention, now);
        if count == 0 {
            return Ok(None);
        }
        let oldest = self.retained.get(count).copied();
        if let Some(oldest) = oldest {
            log.advance_log_start_offset(oldest.id.0.offset)?;
            log.apply_retention(now)?;
        }
        for snapshot in self.retained.drain(..count) {
            if let Err(error) = self.files.remove_snapshot(snapshot.id) {
                unless_full(log, error)?;
                break;
            }
        }
        Ok(oldest.map(|oldest| oldest.id))
    }
}

/// A snapshot that finds no room is written when the next one is due: what it would hold is in the log. After any other failure
/// the directory can't be trusted.
fn unless_full(log: &Log, error: DiskError) -> Result<(), QuorumError> {
    match log.judge(error) {
        StorageError::DiskFull(error) | StorageError::Disk(error)
            if error.is_disk_full() || error.is_too_many_files() =>
        {
            tracing::warn!(%error, "a metadata snapshot can't be written now; it is tried again with the next change");
            Ok(())
        }
        error => Err(error.into()),
    }
}

/// An image as the contents of a snapshot file: its start, its records, its end, at offsets from 0 on.
fn snapshot(
    image: &MetadataImage,
    id: SnapshotId,
    version: KraftVersion,
    voters: &VoterSet,
) -> Result<Vec<u8>, QuorumError> {
    let time = image.provenance.timestamp;
    let start = ControlRecord::snapshot_start(time, version, voters);
    snapshot_of(&start, &image.to_records(), id.0.epoch, time)
}

/// Control records, metadata records and the footer as the contents of a snapshot file.
pub(super) fn snapshot_of(
    start: &[ControlRecord],
    records: &[VersionedRecord],
    epoch: LeaderEpoch,
    time: Timestamp,
) -> Result<Vec<u8>, QuorumError> {
    let mut contents = control_batch(start, Offset::ZERO, epoch, time)?;
    let mut next = Offset(start.len() as i64);
    for records in records.chunks(RECORDS_PER_BATCH) {
        contents.extend(data_batch(records, next, epoch, time)?);
        next = next.plus(records.len() as i64);
    }
    contents.extend(control_batch(&[ControlRecord::snapshot_footer()], next, epoch, time)?);
    Ok(contents)
}
