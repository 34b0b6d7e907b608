//! From a directory to a running quorum.

use super::appended::Appended;
use super::batches::{ReadBatch, read_batches};
use super::files::QuorumFiles;
use super::inner::Inner;
use super::periods::{periods, timeouts};
use super::snapshots::Snapshots;
use super::{Mailbox, MetadataQuorum, Publish, QuorumError};
use crate::peers::Peers;
use core::time::Duration;
use ottla_config::{HostPort, NodeConfig};
use ottla_controller::{Controller, Settings as ControllerSettings};
use ottla_env::{Clock, Disk, OpenMode, Random};
use ottla_log::{Log, ReadBound, ReadRequest, read_file};
use ottla_metadata::{MetadataDelta, MetadataImage, MetadataLoader, Provenance, VersionedRecord};
use ottla_raft::{
    Address, ControlRecord, ControllerEndpoint, ElectionState, KraftVersion, LogState, Membership, Raft, ReplicaKey,
    RetainedSnapshot, Settings, SnapshotId, SnapshotPolicy, SnapshotRetention, Voter, VoterSet,
};
use ottla_records::Batches;
use ottla_types::{DirectoryId, LeaderEpoch, NodeId, Offset, Timestamp};
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;

/// How much of the log is read at once while it is loaded.
const LOAD_BYTES: usize = 1 << 20;
/// The first batch of a snapshot holds the header and the voters; this is much more than it ever has.
const SNAPSHOT_START_BYTES: usize = 64 << 10;

/// Where formatting by older releases of Apache Kafka left the first records, in the log directory.
pub(super) const OLDER_BOOTSTRAP_FILE: &str = "bootstrap.checkpoint";
pub(super) const OLDER_BOOTSTRAP_BYTES_MAX: u64 = 16 << 20;

/// What a quorum starts from.
pub(crate) struct QuorumOptions {
    pub(crate) config: Arc<NodeConfig>,
    pub(crate) cluster_id: String,
    /// The id of the directory that holds the metadata log.
    pub(crate) directory_id: DirectoryId,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) log: Arc<Log>,
    /// How other replicas are asked.
    pub(crate) peers: Peers,
    /// Where their answers wait.
    pub(crate) mailbox: Arc<Mailbox>,
}

/// A quorum whose directory is read, but which does not lead yet: the node first opens its partitions after this image.
pub(crate) struct QuorumStart {
    options: QuorumOptions,
    files: QuorumFiles,
    loaded: Loaded,
    election: Option<ElectionState>,
    retained: Vec<RetainedSnapshot>,
}

/// What snapshot and log hold together.
pub(super) struct Loaded {
    pub(super) loader: MetadataLoader,
    /// What formatting has left for the first controller to write into the log.
    bootstrap: Vec<VersionedRecord>,
    /// Batches of the log: committed, since a quorum of one commits what is durable, but replayed once it leads again.
    log: VecDeque<Appended>,
    pub(super) quorum: LogState,
}

impl QuorumStart {
    /// Reads the newest snapshot and the log behind it.
    pub(crate) fn load(options: QuorumOptions) -> Result<Self, QuorumError> {
        let files =
            QuorumFiles { disk: options.disk.clone(), clock: options.clock.clone(), directory: options.log.path() };
        let snapshots = files.snapshots()?;
        let mut loaded = match snapshots.last() {
            Some(newest) => load_snapshot(&files.read_snapshot(*newest)?, &files.snapshot_path(*newest), *newest)?,
            None => load_older_bootstrap(&options, &files)?,
        };
        let from = snapshots.last().map_or(Offset::ZERO, |newest| newest.0.offset);
        if let Some(newest) = snapshots.last() {
            start_anew_unless_it_follows(&options.log, *newest)?;
        }
        load_log(&options.log, from, &mut loaded)?;
        let election = files.read_quorum_state()?;
        let retained = retained(&files, &snapshots)?;
        for snapshot in &retained {
            loaded.quorum.note_snapshot(snapshot.id, snapshot.size);
        }
        Ok(Self { options, files, loaded, election, retained })
    }

