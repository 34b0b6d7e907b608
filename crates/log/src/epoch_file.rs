//! When the leader epochs of a log get into their file.
//!
//! The batches say their epochs themselves, so that the file need only be right below the recovery point: opening a log reads
//! all batches from there on. So an append notes a new epoch in memory, and the sync that is about to move the recovery point
//! writes the file first. A thousand logs that begin an epoch together wait for no disk.

use crate::batch::BatchHeader;
use crate::epochs::LeaderEpochs;
use crate::error::StorageError;
use crate::format::format_epoch_checkpoint;
use crate::log::Log;
use crate::names::LEADER_EPOCH_FILE;
use crate::small_file::{rename_over, replace_file, write_beside};
use ottla_env::{DiskOperation, DiskResult, File};
use parking_lot::MutexGuard;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// New contents of the file that lie beside it. The log is not cut, flushed or taken away meanwhile.
///
/// Who holds several of these holds them in the order of their partitions.
#[must_use]
pub(crate) struct EpochsBeside<'a> {
    log: &'a Log,
    file: Arc<dyn File>,
    _nobody_else: MutexGuard<'a, ()>,
}

impl EpochsBeside<'_> {
    pub(crate) fn sync(&self) -> Result<(), StorageError> {
        self.log.kept(self.file.sync())
    }

    /// Puts the contents, which are durable, in the file's place. The name is durable with the directory.
    pub(crate) fn rename(self) -> Result<(), StorageError> {
        self.log.kept(rename_over(self.log.disk(), &self.log.epoch_path()))
    }
}

impl Log {
    fn epoch_path(&self) -> PathBuf {
        self.path.get().join(LEADER_EPOCH_FILE)
    }

    /// Notes the epochs of batches that are about to be appended.
    pub(crate) fn note_epochs(&self, headers: &[BatchHeader]) {
        let is_new = |header: &BatchHeader| self.epochs.read().must_assign(header.leader_epoch, header.base_offset);
        if headers.iter().any(is_new) {
            let mut epochs = self.epochs.write();
            headers.iter().for_each(|header| epochs.assign(header.leader_epoch, header.base_offset));
            self.epochs_dirty.store(true, Ordering::Release);
        }
    }

    /// Changes the epochs where the file may stay behind: what it has more than memory is cut when the log is opened.
    pub(crate) fn change_epochs(&self, change: impl FnOnce(&mut LeaderEpochs) -> bool) {
        if change(&mut self.epochs.write()) {
            self.epochs_dirty.store(true, Ordering::Release);
        }
    }

    /// Replaces the epochs, durably in the file first. The caller holds `flushing`, as everybody who writes the file.
    pub(crate) fn replace_epochs(&self, epochs: LeaderEpochs) -> DiskResult<()> {
        replace_file(self.disk(), &self.epoch_path(), format_epoch_checkpoint(epochs.entries()).as_bytes())?;
        *self.epochs.write() = epochs;
        self.epochs_dirty.store(false, Ordering::Release);
        Ok(())
    }

    /// Writes the file if it is behind. Its contents are durable when this returns, its name with the next sync of the log's
    /// names. The caller holds `flushing`, and has taken before this which records its sync is to cover: their epochs are among
    /// those written.
    pub(crate) fn write_dirty_epochs(&self) -> DiskResult<()> {
        let Some(file) = self.write_beside()? else { return Ok(()) };
        let written = file.sync().and_then(|()| rename_over(self.disk(), &self.epoch_path()));
        if written.is_err() {
            self.epochs_dirty.store(true, Ordering::Release);
        }
        self.entries_dirty.store(true, Ordering::Release);
        written
    }

    /// The same where the disk may be full. Without room the recovery point must not move, but the records themselves can be made
    /// durable: says whether there was room.
    pub(crate) fn write_dirty_epochs_if_room(&self) -> DiskResult<bool> {
        match self.write_dirty_epochs() {
            Err(error) if error.is_disk_full() && error.operation != DiskOperation::Sync => {
                tracing::warn!(partition = %self.partition, %error, "no room for the leader epochs");
                Ok(false)
            }
            written => written.map(|()| true),
        }
    }

    /// Writes beside the file what it is to hold, if it is behind and the log has not left. To be synced, then renamed.
    pub(crate) fn write_epochs_beside(&self) -> Result<Option<EpochsBeside<'_>>, StorageError> {
        let nobody_else = self.flushing.lock();
        if self.has_left() {
            return Ok(None);
        }
        let file = self.write_beside().map_err(|error| self.failed(error))?;
        Ok(file.map(|file| EpochsBeside { log: self, file, _nobody_else: nobody_else }))
    }

    fn write_beside(&self) -> DiskResult<Option<Arc<dyn File>>> {
        if !self.epochs_dirty.swap(false, Ordering::AcqRel) {
            return Ok(None);
        }
        // Read after the mark was taken away: what is noted from now on sets it again.
        let contents = format_epoch_checkpoint(self.epochs.read().entries());
        let written = write_beside(self.disk(), &self.epoch_path(), contents.as_bytes());
        if written.is_err() {
            self.epochs_dirty.store(true, Ordering::Release);
        }
        written.map(Some)
    }

    /// Judges a step of the writing of the file, which is behind still when it has failed.
    fn kept(&self, step: DiskResult<()>) -> Result<(), StorageError> {
        step.map_err(|error| {
            self.epochs_dirty.store(true, Ordering::Release);
            self.failed(error)
        })
    }
}
