//! When the leader epochs of a log get into their file.
//!
//! The batches say their epochs themselves, so that the file need only be right below the recovery point: opening a log reads
//! all batches from there on. So an append notes a new epoch in memory, and the sync that is about to move the recovery point
//! writes the file first. A thousand logs that begin an epoch together wait for no disk.

use crate::batch::BatchHeader;
use crate::epochs::LeaderEpochs;
use crate::format::format_epoch_checkpoint;
use crate::log::Log;
use crate::names::LEADER_EPOCH_FILE;
use crate::small_file::{rename_over, replace_file, write_beside};
use ottla_env::DiskResult;
use parking_lot::MutexGuard;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

/// New contents of the file that lie beside it. Nobody else writes the file meanwhile.
#[must_use]
pub(crate) struct EpochsBeside<'a> {
    log: &'a Log,
    file: std::sync::Arc<dyn ottla_env::File>,
    _file_of_epochs: MutexGuard<'a, ()>,
}

impl EpochsBeside<'_> {
    pub(crate) fn sync(&self) -> DiskResult<()> {
        self.file.sync()
    }

    /// Puts the contents, which are durable, in the file's place. The name is durable with the directory.
    pub(crate) fn rename(self) -> DiskResult<()> {
        let renamed = rename_over(self.log.disk(), &self.log.epoch_path());
        if renamed.is_err() {
            self.log.epochs_dirty.store(true, Ordering::Release);
        }
        renamed
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

    /// Replaces the epochs, durably in the file first.
    pub(crate) fn replace_epochs(&self, epochs: LeaderEpochs) -> DiskResult<()> {
        let _alone = self.file_of_epochs.lock();
        replace_file(self.disk(), &self.epoch_path(), format_epoch_checkpoint(epochs.entries()).as_bytes())?;
        *self.epochs.write() = epochs;
        self.epochs_dirty.store(false, Ordering::Release);
        Ok(())
    }

    /// Writes the file if it is behind. Its contents are durable when this returns, its name with the next sync of the log's
    /// names. The caller has taken before this which records its sync is to cover: their epochs are among those written.
    pub(crate) fn write_dirty_epochs(&self) -> DiskResult<()> {
        let Some(beside) = self.write_epochs_beside()? else { return Ok(()) };
        if let Err(error) = beside.sync() {
            self.epochs_dirty.store(true, Ordering::Release);
            return Err(error);
        }
        beside.rename()?;
        self.entries_dirty.store(true, Ordering::Release);
        Ok(())
    }

    /// Writes beside the file what it is to hold, if it is behind. To be synced, then renamed.
    pub(crate) fn write_epochs_beside(&self) -> DiskResult<Option<EpochsBeside<'_>>> {
        let alone = self.file_of_epochs.lock();
        if !self.epochs_dirty.swap(false, Ordering::AcqRel) {
            return Ok(None);
        }
        // Read after the mark was taken away: what is noted from now on sets it again.
        let contents = format_epoch_checkpoint(self.epochs.read().entries());
        match write_beside(self.disk(), &self.epoch_path(), contents.as_bytes()) {
            Ok(file) => Ok(Some(EpochsBeside { log: self, file, _file_of_epochs: alone })),
            Err(error) => {
                self.epochs_dirty.store(true, Ordering::Release);
                Err(error)
            }
        }
    }
}
