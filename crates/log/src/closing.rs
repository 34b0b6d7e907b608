//! Closing logs so that the next start need not scan them.

use crate::directory::LogDirectory;
use crate::epoch_file::EpochsBeside;
use crate::error::StorageError;
use crate::format::format_partition_metadata;
use crate::group_commit::TOGETHER_MIN;
use crate::log::{Log, View, Writer};
use crate::names::PARTITION_METADATA_FILE;
use crate::small_file::{rename_over, write_beside};
use ottla_env::{DiskResult, FileSystem};
use ottla_types::Offset;
use parking_lot::MutexGuard;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A log that is closed and has files to be made durable.
struct Closed {
    log: Arc<Log>,
    view: View,
    writes_topic_id: bool,
}

impl LogDirectory {
    /// Closes all logs. What they have to make durable is done together where the system can: a node with many thousand
    /// partitions would wait minutes for single syncs.
    pub(crate) fn close_logs(&self) -> Result<(), StorageError> {
        let logs = self.logs();
        match &self.context.file_system {
            Some(file_system) if logs.len() >= TOGETHER_MIN => self.close_together(logs, &**file_system),
            _ => logs.iter().try_for_each(|log| log.close()),
        }
    }

    /// **Order:** everything is written beside what it replaces, and synced; then it is renamed, and synced again. The caller
    /// writes the mark of a clean stop after that.
    fn close_together(&self, logs: Vec<Arc<Log>>, file_system: &dyn FileSystem) -> Result<(), StorageError> {
        let (mut closed, mut epochs) = (Vec::new(), Vec::new());
        for log in &logs {
            let Some((view, _writer)) = log.write_to_close()? else { continue };
            let writes_topic_id = log.write_topic_id_beside().map_err(|error| self.context.failed(error))?;
            epochs.extend(log.write_epochs_beside()?);
            closed.push(Closed { log: log.clone(), view, writes_topic_id });
        }
        if closed.is_empty() {
            return Ok(());
        }
        let sync = || file_system.sync().map_err(|error| self.context.failed(error));
        sync()?;
        epochs.into_iter().try_for_each(EpochsBeside::rename)?;
        for Closed { log, .. } in closed.iter().filter(|closed| closed.writes_topic_id) {
            let path = log.path().join(PARTITION_METADATA_FILE);
            rename_over(log.disk(), &path).map_err(|error| self.context.failed(error))?;
            log.topic_id_dirty.store(false, Ordering::Release);
        }
        sync()?;
        closed.iter().for_each(|closed| closed.log.finish_closing(&closed.view));
        Ok(())
    }
}

impl Log {
    /// Closes the log so that the next start need not scan it: indexes and producer snapshot are written, everything is
    /// synced. A log that has not been written since it was opened costs nothing.
    pub fn close(&self) -> Result<(), StorageError> {
        let Some((view, writer)) = self.write_to_close()? else { return Ok(()) };
        self.write_topic_id()?;
        let _one_at_a_time = self.flushing.lock();
        self.sync_closed(&view, writer.producers.end_offset()).map_err(|error| self.failed(error))?;
        self.finish_closing(&view);
        Ok(())
    }

    /// Refuses changes from now on, and writes what a closed log has in files. `None` when nothing is to be made durable.
    fn write_to_close(&self) -> Result<Option<(View, MutexGuard<'_, Writer>)>, StorageError> {
        let mut writer = self.writer.lock();
        if writer.closed {
            return Ok(None);
        }
        writer.closed = true;
        self.context.check()?;
        let view = self.view();
        let (None, Some(active)) = (&self.damage, view.active()) else { return Ok(None) };
        let is_durable = !active.is_in_memory() && self.recovery_point() == view.end.offset;
        if is_durable && !self.topic_id_dirty.load(Ordering::Acquire) {
            return Ok(None);
        }
        let written = self.load_active_index(&view).and_then(|()| active.write_indexes(self.disk()));
        written.and_then(|()| self.take_snapshot(&mut writer)).map_err(|error| self.failed(error))?;
        Ok(Some((view, writer)))
    }

    /// Writes a topic id that is to be written beside its file. Says whether there is one.
    fn write_topic_id_beside(&self) -> DiskResult<bool> {
        let Some(id) = self.topic_id().filter(|_| self.topic_id_dirty.load(Ordering::Acquire)) else {
            return Ok(false);
        };
        let path = self.path().join(PARTITION_METADATA_FILE);
        write_beside(self.disk(), &path, format_partition_metadata(id).as_bytes())?;
        Ok(true)
    }

    fn sync_closed(&self, view: &View, snapshot: Offset) -> DiskResult<()> {
        if let Some(active) = view.active() {
            let file = self.context.files.get(active)?;
            file.sync()?;
            active.sync_indexes(self.disk())?;
        }
        self.sync_snapshot(snapshot)?;
        self.write_dirty_epochs()?;
        self.entries_dirty.store(true, Ordering::Release);
        self.sync_from(view, self.recovery_point())
    }

    fn finish_closing(&self, view: &View) {
        self.recovery_point.store(view.end.offset.0, Ordering::Release);
        if let Some(active) = view.active() {
            active.close_file();
        }
    }
}
