//! Moving a log into another log directory (KIP-113).
//!
//! **Order.** The log is copied into a `-future` directory while it is used. When little is missing, appends wait: the rest is
//! copied and made durable, the copy gets the partition's name, and the original gets that of a deleted one. Until the copy
//! has its name a crash leaves the original as it was, and the next start removes the copy.

use crate::directories::LogDirectories;
use crate::directory::LogDirectory;
use crate::error::{OpenError, PartitionError, StorageError};
use crate::log::{Log, View, Writer};
use crate::names::{
    FileKind, LEADER_EPOCH_FILE, PARTITION_METADATA_FILE, delete_directory_name, future_directory_name,
};
use crate::recovery::LoadFrom;
use crate::segment::Segment;
use crate::small_file::remove_file_if_exists;
use ottla_env::{DiskResult, EntryKind, OpenMode};
use ottla_types::{DirectoryId, TopicPartition};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// How much of one log is copied before the next one's turn.
const COPY_BYTES_MAX: u64 = 32 << 20;
/// With so little left to copy, appends are made to wait for it.
const REST_BYTES_MAX: u64 = 1 << 20;
const CHUNK: usize = 1 << 20;

/// A log on its way.
pub(crate) struct Move {
    log: Arc<Log>,
    /// The id of the directory it goes to.
    target: DirectoryId,
    /// Where the copy is.
    path: PathBuf,
    /// The segments of which something is copied, and how much.
    copied: Vec<(Arc<Segment>, u64)>,
    /// How often the log had been truncated then.
    truncations: u64,
}

/// A copy that is being filled, as DescribeLogDirs shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FutureDescription {
    /// The partition.
    pub partition: TopicPartition,
    /// The directory it goes to.
    pub directory: DirectoryId,
    /// The bytes that are copied.
    pub size: u64,
    /// How many records are missing, at most.
    pub offset_lag: i64,
}

/// What one round of copying has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// The logs whose move may end.
    pub ready: Vec<TopicPartition>,
    /// The bytes that were copied.
    pub bytes: u64,
}

impl LogDirectories {
    /// Begins to move a log into the directory of this path. Nothing happens when it is there already, and a move elsewhere
    /// that is under way ends.
    pub fn begin_move(&self, partition: &TopicPartition, path: &Path) -> Result<(), PartitionError> {
        let target = self.directories().iter().find(|directory| directory.path() == path);
        let target = target.ok_or(PartitionError::NoDirectory)?;
        target.context.check()?;
        let log = self.get(partition).ok_or_else(|| PartitionError::NotHere(partition.clone()))?;
        log.context.check()?;
        let mut moves = self.moves.lock();
        if let Some(under_way) = moves.get(partition) {
            if under_way.target == target.id() {
                return Ok(());
            }
            let ended = moves.remove(partition);
            ended.iter().for_each(|ended| self.give_up(ended));
        }
        if log.directory_path() == path {
            return Ok(());
        }
        let unique = log.context.environment.random.uuid();
        let path = target.path().join(future_directory_name(partition, unique));
        let truncations = log.truncations.load(Ordering::Acquire);
        log.disk().create_directory(&path).map_err(|error| target.context.failed(error))?;
        moves.insert(partition.clone(), Move { log, target: target.id(), path, copied: Vec::new(), truncations });
        Ok(())
    }

    /// The copies that are being filled.
    pub fn moves(&self) -> Vec<FutureDescription> {
        let describe = |(partition, moving): (&TopicPartition, &Move)| {
            let copied_to =
                moving.copied.last().map_or(moving.log.log_start_offset(), |(segment, _)| segment.base_offset);
            FutureDescription {
                partition: partition.clone(),
                directory: moving.target,
                size: moving.bytes(),
                offset_lag: moving.log.log_end_offset().since(copied_to).max(0),
            }
        };
        self.moves.lock().iter().map(describe).collect()
    }

