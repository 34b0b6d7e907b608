use super::RecoveryError;
use crate::quorum::QuorumError;
use crate::quorum::batches::{ReadBatch, read_batches};
use crate::quorum::files::QuorumFiles;
use crate::quorum::format::METADATA_DIRECTORY;
use crate::quorum::start::{Loaded, OLDER_BOOTSTRAP_BYTES_MAX, OLDER_BOOTSTRAP_FILE, load_snapshot, whole_batches};
use ottla_config::NodeConfig;
use ottla_env::OpenMode;
use ottla_log::format::MetaProperties;
use ottla_log::{Environment, read_file, read_meta_properties};
use ottla_metadata::{LoadedBatch, MetadataImage};
use ottla_raft::{KraftVersion, OffsetAndEpoch, SnapshotId, VoterSet};
use ottla_records::Batches;
use ottla_types::{LeaderEpoch, Offset};
use std::path::{Path, PathBuf};

/// How much of a segment is read at once, unless a batch is larger.
const READ_BYTES: usize = 1 << 20;
const SEGMENT_SUFFIX: &str = ".log";

/// What the directory of a stopped node holds of the metadata. Reading it changes nothing.
pub struct Survivor {
    /// Whose directory it is.
    pub properties: MetaProperties,
    /// The directory of the metadata log.
    pub directory: PathBuf,
    /// Where the log ends, with the epoch of its last record. Of several survivors the one with the latest epoch is the most
    /// complete, and of those the one that ends last.
    pub end: OffsetAndEpoch,
    /// The newest epoch that the node knows of: of its log, or of `quorum-state`.
    pub epoch: LeaderEpoch,
    /// The newest snapshot.
    pub snapshot: Option<SnapshotId>,
    /// How many bytes at the end of the log are no whole batch.
    pub torn_bytes: u64,
    /// Whether the log ends within a metadata transaction, whose records don't count.
    pub has_open_transaction: bool,
    /// The level of `kraft.version`.
    pub version: KraftVersion,
    /// The voters of the log; none while they stand in the properties.
    pub voters: VoterSet,
    /// Everything that snapshot and log say.
    pub image: MetadataImage,
}

impl Survivor {
    /// Reads the metadata of a node that does not run.
    ///
    /// # Errors
    /// The directory is not this node's, or is damaged.
    pub fn read(environment: &Environment, config: &NodeConfig) -> Result<Self, RecoveryError> {
        if !config.process_roles.controller {
            return Err(RecoveryError::NoController);
        }
        let log_directory = PathBuf::from(&config.metadata_log_dir);
        let properties = read_meta_properties(environment, &log_directory)?;
        let properties = properties.ok_or_else(|| RecoveryError::Unformatted(log_directory.clone()))?;
        if properties.node_id != config.node_id {
            let (stored, configured) = (properties.node_id, config.node_id);
            return Err(RecoveryError::OtherNode { directory: log_directory, stored, configured });
        }
        let directory = log_directory.join(METADATA_DIRECTORY);
        if !environment.disk.exists(&directory)? {
            return Err(RecoveryError::NoMetadata(log_directory));
        }
        let (disk, clock) = (environment.disk.clone(), environment.clock.clone());
        let files = QuorumFiles { disk, clock, directory: directory.clone() };
        let snapshot = files.snapshots()?.pop();
        let mut loaded = load_newest(&files, snapshot, &log_directory)?;
        let torn_bytes = load_segments(&files, snapshot, &mut loaded)?;
        let end = loaded.quorum.end();
        if end.offset == Offset::ZERO {
            return Err(RecoveryError::NoMetadata(log_directory));
        }
        let election = files.read_quorum_state()?;
        Ok(Self {
            properties,
            directory,
            end,
            epoch: election.map_or(end.epoch, |election| election.epoch.max(end.epoch)),
            snapshot,
            torn_bytes,
            has_open_transaction: loaded.loader.transaction_start().is_some(),
            version: loaded.quorum.version(),
            voters: loaded.quorum.voters_entry().map(|(_, voters)| voters.clone()).unwrap_or_default(),
            image: loaded.loader.published().clone(),
        })
    }
}

/// What the newest snapshot says, or what formatting by older releases left.
fn load_newest(
    files: &QuorumFiles,
    snapshot: Option<SnapshotId>,
    log_directory: &Path,
) -> Result<Loaded, RecoveryError> {
    if let Some(newest) = snapshot {
        return Ok(load_snapshot(&files.read_snapshot(newest)?, &files.snapshot_path(newest), newest)?);
    }
    let path = log_directory.join(OLDER_BOOTSTRAP_FILE);
    let contents = read_file(&*files.disk, &path, OLDER_BOOTSTRAP_BYTES_MAX)?;
    Ok(load_snapshot(&contents.unwrap_or_default(), &path, SnapshotId::BOOTSTRAP)?)
}

