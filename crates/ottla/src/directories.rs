//! Log directories before the start: new ones are formatted, foreign ones refused.

use crate::cluster::{self, NewNode};
use ottla_broker::{FormatError, FormatRequest, PeerNetwork, format, is_unformatted};
use ottla_config::NodeConfig;
use ottla_controller::format::{FormatOptions, bootstrap};
use ottla_log::{Environment, partition_directories, read_meta_properties};
use ottla_raft::{ControllerEndpoint, ReplicaKey, Voter, VoterSet};
use ottla_types::DirectoryId;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;

/// Why log directories can't be used.
#[derive(Debug, Error)]
pub(crate) enum DirectoryError {
    #[error(
        "{0} is not empty but has no meta.properties: it is no log directory of Kafka or Ottla; give another one in log.dirs"
    )]
    NotOurs(String),
    #[error(
        "{} is empty, but {} holds partitions, whose cluster has its metadata elsewhere: bring that back, or name its directory \
         in metadata.log.dir",
        metadata.display(),
        partitions.display()
    )]
    MetadataLost { metadata: PathBuf, partitions: PathBuf },
    #[error("{0}")]
    Open(#[from] ottla_log::OpenError),
    #[error(transparent)]
    Disk(#[from] ottla_env::DiskError),
    #[error(transparent)]
    Format(#[from] FormatError),
    #[error("{0}")]
    Features(#[from] ottla_controller::format::FormatError),
}

/// Formats directories that are new. A directory with anything else in it is left alone and refused.
pub(crate) fn prepare(
    environment: &Environment,
    config: &NodeConfig,
    network: &Arc<dyn PeerNetwork>,
) -> Result<(), DirectoryError> {
    let mut cluster_id = None;
    let mut new = Vec::new();
    let metadata = Some(&config.metadata_log_dir).filter(|metadata| !config.log_dirs.contains(metadata));
    for path in config.log_dirs.iter().chain(metadata).map(PathBuf::from) {
        match read_meta_properties(environment, &path)? {
            Some(properties) => cluster_id = Some(properties.cluster_id),
            None if is_unformatted(environment, &path)? => new.push(path),
            None => return Err(DirectoryError::NotOurs(path.display().to_string())),
        }
    }
    if new.is_empty() {
        return Ok(());
    }
    refuse_lost_metadata(environment, config, &new)?;
    let node = match cluster_id {
        Some(cluster_id) => NewNode { cluster_id, is_first_voter: false },
        None => cluster::find(config, network, &*environment.random),
    };
    format_as(environment, config, &new, &node)
}

fn format_as(
    environment: &Environment,
    config: &NodeConfig,
    new: &[PathBuf],
    node: &NewNode,
) -> Result<(), DirectoryError> {
    let options = FormatOptions { has_dynamic_voters: config.quorum.voters.is_empty(), ..FormatOptions::default() };
    let first_voter = node.is_first_voter.then(|| environment.random.uuid());
    format(
        environment,
        &FormatRequest {
            directories: new,
            // A broker without controller gets its metadata from the controllers.
            metadata_directory: Path::new(if config.process_roles.controller {
                config.metadata_log_dir.as_str()
            } else {
                ""
            }),
            metadata_directory_id: first_voter,
            cluster_id: &node.cluster_id,
            node_id: config.node_id,
            bootstrap: &bootstrap(&options)?,
            voters: &VoterSet::new(first_voter.map(|directory| this_voter(config, directory))),
        },
    )?;
    Ok(())
}

/// This node as a voter that stands in the log.
fn this_voter(config: &NodeConfig, directory: DirectoryId) -> Voter {
    let endpoints = config.listeners.advertised_controller.iter().map(|endpoint| ControllerEndpoint {
        name: endpoint.listener_name.clone(),
        host: endpoint.address.host.clone(),
        port: endpoint.address.port,
    });
    Voter::new(ReplicaKey::new(config.node_id, directory), endpoints.collect())
}

/// A cluster that has partitions has had metadata: where that is gone, to begin anew would be to lose the partitions too.
fn refuse_lost_metadata(environment: &Environment, config: &NodeConfig, new: &[PathBuf]) -> Result<(), DirectoryError> {
    let metadata = PathBuf::from(&config.metadata_log_dir);
    if !new.contains(&metadata) {
        return Ok(());
    }
    for path in config.log_dirs.iter().map(PathBuf::from).filter(|path| !new.contains(path)) {
        if !partition_directories(environment, &path)?.is_empty() {
            return Err(DirectoryError::MetadataLost { metadata, partitions: path });
        }
    }
    Ok(())
}
