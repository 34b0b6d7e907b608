//! All log directories of a node.

use crate::config::LogConfig;
use crate::context::Environment;
use crate::directory::LogDirectory;
use crate::error::{OpenError, PartitionError, StorageError};
use crate::file_cache::FileCache;
use crate::index_cache::IndexCache;
use crate::log::Log;
use crate::moving::Move;
use crate::names::is_topic_name;
use crate::twice::{Continuation, continuation};
use ottla_env::Monotonic;
use ottla_types::{BrokerEpoch, DirectoryId, NodeId, TopicId, TopicPartition};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The topic of the metadata log, which the quorum opens itself.
const METADATA_TOPIC: &str = "__cluster_metadata";

/// How the directories are run; the names in quotes are those of the node's configuration.
#[derive(Clone, Debug)]
pub struct DirectoriesOptions {
    /// The cluster that the directories must belong to; the first directory decides when there is none.
    pub cluster_id: Option<String>,
    /// The node that they must belong to; likewise.
    pub node_id: Option<NodeId>,
    /// `metadata.log.dir`: where the metadata log lies. It may be none of the log directories.
    pub metadata_directory: Option<PathBuf>,
    /// How many segment files are kept open at most.
    pub open_files_max: usize,
    /// `num.recovery.threads.per.data.dir`.
    pub recovery_threads: usize,
    /// `log.retention.check.interval.ms`.
    pub retention_check_interval: Duration,
    /// `log.initial.task.delay.ms`: when retention and checkpoints have their first turn.
    pub initial_task_delay: Duration,
    /// `log.flush.offset.checkpoint.interval.ms`, for recovery points and log start offsets.
    pub checkpoint_interval: Duration,
    /// `replica.high.watermark.checkpoint.interval.ms`.
    pub high_watermark_checkpoint_interval: Duration,
    /// `producer.id.expiration.check.interval.ms`.
    pub producer_expiration_check_interval: Duration,
}

impl Default for DirectoriesOptions {
    fn default() -> Self {
        Self {
            cluster_id: None,
            node_id: None,
            metadata_directory: None,
            open_files_max: 4096,
            recovery_threads: 2,
            retention_check_interval: Duration::from_secs(300),
            initial_task_delay: Duration::from_secs(30),
            checkpoint_interval: Duration::from_secs(60),
            high_watermark_checkpoint_interval: Duration::from_secs(5),
            producer_expiration_check_interval: Duration::from_secs(600),
        }
    }
}

/// How much memory the indexes of sealed segments that are being read may take: those of a few full segments of the
/// default size.
const INDEX_CACHE_BYTES_MAX: usize = 16 << 20;

/// How often logs are looked at for records that have waited for `flush.ms`, and sealed segments are flushed.
const FLUSH_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// When what is due next.
struct Schedule {
    retention: Monotonic,
    checkpoint: Monotonic,
    high_watermarks: Monotonic,
    producers: Monotonic,
    flush: Monotonic,
}

/// All log directories of a node, and all logs in them. Does nothing by itself: what is to be done in time is done in
/// `tick`.
pub struct LogDirectories {
    directories: Vec<LogDirectory>,
    /// The directory of the metadata log when it is none of these: it holds no other log.
    metadata_only: Option<LogDirectory>,
    /// Directories that could not be opened because of their disk.
    failed: Vec<(PathBuf, OpenError)>,
    files: Arc<FileCache>,
    environment: Environment,
    options: DirectoriesOptions,
    schedule: Mutex<Schedule>,
    /// Logs on their way into another directory.
    pub(crate) moves: Mutex<BTreeMap<TopicPartition, Move>>,
}

/// A directory and the logs in it, as DescribeLogDirs shows them.
#[derive(Clone, Debug)]
pub struct DirectoryDescription {
    /// Where it is.
    pub path: PathBuf,
    /// Its id.
    pub id: DirectoryId,
    /// Whether it is offline.
    pub offline: bool,
    /// Bytes free and bytes in all of its file system.
    pub space: Option<(u64, u64)>,
    /// Its logs with their sizes, in order of their names, without the metadata log.
    pub logs: Vec<(TopicPartition, u64)>,
}