/// Reads the log behind the snapshot. Returns how many bytes at its end are no whole batch.
fn load_segments(files: &QuorumFiles, snapshot: Option<SnapshotId>, loaded: &mut Loaded) -> Result<u64, RecoveryError> {
    let mut segments = Vec::new();
    for (name, _) in files.disk.list(&files.directory)? {
        let offset = name.strip_suffix(SEGMENT_SUFFIX).and_then(|offset| offset.parse::<i64>().ok());
        segments.extend(offset.map(|offset| (Offset(offset), files.directory.join(&name))));
    }
    segments.sort();
    let behind = snapshot.map_or(Offset::ZERO, |snapshot| snapshot.0.offset);
    // The last segment that begins at or before the snapshot's end is the first that has something behind it.
    let first = segments.iter().rposition(|(offset, _)| *offset <= behind).unwrap_or_default();
    let segments = segments.split_off(first.min(segments.len()));
    let mut reading =
        Reading { behind, epoch: snapshot.map(|snapshot| snapshot.0.epoch), next: behind, is_other: false };
    for (i, (_, path)) in segments.iter().enumerate() {
        match read_segment(files, path, |batch| reading.keep(batch, loaded))? {
            None => {}
            Some(damage) if i + 1 < segments.len() => {
                return Err(RecoveryError::Damaged { path: path.clone(), position: damage.position });
            }
            Some(damage) => return Ok(damage.bytes),
        }
    }
    Ok(0)
}

/// What of the log counts: what follows on the snapshot. A log that ends before it, or has another record where it ends, is that of a
/// node that died while the snapshot took the log's place: it starts anew there.
struct Reading {
    behind: Offset,
    /// The epoch of the snapshot.
    epoch: Option<LeaderEpoch>,
    next: Offset,
    is_other: bool,
}

impl Reading {
    fn keep(&mut self, batch: ReadBatch, loaded: &mut Loaded) -> Result<(), QuorumError> {
        if batch.last_offset < self.behind {
            let ends_there = batch.last_offset.next() == self.behind;
            self.is_other = ends_there && self.epoch.is_some_and(|epoch| epoch != batch.epoch);
        }
        if batch.last_offset < self.next || self.is_other {
            return Ok(());
        }
        self.next = batch.last_offset.next();
        let (summary, batch) = batch.into_parts();
        loaded.quorum.note_durable(&summary)?;
        loaded.loader.load(LoadedBatch {
            base_offset: batch.base_offset,
            last_offset: batch.last_offset,
            epoch: batch.epoch,
            timestamp: batch.timestamp,
            records: &batch.records,
        })?;
        // The image of a log that ends within a transaction is the one before it.
        loaded.loader.publish();
        Ok(())
    }
}

/// Where the last whole and undamaged batch of a segment ends, and how much is behind.
struct Tear {
    position: u64,
    bytes: u64,
}

/// Reads a segment batch by batch, up to its end or to what is no sound batch.
fn read_segment(
    files: &QuorumFiles,
    path: &Path,
    mut each: impl FnMut(ReadBatch) -> Result<(), QuorumError>,
) -> Result<Option<Tear>, RecoveryError> {
    let file = files.disk.open(path, OpenMode::Read)?;
    let length = file.length()?;
    let (mut position, mut size) = (0, READ_BYTES);
    while position < length {
        let rest = usize::try_from(length - position).unwrap_or(usize::MAX);
        let mut bytes = vec![0; rest.min(size)];
        let read = file.read_at(&mut bytes, position)?;
        bytes.truncate(read);
        let whole = whole_batches(&bytes);
        let sound = sound_batches(whole);
        read_batches(sound, path, &mut each)?;
        position += sound.len() as u64;
        if sound.len() < whole.len() || (whole.is_empty() && bytes.len() >= rest) {
            return Ok(Some(Tear { position, bytes: length - position }));
        }
        // No batch is larger than the segment, so this ends.
        size = if whole.is_empty() { size.saturating_mul(2) } else { READ_BYTES };
    }
    Ok(None)
}

/// The bytes up to the first batch that is damaged.
fn sound_batches(bytes: &[u8]) -> &[u8] {
    let mut batches = Batches::new(bytes);
    let mut end = 0;
    while let Some(Ok(batch)) = batches.next() {
        if !batch.is_checksum_valid() {
            break;
        }
        end = batches.position();
    }
    bytes.get(..end).unwrap_or_default()
}
