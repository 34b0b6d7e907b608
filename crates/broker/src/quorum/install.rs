//! A snapshot of the leader takes the place of the log.

use super::QuorumError;
use super::inner::Inner;
use super::start::load_snapshot;
use ottla_raft::{Effect, Event, RetainedSnapshot, SnapshotId};

impl Inner {
    /// Checks the snapshot that was fetched, puts it under its name, and lets the log start behind it.
    pub(super) fn install_snapshot(&mut self, id: SnapshotId) -> Result<Vec<Effect>, QuorumError> {
        let contents = self.disk_files.read_whole_part(id)?;
        let Ok(loaded) = load_snapshot(&contents, &self.disk_files.snapshot_path(id), id) else {
            tracing::warn!(snapshot = id.file_name(), "the metadata snapshot that was fetched is damaged");
            self.disk_files.remove_snapshot_part(id)?;
            return Ok(self.step(Event::SnapshotRefused { id }));
        };
        self.disk_files.write_snapshot(id, &contents)?;
        self.disk_files.remove_snapshot_part(id)?;
        self.log.truncate_fully_and_start_at(id.0.offset)?;
        self.uncommitted.clear();
        let size = contents.len() as u64;
        let image = loaded.loader.published().clone();
        let last_contained_log_timestamp = image.provenance.timestamp;
        self.snapshots.installed(RetainedSnapshot { id, size, last_contained_log_timestamp });
        let delta = self.loader.load_snapshot(image.clone());
        (self.publish)(&delta);
        self.controller.reset(image);
        let voters = loaded.quorum.voters_entry().map(|(_, voters)| voters.clone());
        Ok(self.step(Event::SnapshotInstalled { id, size, version: loaded.quorum.version(), voters }))
    }
}