/// The directory of a partition and in which log directory it is.
type Found<'a> = (&'a LogDirectory, TopicPartition, PathBuf);

impl LogDirectories {
    /// Takes the directories into use: locks them and checks that they belong together and to this node. Their logs are
    /// not opened yet. A directory whose disk fails is left out, as long as there is another and it is not that of the
    /// metadata log; one that belongs elsewhere, is in use, or is not formatted, is an error.
    pub fn open(environment: Environment, paths: &[PathBuf], options: DirectoriesOptions) -> Result<Self, OpenError> {
        let files = Arc::new(FileCache::new(environment.disk.clone(), options.open_files_max));
        let indexes = Arc::new(IndexCache::new(INDEX_CACHE_BYTES_MAX));
        let mut directories: Vec<LogDirectory> = Vec::with_capacity(paths.len());
        let mut failed = Vec::new();
        let (mut cluster_id, mut node_id) = (options.cluster_id.clone(), options.node_id);
        let metadata = options.metadata_directory.clone().filter(|metadata| !paths.contains(metadata));
        for path in paths.iter().chain(&metadata) {
            let holds_metadata = options.metadata_directory.as_ref() == Some(path);
            let directory = match LogDirectory::open(&environment, path, files.clone(), indexes.clone()) {
                Ok(directory) => directory,
                Err(error @ OpenError::Disk(_)) if !holds_metadata => {
                    tracing::error!(%error, "a log directory can't be used");
                    failed.push((path.clone(), error));
                    continue;
                }
                Err(error) => return Err(error),
            };
            let found = directory.properties();
            let expected = cluster_id.get_or_insert_with(|| found.cluster_id.clone());
            if *expected != found.cluster_id {
                let (found, expected) = (found.cluster_id.clone(), expected.clone());
                return Err(OpenError::WrongCluster { path: path.clone(), found, expected });
            }
            let expected = *node_id.get_or_insert(found.node_id);
            if expected != found.node_id {
                return Err(OpenError::WrongNode { path: path.clone(), found: found.node_id, expected });
            }
            if let Some(twin) = directories.iter().find(|other| other.id() == directory.id()) {
                let what = format!("the directory id {}", twin.id());
                return Err(OpenError::Twice { first: twin.path().to_owned(), second: path.clone(), what });
            }
            directories.push(directory);
        }
        let metadata_only = directories.pop_if(|last| Some(last.path()) == metadata.as_deref());
        if directories.is_empty() {
            return Err(failed.pop().map_or(OpenError::None, |(_, error)| error));
        }
        // All belong together, and to this node: before that a refusal leaves them as they are.
        for directory in directories.iter().chain(&metadata_only) {
            directory.begin()?;
        }
        let now = environment.clock.monotonic();
        let schedule = Mutex::new(Schedule {
            retention: now + options.initial_task_delay,
            checkpoint: now + options.initial_task_delay,
            high_watermarks: now + options.high_watermark_checkpoint_interval,
            producers: now + options.producer_expiration_check_interval,
            flush: now + FLUSH_CHECK_INTERVAL,
        });
        Ok(Self { directories, metadata_only, failed, files, environment, options, schedule, moves: Mutex::default() })
    }