    /// Copies a part of every log that is on its way, at most so many bytes of all of them. Those of which little is missing
    /// are ready for [`Self::finish_move`]; what that will copy counts as copied.
    pub fn copy_moves(&self, bytes_max: u64) -> Copied {
        let mut copied = Copied::default();
        self.moves.lock().retain(|partition, moving| {
            let Some(target) = self.directories().iter().find(|directory| directory.id() == moving.target) else {
                return false;
            };
            let budget = bytes_max.saturating_sub(copied.bytes);
            if budget == 0 {
                return true;
            }
            let before = moving.bytes();
            match moving.copy(budget.min(COPY_BYTES_MAX)) {
                Ok(rest) => {
                    copied.bytes += moving.bytes().saturating_sub(before);
                    if rest <= REST_BYTES_MAX {
                        copied.bytes += rest;
                        copied.ready.push(partition.clone());
                    }
                    true
                }
                Err(error) => {
                    // What failed may be the reading as well as the writing; only the latter costs the target its trust.
                    let error = target.context.failed(error);
                    tracing::warn!(%partition, %error, "a log can't be moved");
                    self.give_up(moving);
                    false
                }
            }
        });
        copied
    }

    /// Ends the move of a log: appends wait meanwhile, and then find the log closed. Gives the log in its new place, with the
    /// directory's id; `None` when there is no such move.
    pub fn finish_move(&self, partition: &TopicPartition) -> Result<Option<(Arc<Log>, DirectoryId)>, StorageError> {
        let Some(mut moving) = self.moves.lock().remove(partition) else { return Ok(None) };
        let by_id = |id| self.directories().iter().find(move |directory| directory.id() == id);
        let source = self.directory_of(partition).filter(|source| source.path() == moving.log.directory_path());
        let (Some(source), Some(target)) = (source, by_id(moving.target)) else {
            self.give_up(&moving);
            return Ok(None);
        };
        let moved = moving.finish(source, target);
        if moved.is_err() {
            self.give_up(&moving);
        }
        moved.map(|log| Some((log, target.id())))
    }

    /// Has the copy removed.
    fn give_up(&self, moving: &Move) {
        if let Some(target) = self.directories().iter().find(|directory| directory.id() == moving.target) {
            target.context.remove_later(moving.path.clone(), crate::context::RemovalKind::Directory, 0);
        }
    }
}

impl Move {
    /// What is copied.
    fn bytes(&self) -> u64 {
        self.copied.iter().map(|(_, bytes)| bytes).sum()
    }

    /// Copies at most so many bytes of what is new, and says how many are left.
    fn copy(&mut self, bytes_max: u64) -> DiskResult<u64> {
        let log = self.log.clone();
        // In this order: a truncation in between is seen the next time.
        let truncations = log.truncations.load(Ordering::Acquire);
        let view = log.view();
        self.forget_what_changed(&log, &view, truncations)?;
        let (mut budget, mut rest) = (bytes_max, 0);
        for segment in view.segments.iter() {
            let size = log.size_in(&view, segment)?;
            let known = self.copied.iter().position(|(copied, _)| Arc::ptr_eq(copied, segment));
            let number = known.unwrap_or(self.copied.len());
            if known.is_none() {
                self.copied.push((segment.clone(), 0));
            }
            let Some((_, copied)) = self.copied.get_mut(number) else { continue };
            let wanted = (size - *copied).min(budget);
            let to = self.path.join(FileKind::Log.file_name(segment.base_offset));
            copy_range(&log, segment, &to, *copied, wanted)?;
            *copied += wanted;
            budget -= wanted;
            rest += size - *copied;
        }
        Ok(rest)
    }

    /// Removes the copies of segments that are gone, replaced, or shorter than they were. After a truncation what is as long
    /// as before may be something else.
    fn forget_what_changed(&mut self, log: &Log, view: &View, truncations: u64) -> DiskResult<()> {
        let was_truncated = core::mem::replace(&mut self.truncations, truncations) != truncations;
        let mut kept = Vec::with_capacity(self.copied.len());
        for (segment, bytes) in self.copied.drain(..) {
            let is_same = view.segments.iter().any(|now| Arc::ptr_eq(now, &segment));
            if is_same && !was_truncated && log.size_in(view, &segment)? >= bytes {
                kept.push((segment, bytes));
            } else {
                let copy = self.path.join(FileKind::Log.file_name(segment.base_offset));
                remove_file_if_exists(log.disk(), &copy)?;
            }
        }
        self.copied = kept;
        Ok(())
    }