    /// The image after everything in the log, committed or not: what it says of configurations is not relied on for more than
    /// how to open a log.
    pub(crate) fn newest_image(&self) -> Result<MetadataImage, QuorumError> {
        let mut delta = MetadataDelta::new(self.loaded.loader.published().clone());
        for record in self.loaded.log.iter().flat_map(|batch| &batch.records) {
            delta.replay(record)?;
        }
        Ok(delta.after().clone())
    }

    /// Takes part in the quorum. The only voter leads when this returns, and everything in its log is published; any other
    /// replica knows what its newest snapshot says.
    pub(crate) fn run(self, publish: Publish) -> Result<MetadataQuorum, QuorumError> {
        let Self { options, files, loaded, election, retained } = self;
        let settings = settings(&options);
        let voters = loaded.quorum.voters_entry().map_or(&settings.static_voters, |(_, voters)| voters).clone();
        let now = options.clock.wall();
        let metadata_log = &options.config.metadata_log;
        let policy = SnapshotPolicy::new(
            u64::try_from(metadata_log.metadata_log_max_record_bytes_between_snapshots).unwrap_or(u64::MAX),
            metadata_log.metadata_log_max_snapshot_interval_ms,
            now,
        );
        let retention = SnapshotRetention {
            bytes: metadata_log.metadata_max_retention_bytes,
            ms: metadata_log.metadata_max_retention_ms,
        };
        let snapshot_files =
            QuorumFiles { disk: files.disk.clone(), clock: files.clock.clone(), directory: files.directory.clone() };
        let image = loaded.loader.published().clone();
        let controller = Controller::new(controller_settings(&options, &voters, loaded.quorum.version()), image);
        let monotonic = Duration::from_nanos(options.clock.monotonic().0);
        let (raft, effects) = Raft::start(settings, election, loaded.quorum, monotonic);
        let mut inner = Inner {
            raft,
            controller,
            loader: loaded.loader,
            log: options.log,
            disk_files: files,
            snapshots: Snapshots::new(snapshot_files, policy, retention, retained),
            publish,
            uncommitted: loaded.log,
            pending: VecDeque::new(),
            active: None,
            told_voters: None,
            bootstrap: loaded.bootstrap,
            failure: None,
            calls: BTreeMap::new(),
            next_call: 0,
            fetched: Vec::new(),
            after: Vec::new(),
            peers: options.peers,
            mailbox: options.mailbox.clone(),
        };
        (inner.publish)(&MetadataDelta::between(MetadataImage::new(), inner.loader.published().clone()));
        inner.perform(effects)?;
        let inner = Mutex::new(inner);
        Ok(MetadataQuorum {
            clock: options.clock,
            random: options.random,
            mailbox: options.mailbox,
            inner,
            held_by: Mutex::default(),
            asked_within: Mutex::default(),
        })
    }
}

/// Where a voter that is not in the log is reached: as `controller.quorum.voters` says, by the first controller listener, or
/// as this node says of itself.
pub(super) fn voter_endpoints(config: &NodeConfig, id: NodeId) -> Vec<ControllerEndpoint> {
    let listeners = &config.listeners;
    let endpoint = |name: &str, address: &HostPort| ControllerEndpoint {
        name: name.to_owned(),
        host: address.host.clone(),
        port: address.port,
    };
    match (config.quorum.voters.get(&id), listeners.controller_listener_names.first()) {
        (Some(address), Some(name)) => vec![endpoint(name, address)],
        _ => listeners.advertised_controller.iter().map(|own| endpoint(&own.listener_name, &own.address)).collect(),
    }
}