    /// Opens all logs but the metadata log, on several threads, each with the configuration that `config` gives it. After
    /// an unclean stop they are recovered. Gives those that can't be used, with the reason; the others are in use.
    pub fn load(&self, config: &(dyn Fn(&TopicPartition) -> LogConfig + Sync)) -> Vec<(TopicPartition, OpenError)> {
        let mut work = Vec::new();
        let mut failures = Vec::new();
        for directory in &self.directories {
            match directory.partition_directories() {
                Ok(found) => work.extend(found.into_iter().map(|(partition, path)| (directory, partition, path))),
                Err(error) => directory.context.take_offline(&error),
            }
        }
        work.retain(|(_, partition, _)| &*partition.topic != METADATA_TOPIC);
        work.sort_by(|a, b| a.1.cmp(&b.1));
        let mut unique: Vec<Found<'_>> = Vec::with_capacity(work.len());
        for item in work {
            match unique.pop_if(|(_, partition, _)| *partition == item.1) {
                Some(known) => {
                    let (kept, failure) = Self::choose_copy(known, item);
                    failures.extend(failure);
                    unique.push(kept);
                }
                None => unique.push(item),
            }
        }
        let queue = Mutex::new(unique.into_iter());
        let failed = Mutex::new(failures);
        let worker = || {
            loop {
                let Some((directory, partition, path)) = queue.lock().next() else { return };
                let config = config(&partition);
                if let Err(error) = directory.open_log(partition.clone(), path, config) {
                    tracing::error!(%partition, %error, "a log can't be opened");
                    failed.lock().push((partition, error));
                }
            }
        };
        let threads = self.options.recovery_threads.max(1) * self.directories.len();
        std::thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(worker);
            }
            worker();
        });
        let mut failures = failed.into_inner();
        failures.sort_by(|a, b| a.0.cmp(&b.0));
        failures
    }

    /// Of two copies of a partition the one that goes on from the other; the other is removed. When there is no such, the
    /// partition is not to be trusted before a person has chosen.
    fn choose_copy<'a>(first: Found<'a>, second: Found<'a>) -> (Found<'a>, Option<(TopicPartition, OpenError)>) {
        let continuation = continuation(first.0.context.disk(), &first.2, &second.2);
        let (kept, left) = match continuation {
            Ok(Some(Continuation::First)) => (first, second),
            Ok(Some(Continuation::Second)) => (second, first),
            Ok(None) | Err(_) => {
                let what = first.1.to_string();
                let error = OpenError::Twice { first: first.2.clone(), second: second.2, what };
                return (first, Some((second.1, error)));
            }
        };
        let (directory, partition, path) = left;
        tracing::warn!(%partition, kept = %kept.2.display(), removed = %path.display(),
            "two log directories hold the partition, since a move between them was interrupted");
        directory.retire(&partition, &path);
        (kept, None)
    }

    /// How many segment files are open.
    pub fn open_files(&self) -> usize {
        self.files.open_files()
    }

    /// The directories in use.
    pub fn directories(&self) -> &[LogDirectory] {
        &self.directories
    }

    /// The directories in use, and that of the metadata log where it is none of them.
    fn with_metadata(&self) -> impl Iterator<Item = &LogDirectory> {
        self.directories.iter().chain(&self.metadata_only)
    }

    /// The directory at a path, among those in use and that of the metadata log.
    pub fn directory_at(&self, path: &Path) -> Option<&LogDirectory> {
        self.with_metadata().find(|directory| directory.path() == path)
    }

    /// The directories that could not be opened, with the reason.
    pub fn failed(&self) -> &[(PathBuf, OpenError)] {
        &self.failed
    }

    /// The log of a partition.
    pub fn get(&self, partition: &TopicPartition) -> Option<Arc<Log>> {
        self.directories.iter().find_map(|directory| directory.logs.read().get(partition).cloned())
    }

    /// The directory that holds the log of a partition.
    pub fn directory_of(&self, partition: &TopicPartition) -> Option<&LogDirectory> {
        self.directories.iter().find(|directory| directory.logs.read().contains_key(partition))
    }

    /// All logs but the metadata log, in order of their names.
    pub fn logs(&self) -> Vec<Arc<Log>> {
        let mut logs: Vec<_> = self.directories.iter().flat_map(LogDirectory::logs).collect();
        logs.retain(|log| &*log.partition.topic != METADATA_TOPIC);
        logs.sort_by(|a, b| a.partition.cmp(&b.partition));
        logs
    }

    /// The log of a partition, made when there is none: in the directory asked for, else, and where that one is none of this node
    /// any more, in the one with the fewest. An existing log of another topic id is refused: it belongs to a topic that was deleted.
    pub fn get_or_create(
        &self,
        partition: &TopicPartition,
        topic_id: Option<TopicId>,
        config: LogConfig,
        directory: Option<DirectoryId>,
    ) -> Result<Arc<Log>, PartitionError> {
        let log = match self.get(partition) {
            Some(log) => log,
            None if !is_topic_name(&partition.topic) || partition.partition.0 < 0 => {
                return Err(PartitionError::InvalidTopic(partition.to_string()));
            }
            None => self.choose(directory).ok_or(PartitionError::NoDirectory)?.create_log(partition.clone(), config)?,
        };
        if let Some(id) = topic_id {
            log.set_topic_id(id)?;
        }
        Ok(log)
    }

    /// Opens or makes the metadata log, in the first directory or in that with the given path, which is in use.
    pub fn open_metadata_log(
        &self,
        directory: Option<&std::path::Path>,
        config: LogConfig,
    ) -> Result<Arc<Log>, OpenError> {
        let directory = match directory {
            Some(path) => self.directory_at(path),
            None => self.directories.first(),
        };
        let directory = directory.ok_or(OpenError::None)?;
        let partition = TopicPartition::new(METADATA_TOPIC, 0);
        let path = directory.path().join(partition.to_string());
        self.environment.disk.create_directory(&path)?;
        let log = directory.open_log(partition, path, config)?;
        log.set_topic_id(TopicId::METADATA_TOPIC).map_err(|error| match error {
            PartitionError::Storage(StorageError::Disk(error)) => OpenError::Disk(error),
            _ => OpenError::NotFormatted(log.path()),
        })?;
        Ok(log)
    }

    /// Where a new log goes: into the directory of that id if there is one, else into the one with the fewest. The metadata may name one
    /// that this node had on a disk that was lost, and what was there is to come here now. But while a directory is offline, that
    /// one may be meant, and the log in it.
    fn choose(&self, id: Option<DirectoryId>) -> Option<&LogDirectory> {
        let online = || self.directories.iter().filter(|directory| !directory.is_offline());
        let asked = id.and_then(|id| online().find(|directory| directory.id() == id));
        let all_work = self.failed.is_empty() && online().count() == self.directories.len();
        let any = || online().min_by_key(|directory| directory.logs.read().len());
        asked.or_else(|| if id.is_none() || all_work { any() } else { None })
    }

    /// Deletes a partition's log: it can't be used any more when this returns, nor does it come back after a crash. Its
    /// files are removed after `file.delete.delay.ms`. Says whether there was one.
    pub fn delete(&self, partition: &TopicPartition) -> Result<bool, StorageError> {
        self.directory_of(partition).map_or(Ok(false), |directory| directory.delete_log(partition))
    }

    /// Puts aside a partition's log that the cluster knows nothing of. Says whether there was one.
    pub fn set_stray(&self, partition: &TopicPartition) -> Result<bool, StorageError> {
        self.directory_of(partition).map_or(Ok(false), |directory| directory.set_stray(partition))
    }

    /// From now on, appends that `flush.messages` wants durable wait for syncs that they share. `wake` is called when there is
    /// something to make durable: it must only signal, and have somebody call [`Self::sync_waiting`].
    pub fn share_syncs(&self, wake: Arc<dyn Fn() + Send + Sync>) {
        for directory in &self.directories {
            // Whoever was first stays.
            _ = directory.context.wake_syncer.set(wake.clone());
            directory.logs().iter().for_each(|log| log.queue_sync_if_needed());
        }
    }

    /// One round of group commit: makes durable what waits for it, in all directories. Gives the logs that have waited; what
    /// of them may be acknowledged they say themselves. Takes as long as the disk does; only one thread may call it.
    pub fn sync_waiting(&self) -> Vec<Arc<Log>> {
        self.directories.iter().flat_map(LogDirectory::sync_waiting).collect()
    }

    /// Does what is due by time: flushes, checkpoints, retention, removal of deleted files. Gives the time at which it
    /// should be called next. Syncs files, and so may take a while; it must not be called by a thread that serves clients.
    pub fn tick(&self, now: Monotonic) -> Monotonic {
        let due = |at: &mut Monotonic, interval: Duration| {
            let is_due = *at <= now;
            if is_due {
                *at = now + interval;
            }
            is_due
        };
        let mut schedule = self.schedule.lock();
        let options = &self.options;
        let flush = due(&mut schedule.flush, FLUSH_CHECK_INTERVAL);
        let retention = due(&mut schedule.retention, options.retention_check_interval);
        let producers = due(&mut schedule.producers, options.producer_expiration_check_interval);
        let checkpoint = due(&mut schedule.checkpoint, options.checkpoint_interval);
        let high_watermarks = due(&mut schedule.high_watermarks, options.high_watermark_checkpoint_interval);
        let mut next = schedule.flush.min(schedule.retention).min(schedule.producers);
        next = next.min(schedule.checkpoint).min(schedule.high_watermarks);
        drop(schedule);
        for directory in self.with_metadata().filter(|directory| !directory.is_offline()) {
            if flush {
                directory.flush_due();
                if directory.bound_unsynced() {
                    report(directory.checkpoint());
                }
            }
            if retention {
                self.apply_retention(directory);
            }
            if producers {
                let wall = self.environment.clock.wall();
                directory.logs().iter().for_each(|log| _ = log.remove_expired_producers(wall));
            }
            if checkpoint {
                directory.sync_resting();
                report(directory.checkpoint());
            }
            if high_watermarks {
                report(directory.checkpoint_high_watermarks());
            }
            next = directory.remove_due(now).map_or(next, |removal| next.min(removal));
        }
        next
    }

    fn apply_retention(&self, directory: &LogDirectory) {
        report(directory.apply_retention(self.environment.clock.wall()));
    }

    /// Removes old segments of all logs now.
    pub fn apply_retention_now(&self) {
        self.directories.iter().for_each(|directory| self.apply_retention(directory));
    }

    /// Makes durable where the logs begin. Directories that have failed are left as they are.
    ///
    /// # Errors
    /// It could not be written in one of them.
    pub fn keep_log_starts(&self) -> Result<(), StorageError> {
        self.directories
            .iter()
            .filter(|directory| !directory.is_offline())
            .try_for_each(LogDirectory::checkpoint_log_starts)
    }

    /// Writes all checkpoints now.
    pub fn checkpoint(&self) {
        for directory in self.with_metadata().filter(|directory| !directory.is_offline()) {
            report(directory.checkpoint());
            report(directory.checkpoint_high_watermarks());
        }
    }

    /// A clean stop: all logs are closed and durable, and the next start need not scan them. Directories that have failed
    /// are left as they are.
    pub fn close(&self, epoch: BrokerEpoch) {
        for directory in self.with_metadata().filter(|directory| !directory.is_offline()) {
            report(directory.close(epoch));
        }
    }

    /// Bytes free and bytes in all of the file system of a path, where that can be told.
    pub fn space(&self, path: &Path) -> Option<(u64, u64)> {
        self.environment.disk.space(path).ok()
    }

    /// What DescribeLogDirs shows.
    pub fn describe(&self) -> Vec<DirectoryDescription> {
        let describe = |directory: &LogDirectory| DirectoryDescription {
            path: directory.path().to_owned(),
            id: directory.id(),
            offline: directory.is_offline(),
            space: self.space(directory.path()),
            logs: directory
                .logs()
                .iter()
                .filter(|log| &*log.partition.topic != METADATA_TOPIC)
                .map(|log| (log.partition.clone(), log.size().unwrap_or(0)))
                .collect(),
        };
        self.directories.iter().map(describe).collect()
    }
}

fn report(result: Result<(), StorageError>) {
    if let Err(error) = result {
        tracing::warn!(%error, "a log directory could not be looked after");
    }
}
