//! Putting a compacted segment in the place of those that it was made of.

use super::CompactionError;
use crate::context::RemovalKind;
use crate::format::AbortedTransaction;
use crate::log::{Log, Writer};
use crate::names::{CLEANED_FILE_SUFFIX, FileKind, SWAP_FILE_SUFFIX};
use crate::segment::{MemoryIndex, Segment};
use crate::small_file::remove_file_if_exists;
use ottla_env::{DiskResult, File, OpenMode};
use ottla_types::Offset;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The files of a segment in the order in which they get new names: its batches last, so that a name with `.swap` and batches
/// in it says that everything else is there.
const KINDS: [FileKind; 4] = [FileKind::OffsetIndex, FileKind::TimeIndex, FileKind::TransactionIndex, FileKind::Log];

/// A compacted segment in `.cleaned` files.
pub(super) struct Cleaned {
    pub(super) base_offset: Offset,
    pub(super) size: u64,
    pub(super) index: MemoryIndex,
    pub(super) aborted: Vec<AbortedTransaction>,
}

impl Cleaned {
    /// An empty file for the batches. What an earlier attempt has left is emptied.
    pub(super) fn create(log: &Log, base_offset: Offset) -> Result<Arc<dyn File>, CompactionError> {
        let path = path(log, FileKind::Log, base_offset, CLEANED_FILE_SUFFIX);
        Ok(log.disk().open(&path, OpenMode::CreateTruncate).map_err(|error| log.failed(error))?)
    }

    /// Writes the indexes and makes everything durable.
    pub(super) fn finish(&self, log: &Log, batches: &dyn File) -> Result<(), CompactionError> {
        self.write(log, batches).map_err(|error| log.failed(error).into())
    }

    fn write(&self, log: &Log, batches: &dyn File) -> DiskResult<()> {
        let mut index = self.index.clone();
        index.add_largest(self.base_offset);
        let aborted: Vec<u8> = self.aborted.iter().flat_map(AbortedTransaction::to_bytes).collect();
        let contents = [
            (FileKind::OffsetIndex, index.offsets.to_bytes()),
            (FileKind::TimeIndex, index.times.to_bytes()),
            (FileKind::TransactionIndex, aborted),
        ];
        for (kind, bytes) in contents {
            let path = path(log, kind, self.base_offset, CLEANED_FILE_SUFFIX);
            if kind == FileKind::TransactionIndex && bytes.is_empty() {
                remove_file_if_exists(log.disk(), &path)?;
                continue;
            }
            let file = log.disk().open(&path, OpenMode::CreateTruncate)?;
            file.write_at(&bytes, 0)?;
            file.sync()?;
        }
        batches.sync()?;
        log.context.sync_directory(&log.path())
    }

    fn rename(&self, log: &Log, from: &str, to: &str) -> DiskResult<()> {
        for kind in KINDS {
            let renamed =
                log.disk().rename(&path(log, kind, self.base_offset, from), &path(log, kind, self.base_offset, to));
            match renamed {
                Err(error) if error.is_not_found() && kind == FileKind::TransactionIndex => {}
                other => other?,
            }
        }
        Ok(())
    }

    fn discard(&self, log: &Log) -> DiskResult<()> {
        for kind in KINDS {
            remove_file_if_exists(log.disk(), &path(log, kind, self.base_offset, CLEANED_FILE_SUFFIX))?;
        }
        Ok(())
    }
}

fn path(log: &Log, kind: FileKind, base_offset: Offset, suffix: &str) -> PathBuf {
    let mut path = log.path.file(kind, base_offset).into_os_string();
    path.push(suffix);
    PathBuf::from(path)
}

impl Log {
    /// Puts a compacted segment in the place of a group. Appends and other changes wait; readers see the old segments or the
    /// new one, and what they hold of the old ones stays readable.
    pub(super) fn swap(
        &self,
        group: &[Arc<Segment>],
        cleaned: Cleaned,
        truncations: u64,
    ) -> Result<(), CompactionError> {
        let mut writer = self.writer.lock();
        if !self.still_has(&writer, group, truncations) {
            cleaned.discard(self).map_err(|error| self.failed(error))?;
            return Err(CompactionError::Overtaken);
        }
        self.change_places(&mut writer, group, &cleaned).map_err(|error| self.failed(error).into())
    }

    fn still_has(&self, writer: &Writer, group: &[Arc<Segment>], truncations: u64) -> bool {
        let view = self.view.read();
        let is_there = |segment: &Arc<Segment>| view.segments.iter().any(|other| Arc::ptr_eq(other, segment));
        !writer.closed && self.truncations.load(Ordering::Acquire) == truncations && group.iter().all(is_there)
    }

    fn change_places(&self, writer: &mut Writer, group: &[Arc<Segment>], cleaned: &Cleaned) -> DiskResult<()> {
        cleaned.rename(self, CLEANED_FILE_SUFFIX, SWAP_FILE_SUFFIX)?;
        // From here on a start finishes the change.
        self.context.sync_directory(&self.path())?;
        let delay = self.config().file_delete_delay_ms;
        for segment in group.iter().rev() {
            for path in segment.mark_deleted(self.disk())? {
                self.context.remove_later(path, RemovalKind::File, delay);
            }
            if segment.base_offset != cleaned.base_offset && writer.snapshots.remove(&segment.base_offset) {
                let snapshot = self.path.file(FileKind::ProducerSnapshot, segment.base_offset);
                remove_file_if_exists(self.disk(), &snapshot)?;
            }
        }
        cleaned.rename(self, SWAP_FILE_SUFFIX, "")?;
        self.context.sync_directory(&self.path())?;
        self.publish_compacted(group, cleaned);
        Ok(())
    }

    fn publish_compacted(&self, group: &[Arc<Segment>], cleaned: &Cleaned) {
        let (created, jitter) = group.last().map_or_else(Default::default, |last| (last.created, last.roll_jitter_ms));
        let new = Segment::existing(cleaned.base_offset, self.path.clone(), created, jitter);
        new.set_size(cleaned.size);
        new.set_has_aborted(!cleaned.aborted.is_empty());
        let mut view = self.view.write();
        let is_replaced = |segment: &Arc<Segment>| group.iter().any(|old| Arc::ptr_eq(old, segment));
        let mut segments: Vec<Arc<Segment>> = Vec::with_capacity(view.segments.len());
        for segment in view.segments.iter() {
            if !is_replaced(segment) {
                segments.push(segment.clone());
            } else if segment.base_offset == cleaned.base_offset {
                segments.push(new.clone());
            }
        }
        view.segments = segments.into();
        // Positions in the old segments mean nothing in the new one.
        view.high_watermark_position = None;
    }
}
