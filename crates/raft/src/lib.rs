//! KRaft: the metadata quorum as a machine.
//!
//! [`Raft`] takes events and returns effects. It reads no clock, touches no file and starts no thread; the node that hosts
//! it performs the effects in their order and feeds back what happened. What is here is the quorum of one voter, with
//! KRaft's states, epochs, files and control records; `docs/internals/metadata.md` says what more voters add.
//!
//! - [`ElectionState`] is the content of the file `quorum-state`.
//! - [`ControlRecord`] is what the quorum itself writes into the log and into snapshots.
//! - [`SnapshotId`], [`SnapshotPolicy`] and [`snapshots_to_delete`] say how snapshots are named, when one is due, and
//!   which are no longer needed.

mod control;
mod describe;
mod election;
mod ids;
mod leader;
mod machine;
mod snapshot;
mod voters;

pub use control::{ControlRecord, ControlRecordError, MalformedControlRecord};
pub use election::{ElectionState, QuorumStateError};
pub use ids::{OffsetAndEpoch, ReplicaKey};
pub use leader::{LeaderState, ReplicaProgress};
pub use machine::{Effect, Event, LogState, Raft, RaftError, Role, Settings};
pub use snapshot::{
    RetainedSnapshot, SnapshotId, SnapshotPolicy, SnapshotReason, SnapshotRetention, snapshots_to_delete,
};
pub use voters::{ControllerEndpoint, KraftVersion, Voter, VoterSet};
