use ottla_types::{DirectoryId, LeaderEpoch, NodeId, Offset};
use std::fmt;

/// One copy of the metadata log: a node, and the directory in which it keeps the log. A node that lost its disk and got a
/// new one is another replica, although its id is the same. The directory is unknown where voters are configured by hand.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct ReplicaKey {
    /// The node.
    pub id: NodeId,
    /// The directory.
    pub directory: Option<DirectoryId>,
}

impl ReplicaKey {
    /// The replica of a node in a directory.
    pub const fn new(id: NodeId, directory: DirectoryId) -> Self {
        Self { id, directory: Some(directory) }
    }

    /// Whether `other` can be this replica: the same node, and the same directory as far as this one is known.
    pub fn matches(&self, other: &Self) -> bool {
        self.id == other.id && (self.directory.is_none() || self.directory == other.directory)
    }
}

/// An offset with the epoch of the record before it: where a log ends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Default)]
pub struct OffsetAndEpoch {
    /// The offset.
    pub offset: Offset,
    /// The epoch.
    pub epoch: LeaderEpoch,
}

impl fmt::Display for OffsetAndEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "offset {} of epoch {}", self.offset, self.epoch)
    }
}
