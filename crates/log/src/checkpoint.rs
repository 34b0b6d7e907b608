//! A checkpoint file of a directory: one offset per partition.

use crate::format::{format_offset_checkpoint, parse_offset_checkpoint};
use crate::small_file::{read_file, replace_file};
use ottla_env::{Disk, DiskResult};
use ottla_types::{Offset, TopicPartition};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One offset per partition.
pub(crate) type Offsets = BTreeMap<TopicPartition, Offset>;

/// The most that a checkpoint file may have: a million partitions with the longest names fit.
const LENGTH_MAX: u64 = 512 << 20;

/// A checkpoint file, and what it holds. Old or new after a crash, never mixed.
pub(crate) struct OffsetCheckpoint {
    path: PathBuf,
    written: Mutex<Offsets>,
}

impl OffsetCheckpoint {
    /// Reads a checkpoint file. One that can't be read is left out: without it more is scanned, or read again by consumers
    /// and followers, but nothing is lost.
    pub(crate) fn open(disk: &dyn Disk, directory: &Path, name: &str) -> DiskResult<Self> {
        let path = directory.join(name);
        let contents = read_file(disk, &path, LENGTH_MAX)?.unwrap_or_default();
        let offsets = parse_offset_checkpoint(&contents).unwrap_or_else(|error| {
            tracing::warn!(path = %path.display(), %error, "leaving out a checkpoint file");
            Offsets::new()
        });
        Ok(Self { path, written: Mutex::new(offsets) })
    }

    /// What the file says of a partition; 0 when it says nothing.
    pub(crate) fn get(&self, partition: &TopicPartition) -> Offset {
        self.written.lock().get(partition).copied().unwrap_or(Offset::ZERO)
    }

    /// Whether the file says anything of a partition.
    pub(crate) fn knows(&self, partition: &TopicPartition) -> bool {
        self.written.lock().contains_key(partition)
    }

    /// Replaces the file, durably, by what `collect` gives. Nothing is written when nothing has changed.
    ///
    /// What is collected is collected while nobody else writes: else what another one has raised or lowered since would be
    /// written back.
    pub(crate) fn write(&self, disk: &dyn Disk, collect: impl FnOnce(&Offsets) -> Offsets) -> DiskResult<()> {
        let mut written = self.written.lock();
        let offsets = collect(&written);
        if *written != offsets {
            self.replace(disk, &offsets)?;
            *written = offsets;
        }
        Ok(())
    }

    /// Sets the offset of one partition in the file, durably.
    pub(crate) fn set(&self, disk: &dyn Disk, partition: &TopicPartition, offset: Offset) -> DiskResult<()> {
        let mut written = self.written.lock();
        if written.insert(partition.clone(), offset) != Some(offset) {
            self.replace(disk, &written)?;
        }
        Ok(())
    }

    /// Raises the offset of one partition in the file, durably, if it is smaller there.
    pub(crate) fn raise(&self, disk: &dyn Disk, partition: &TopicPartition, offset: Offset) -> DiskResult<()> {
        let mut written = self.written.lock();
        if written.get(partition).is_none_or(|point| *point < offset) {
            written.insert(partition.clone(), offset);
            self.replace(disk, &written)?;
        }
        Ok(())
    }

    /// Lowers the offset of one partition in the file, durably, if it is greater there.
    pub(crate) fn lower(&self, disk: &dyn Disk, partition: &TopicPartition, offset: Offset) -> DiskResult<()> {
        let mut written = self.written.lock();
        if let Some(point) = written.get_mut(partition)
            && *point > offset
        {
            *point = offset;
            self.replace(disk, &written)?;
        }
        Ok(())
    }

    fn replace(&self, disk: &dyn Disk, offsets: &Offsets) -> DiskResult<()> {
        replace_file(disk, &self.path, format_offset_checkpoint(offsets).as_bytes())
    }
}
