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

    /// The replica that a message names; the zero id is no directory.
    pub fn from_wire(id: i32, directory: DirectoryId) -> Self {
        Self { id: NodeId(id), directory: (!directory.is_zero()).then_some(directory) }
    }

    /// The directory as a message names it.
    pub fn wire_directory(&self) -> DirectoryId {
        self.directory.unwrap_or(DirectoryId::ZERO)
    }

    /// Whether `other` can be this replica: the same node, and the same directory as far as this one is known.
    pub fn matches(&self, other: &Self) -> bool {
        self.id == other.id && (self.directory.is_none() || self.directory == other.directory)
    }
}

impl fmt::Display for ReplicaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.directory {
            Some(directory) => write!(f, "{} in {directory}", self.id),
            None => write!(f, "{}", self.id),
        }
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

impl OffsetAndEpoch {
    /// Whether a log that ends here has everything that one with the other end has: a later epoch, or as much of the same.
    pub fn is_up_to_date_with(&self, other: &Self) -> bool {
        (self.epoch, self.offset) >= (other.epoch, other.offset)
    }
}

impl fmt::Display for OffsetAndEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "offset {} of epoch {}", self.offset, self.epoch)
    }
}

/// A request that this replica has sent; its answer comes with the same number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct RequestId(pub u64);

/// A request that somebody has sent to this replica; the host numbers them, and the answer leaves with the same number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct CallId(pub u64);