fn settings(options: &QuorumOptions) -> Settings {
    let config = &options.config;
    let local = ReplicaKey::new(config.node_id, options.directory_id);
    // The directories of voters that are configured are known to nobody.
    let voters = config.quorum.voters.keys();
    let voter = |id: &NodeId| Voter::new(ReplicaKey { id: *id, directory: None }, voter_endpoints(config, *id));
    let mut seed = [0; 8];
    options.random.fill(&mut seed);
    Settings {
        local,
        cluster_id: options.cluster_id.clone(),
        listener: config.listeners.controller_listener_names.first().cloned().unwrap_or_default(),
        endpoints: voter_endpoints(config, local.id),
        static_voters: VoterSet::new(voters.map(voter)),
        bootstrap_servers: config.quorum.bootstrap_servers.iter().map(address).collect(),
        membership: membership(config),
        timeouts: timeouts(&config.raft),
        fetch_bytes_max: config.raft.controller_quorum_fetch_max_bytes,
        fetch_snapshot_bytes_max: config.raft.controller_quorum_fetch_snapshot_max_bytes,
        seed: u64::from_le_bytes(seed),
    }
}

fn membership(config: &NodeConfig) -> Membership {
    match (config.process_roles.controller, config.quorum.auto_join) {
        (false, _) => Membership::Observer,
        (true, false) => Membership::Voter,
        (true, true) => Membership::AutoJoin,
    }
}

fn address(address: &HostPort) -> Address {
    Address { host: address.host.clone(), port: address.port }
}

fn controller_settings(options: &QuorumOptions, voters: &VoterSet, version: KraftVersion) -> ControllerSettings {
    ControllerSettings {
        cluster_id: options.cluster_id.clone(),
        node: options.config.clone(),
        voters: voters.ids().collect(),
        kraft_version: version.level(),
        periods: periods(&options.config.controller),
    }
}

/// Formatting by older releases of Apache Kafka left what the first controller has to write in a file of its own in the log
/// directory, and no snapshot. It is of no matter any more once there is a log from the begin on.
fn load_older_bootstrap(options: &QuorumOptions, files: &QuorumFiles) -> Result<Loaded, QuorumError> {
    let path = options.log.directory_path().join(OLDER_BOOTSTRAP_FILE);
    let contents = read_file(&*files.disk, &path, OLDER_BOOTSTRAP_BYTES_MAX)?;
    let log = &options.log;
    let has_log = log.log_start_offset() == Offset::ZERO && log.log_end_offset() > Offset::ZERO;
    // Whoever only follows begins with nothing, and fetches from the first offset or a snapshot.
    let must_have = options.config.process_roles.controller || log.log_start_offset() > Offset::ZERO;
    if contents.is_none() && !has_log && must_have {
        return Err(QuorumError::NoSnapshot(log.directory_path()));
    }
    load_snapshot(&contents.unwrap_or_default(), &path, SnapshotId::BOOTSTRAP)
}

/// What the contents of a snapshot say. `path` is for messages.
pub(super) fn load_snapshot(contents: &[u8], path: &Path, id: SnapshotId) -> Result<Loaded, QuorumError> {
    let mut delta = MetadataDelta::new(MetadataImage::new());
    let mut provenance = Provenance {
        offset: Offset(id.0.offset.value().saturating_sub(1)),
        epoch: id.0.epoch,
        timestamp: Timestamp::NONE,
    };
    let mut version = KraftVersion::Static;
    let mut voters = None;
    let mut bootstrap = Vec::new();
    read_batches(contents, path, |batch| {
        if id == SnapshotId::BOOTSTRAP {
            bootstrap.extend(batch.records);
        } else {
            for record in &batch.records {
                delta.replay(&record.record)?;
            }
        }
        for (_, control) in batch.control {
            match control {
                ControlRecord::SnapshotHeader(header) => {
                    provenance.timestamp = Timestamp(header.last_contained_log_timestamp);
                }
                ControlRecord::KraftVersion(record) => {
                    version = KraftVersion::from_level(record.kraft_version).unwrap_or(KraftVersion::Dynamic);
                }
                ControlRecord::Voters(record) => voters = Some(VoterSet::from_record(&record)),
                _ => {}
            }
        }
        Ok(())
    })?;
    delta.set_provenance(provenance);
    Ok(Loaded {
        loader: MetadataLoader::new(delta.after().clone()),
        bootstrap,
        log: VecDeque::new(),
        quorum: LogState::from_snapshot(id, contents.len() as u64, version, voters),
    })
}

