//! Recovery after the loss of a majority: the directory of one survivor becomes that of the only voter.
//! `docs/internals/quorum-recovery.md` tells what is written and why.

mod backup;
mod rewrite;
mod survivor;

pub use rewrite::Recovery;
pub use survivor::Survivor;

use super::QuorumError;
use ottla_env::DiskError;
use ottla_log::OpenError;
use ottla_types::NodeId;
use std::path::PathBuf;
use thiserror::Error;

/// Why a quorum can't be recovered from a directory.
#[derive(Debug, Error)]
pub enum RecoveryError {
    /// It can't be read or written, or what is in it can't be understood.
    #[error("{0}")]
    Files(String),
    /// The node is not to be a controller.
    #[error("this node is no controller by its process.roles: take the directory of one, or add the role")]
    NoController,
    /// It was never formatted.
    #[error("{} is not formatted", .0.display())]
    Unformatted(PathBuf),
    /// It is another node's.
    #[error("{} belongs to node {stored}, and node.id is {configured}", directory.display())]
    OtherNode {
        /// The log directory.
        directory: PathBuf,
        /// Whose it is.
        stored: NodeId,
        /// Whose it should be.
        configured: NodeId,
    },
    /// There is no metadata in it.
    #[error("{} holds no metadata", .0.display())]
    NoMetadata(PathBuf),
    /// A segment that others follow is damaged: what is behind can't be trusted, and may be whole elsewhere.
    #[error(
        "{} is damaged at byte {position}, and there are records behind: recover from another survivor, or from a copy of the disk",
        path.display()
    )]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// Where.
        position: u64,
    },
    /// The voters stand in the properties, and they name others.
    #[error(
        "kraft.version is 0, so the voters are those of controller.quorum.voters: name this node alone there, {0}, in this \
         file and in those of all other nodes"
    )]
    ConfiguredVoters(String),
    /// Voters of the log are known by their directories, and this one has no id.
    #[error("{} has no directory.id in its meta.properties", .0.display())]
    NoDirectoryId(PathBuf),
    /// The numbers have no room.
    #[error("the epoch or the offset is too great to be raised")]
    NoRoom,
    /// The place for the copy is taken.
    #[error("{} exists already: name another place for the backup", .0.display())]
    BackupExists(PathBuf),
}

impl From<QuorumError> for RecoveryError {
    fn from(error: QuorumError) -> Self {
        Self::Files(error.to_string())
    }
}

impl From<DiskError> for RecoveryError {
    fn from(error: DiskError) -> Self {
        Self::Files(error.to_string())
    }
}

impl From<OpenError> for RecoveryError {
    fn from(error: OpenError) -> Self {
        Self::Files(error.to_string())
    }
}
