use super::QuorumError;
use ottla_env::{Clock, Disk, DiskResult, OpenMode};
use ottla_log::{read_file, replace_file};
use ottla_raft::{ElectionState, SnapshotId};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const QUORUM_STATE_FILE: &str = "quorum-state";
const QUORUM_STATE_BYTES_MAX: u64 = 1 << 20;
/// What follows the name of a snapshot that is not whole yet; Kafka's.
const PART_SUFFIX: &str = ".part";
/// A snapshot is read as a whole; one of a million partitions has about a hundred megabytes.
const SNAPSHOT_BYTES_MAX: u64 = 2 << 30;

/// The files beside the segments in the directory of the metadata log.
pub(super) struct QuorumFiles {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) directory: PathBuf,
}

impl QuorumFiles {
    /// What `quorum-state` says; `None` when there is no such file yet.
    pub(super) fn read_quorum_state(&self) -> Result<Option<ElectionState>, QuorumError> {
        let path = self.directory.join(QUORUM_STATE_FILE);
        let Some(bytes) = read_file(&*self.disk, &path, QUORUM_STATE_BYTES_MAX)? else { return Ok(None) };
        let text = String::from_utf8(bytes).map_err(|_| QuorumError::NotText(path.clone()))?;
        ElectionState::from_file(&text).map(Some).map_err(|error| QuorumError::QuorumState { path, error })
    }

    /// Replaces `quorum-state`, durably.
    pub(super) fn write_quorum_state(&self, text: &str) -> Result<(), QuorumError> {
        Ok(replace_file(&*self.disk, &self.directory.join(QUORUM_STATE_FILE), text.as_bytes())?)
    }

    /// The ids of all snapshots, the oldest first.
    pub(super) fn snapshots(&self) -> Result<Vec<SnapshotId>, QuorumError> {
        let entries = self.disk.list(&self.directory)?;
        let mut ids: Vec<_> = entries.iter().filter_map(|(name, _)| SnapshotId::from_file_name(name)).collect();
        ids.sort_by_key(|id| (id.0.offset, id.0.epoch));
        Ok(ids)
    }

    /// The contents of a snapshot.
    pub(super) fn read_snapshot(&self, id: SnapshotId) -> Result<Vec<u8>, QuorumError> {
        let bytes = read_file(&*self.disk, &self.snapshot_path(id), SNAPSHOT_BYTES_MAX)?;
        bytes.ok_or_else(|| QuorumError::NoSnapshot(self.directory.clone()))
    }

    /// Writes a snapshot, durably and under its name only when it is complete.
    pub(super) fn write_snapshot(&self, id: SnapshotId, contents: &[u8]) -> DiskResult<()> {
        replace_file(&*self.disk, &self.snapshot_path(id), contents)
    }

    /// Removes a snapshot that a newer one replaces.
    pub(super) fn remove_snapshot(&self, id: SnapshotId) -> DiskResult<()> {
        self.disk.remove_file(&self.snapshot_path(id))
    }

    /// Writes bytes of a snapshot that is being fetched; position 0 starts it anew, and throws away any other part.
    pub(super) fn write_snapshot_part(&self, id: SnapshotId, position: u64, bytes: &[u8]) -> Result<(), QuorumError> {
        if position == 0 {
            for (name, _) in self.disk.list(&self.directory)? {
                if name.ends_with(PART_SUFFIX) {
                    self.disk.remove_file(&self.directory.join(&name))?;
                }
            }
        }
        let file = self.disk.open(&self.part_path(id), OpenMode::CreateReadWrite)?;
        Ok(file.write_at(bytes, position)?)
    }

    /// The part of a snapshot, all of it.
    pub(super) fn read_whole_part(&self, id: SnapshotId) -> Result<Vec<u8>, QuorumError> {
        let bytes = read_file(&*self.disk, &self.part_path(id), SNAPSHOT_BYTES_MAX)?;
        bytes.ok_or_else(|| QuorumError::NoSnapshot(self.directory.clone()))
    }

    /// Removes the part of a snapshot that is whole or damaged.
    pub(super) fn remove_snapshot_part(&self, id: SnapshotId) -> Result<(), QuorumError> {
        Ok(self.disk.remove_file(&self.part_path(id))?)
    }

    /// At most so many bytes of a snapshot from a position on.
    pub(super) fn read_snapshot_part(
        &self,
        id: SnapshotId,
        position: u64,
        bytes_max: usize,
    ) -> Result<Vec<u8>, QuorumError> {
        let file = self.disk.open(&self.snapshot_path(id), OpenMode::Read)?;
        let left = usize::try_from(file.length()?.saturating_sub(position)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; left.min(bytes_max)];
        let read = file.read_at(&mut bytes, position)?;
        bytes.truncate(read);
        Ok(bytes)
    }

    fn part_path(&self, id: SnapshotId) -> PathBuf {
        self.directory.join(format!("{}{PART_SUFFIX}", id.file_name()))
    }

    pub(super) fn snapshot_path(&self, id: SnapshotId) -> PathBuf {
        self.directory.join(Path::new(&id.file_name()))
    }
}