/// A crash while a snapshot of the leader took the log's place may leave the log as it was: shorter than the snapshot, or with
/// other records where it ends. Then it starts anew there; what it had was in the snapshot, or was never committed.
fn start_anew_unless_it_follows(log: &Log, snapshot: SnapshotId) -> Result<(), QuorumError> {
    let end = snapshot.0.offset;
    let follows = log.log_end_offset() >= end && epoch_before(log, end)?.is_none_or(|epoch| epoch == snapshot.0.epoch);
    if !follows {
        let (from, to) = (log.log_start_offset(), log.log_end_offset());
        tracing::warn!(snapshot = snapshot.file_name(), %from, %to, "the metadata log starts anew at its newest snapshot");
        log.truncate_fully_and_start_at(end)?;
    }
    Ok(())
}

/// The epoch of the last record before an offset, if the log has it.
fn epoch_before(log: &Log, end: Offset) -> Result<Option<LeaderEpoch>, QuorumError> {
    if end <= log.log_start_offset() {
        return Ok(None);
    }
    let offset = Offset(end.0 - 1);
    let bound = ReadBound::LogEnd;
    let read = log.read(ReadRequest { offset, max_bytes: 1, min_one_batch: true, bound })?;
    let mut bytes = Vec::new();
    for range in &read.ranges {
        bytes.extend(range.read()?);
    }
    let first = Batches::new(&bytes).next().and_then(Result::ok);
    Ok(first.map(|batch| batch.partition_leader_epoch()))
}

/// Reads the log from an offset to its end. A quorum of one leads as soon as it starts, and what is in its log is
/// committed then.
fn load_log(log: &Log, from: Offset, loaded: &mut Loaded) -> Result<(), QuorumError> {
    let mut next = from.max(log.log_start_offset());
    while next < log.log_end_offset() {
        let request =
            ReadRequest { offset: next, max_bytes: LOAD_BYTES, min_one_batch: true, bound: ReadBound::LogEnd };
        let mut bytes = Vec::new();
        for range in &log.read(request)?.ranges {
            bytes.extend(range.read()?);
        }
        let before = next;
        let whole = whole_batches(&bytes);
        read_batches(whole, &log.path(), |batch| {
            if batch.last_offset >= next {
                next = batch.last_offset.next();
                keep(batch, loaded)?;
            }
            Ok(())
        })?;
        if next == before {
            break;
        }
    }
    Ok(())
}

/// The bytes without the last batch when that is cut off.
pub(super) fn whole_batches(bytes: &[u8]) -> &[u8] {
    let mut end = 0;
    while let Some(length) =
        bytes.get(end + 8..end + 12).and_then(|field| field.try_into().ok()).map(i32::from_be_bytes)
    {
        let next = usize::try_from(length).unwrap_or(0).saturating_add(end + 12);
        if next > bytes.len() || length <= 0 {
            break;
        }
        end = next;
    }
    bytes.get(..end).unwrap_or_default()
}

fn keep(batch: ReadBatch, loaded: &mut Loaded) -> Result<(), QuorumError> {
    let (summary, appended) = batch.into_parts();
    loaded.quorum.note_durable(&summary)?;
    loaded.log.push_back(appended);
    Ok(())
}

/// What is on the disk, with the times of the headers: they say how old a snapshot is.
fn retained(files: &QuorumFiles, ids: &[SnapshotId]) -> Result<Vec<RetainedSnapshot>, QuorumError> {
    let mut retained = Vec::with_capacity(ids.len());
    for id in ids {
        let path = files.snapshot_path(*id);
        let file = files.disk.open(&path, OpenMode::Read)?;
        let mut start = vec![0; SNAPSHOT_START_BYTES];
        let read = file.read_at(&mut start, 0)?;
        start.truncate(read);
        let mut time = Timestamp::NONE;
        read_batches(whole_batches(&start), &path, |batch| {
            for (_, control) in batch.control {
                if let ControlRecord::SnapshotHeader(header) = control {
                    time = Timestamp(header.last_contained_log_timestamp);
                }
            }
            Ok(())
        })?;
        retained.push(RetainedSnapshot { id: *id, size: file.length()?, last_contained_log_timestamp: time });
    }
    Ok(retained)
}