    fn finish(&mut self, source: &LogDirectory, target: &LogDirectory) -> Result<Arc<Log>, StorageError> {
        let log = self.log.clone();
        let mut writer = log.writer.lock();
        log.check_writable(&writer)?;
        // Whoever waits for a sync gets it here, before the log is closed.
        log.flush_locked(&mut writer)?;
        log.write_topic_id()?;
        let view = log.view();
        self.write_small_files(&mut writer, &view).map_err(|error| source.context.failed(error))?;
        let path = target.path().join(log.partition.to_string());
        self.make_durable(&view, target, &path).map_err(|error| target.context.failed(error))?;
        writer.closed = true;
        drop(writer);
        let from = LoadFrom {
            clean: true,
            recovery_point: view.end.offset,
            log_start_offset: view.log_start_offset,
            high_watermark: log.high_watermark(),
            cleaned: ottla_types::Offset::ZERO,
        };
        let (partition, config) = (log.partition.clone(), (*log.config()).clone());
        let moved = Log::open(&target.context, path, partition.clone(), config, from).map_err(|error| match error {
            OpenError::Disk(error) => target.context.failed(error),
            error => {
                tracing::error!(%partition, %error, "a moved log can't be opened");
                StorageError::Closed(partition.clone())
            }
        })?;
        let moved = Arc::new(moved);
        target.logs.write().insert(partition.clone(), moved.clone());
        source.logs.write().remove(&partition);
        let unique = source.context.environment.random.uuid();
        let old = source.move_away(&log, &delete_directory_name(&partition, unique))?;
        source.context.remove_later(old, crate::context::RemovalKind::Directory, log.config().file_delete_delay_ms);
        Ok(moved)
    }

    /// What an opened log does without, written as at a clean stop.
    fn write_small_files(&self, writer: &mut Writer, view: &View) -> DiskResult<()> {
        let log = &self.log;
        log.load_active_index(view)?;
        if let Some(active) = view.active() {
            active.write_indexes(log.disk())?;
        }
        let nobody_else = log.flushing.lock();
        log.write_dirty_epochs()?;
        drop(nobody_else);
        log.take_snapshot(writer)
    }

    /// **Order:** contents and names of the copy, then the directory's checkpoints of it, then its name.
    fn make_durable(&mut self, view: &View, target: &LogDirectory, path: &Path) -> DiskResult<()> {
        let log = self.log.clone();
        self.copy(u64::MAX)?;
        self.copy_small_files(view)?;
        let disk = log.disk();
        for (name, _) in disk.list(&self.path)? {
            disk.open(&self.path.join(name), OpenMode::ReadWrite)?.sync()?;
        }
        disk.sync_directory(&self.path)?;
        target.context.recovery_points.set(disk, &log.partition, view.end.offset)?;
        target.context.log_starts.set(disk, &log.partition, view.log_start_offset)?;
        disk.rename(&self.path, path)?;
        disk.sync_directory(target.path())
    }

    fn copy_small_files(&self, view: &View) -> DiskResult<()> {
        let (disk, from) = (self.log.disk(), self.log.path());
        for (name, kind) in disk.list(&from)? {
            let is_small = match FileKind::parse_name(&name) {
                Some((_, FileKind::Log, _)) => false,
                Some((_, FileKind::ProducerSnapshot, suffix)) => suffix.is_empty(),
                Some((offset, _, suffix)) => {
                    suffix.is_empty() && view.segments.iter().any(|segment| segment.base_offset == offset)
                }
                None => name == LEADER_EPOCH_FILE || name == PARTITION_METADATA_FILE,
            };
            if is_small && kind == EntryKind::File {
                let contents = crate::small_file::read_file(disk, &from.join(&name), u64::MAX)?.unwrap_or_default();
                disk.open(&self.path.join(&name), OpenMode::CreateTruncate)?.write_at(&contents, 0)?;
            }
        }
        Ok(())
    }
}

fn copy_range(log: &Log, segment: &Arc<Segment>, to: &Path, from: u64, length: u64) -> DiskResult<()> {
    let source = log.context.files.get(segment)?;
    let copy = log.disk().open(to, OpenMode::CreateReadWrite)?;
    let mut buffer = vec![0; usize::try_from(length).unwrap_or(CHUNK).min(CHUNK)];
    let mut done = 0;
    while done < length {
        let wanted = usize::try_from(length - done).unwrap_or(CHUNK).min(buffer.len());
        let read = source.read_at(buffer.get_mut(..wanted).unwrap_or_default(), from + done)?;
        if read == 0 {
            break;
        }
        copy.write_at(buffer.get(..read).unwrap_or_default(), from + done)?;
        done += read as u64;
    }
    Ok(())
}
