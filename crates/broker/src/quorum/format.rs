//! Makes new log directories of a cluster's node, as `kafka-storage format` does.

use super::QuorumError;
use super::snapshots::snapshot_of;
use super::start::OLDER_BOOTSTRAP_FILE;
use ottla_controller::format::Bootstrap;
use ottla_env::{Disk, DiskResult};
use ottla_log::format::MetaProperties;
use ottla_log::{Environment, format_directory, replace_file};
use ottla_raft::{ControlRecord, KraftVersion, SnapshotId, VoterSet};
use ottla_types::{DirectoryId, LeaderEpoch, NodeId};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The directory of the metadata log within its log directory.
pub(super) const METADATA_DIRECTORY: &str = "__cluster_metadata-0";

/// What is to be formatted.
pub struct FormatRequest<'a> {
    /// The log directories without `meta.properties`.
    pub directories: &'a [PathBuf],
    /// The one of them, if any, that gets the metadata log.
    pub metadata_directory: &'a Path,
    /// The id that the directory with the metadata log gets, where the voters name it; a random one otherwise.
    pub metadata_directory_id: Option<DirectoryId>,
    /// The id of the cluster.
    pub cluster_id: &'a str,
    /// The id of the node.
    pub node_id: NodeId,
    /// What the cluster starts with.
    pub bootstrap: &'a Bootstrap,
    /// The voters, when they are to stand in the log (KIP-853).
    pub voters: &'a VoterSet,
}

/// Why directories can't be formatted.
#[derive(Debug, Error)]
#[error("can't format: {0}")]
pub struct FormatError(String);

impl From<QuorumError> for FormatError {
    fn from(error: QuorumError) -> Self {
        Self(error.to_string())
    }
}

impl From<ottla_env::DiskError> for FormatError {
    fn from(error: ottla_env::DiskError) -> Self {
        Self(error.to_string())
    }
}

/// Formats directories. The metadata comes before `meta.properties`: a directory that bears its node's name is complete.
/// Everything is durable when this returns.
///
/// # Errors
/// A file can't be written.
pub fn format(environment: &Environment, request: &FormatRequest<'_>) -> Result<(), FormatError> {
    for path in request.directories {
        environment.disk.create_directory(path)?;
        let is_metadata_directory = path == request.metadata_directory;
        if is_metadata_directory {
            write_metadata(environment, request)?;
        }
        let named = request.metadata_directory_id.filter(|_| is_metadata_directory);
        let properties = MetaProperties {
            cluster_id: request.cluster_id.to_owned(),
            node_id: request.node_id,
            directory_id: Some(named.unwrap_or_else(|| environment.random.uuid())),
        };
        format_directory(environment, path, &properties)?;
    }
    Ok(())
}

/// Whether a directory has nothing in it but what formatting leaves that was broken off: then it may be formatted anew.
///
/// # Errors
/// It can't be read.
pub fn is_unformatted(environment: &Environment, path: &Path) -> DiskResult<bool> {
    let disk = &*environment.disk;
    if !disk.exists(path)? {
        return Ok(true);
    }
    for (name, _) in disk.list(path)? {
        let is_ours = match name.as_str() {
            // A new file system has a lost+found, and whoever has locked the directory before has left the file.
            "lost+found" | ".lock" | "meta.properties.tmp" => true,
            METADATA_DIRECTORY => disk.list(&path.join(&name))?.iter().all(|(name, _)| {
                let snapshot = SnapshotId::BOOTSTRAP.file_name();
                name.strip_suffix(".tmp").unwrap_or(name) == snapshot
            }),
            _ => false,
        };
        if !is_ours {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a log directory has the metadata of a cluster, or what one is to begin with.
pub(crate) fn holds_metadata(disk: &dyn Disk, path: &Path) -> DiskResult<bool> {
    let directory = path.join(METADATA_DIRECTORY);
    if disk.exists(&path.join(OLDER_BOOTSTRAP_FILE))? {
        return Ok(true);
    }
    let is_metadata = |(name, _): &(String, _)| name.ends_with(".checkpoint") || name.ends_with(".log");
    Ok(disk.exists(&directory)? && disk.list(&directory)?.iter().any(is_metadata))
}

fn write_metadata(environment: &Environment, request: &FormatRequest<'_>) -> Result<(), FormatError> {
    let directory = request.metadata_directory.join(METADATA_DIRECTORY);
    environment.disk.create_directory(&directory)?;
    let version = KraftVersion::from_level(request.bootstrap.kraft_version).unwrap_or(KraftVersion::Static);
    let time = environment.clock.wall();
    let start = ControlRecord::snapshot_start(time, version, request.voters);
    let contents = snapshot_of(&start, &request.bootstrap.records, LeaderEpoch(0), time)?;
    replace_file(&*environment.disk, &directory.join(SnapshotId::BOOTSTRAP.file_name()), &contents)?;
    environment.disk.sync_directory(request.metadata_directory)?;
    Ok(())
}
