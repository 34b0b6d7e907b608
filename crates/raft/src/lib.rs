//! KRaft: the metadata quorum as a machine.
//!
//! [`Raft`] takes events and returns effects. It reads no clock, touches no file and starts no thread; the node that hosts
//! it performs the effects in their order and feeds back what happened. `docs/internals/raft.md` says which states there
//! are, what is durable before what is sent, and what a host must do.
//!
//! - [`Event`] and [`Effect`] are all that goes in and comes out; [`Request`] and [`Response`] are Kafka's own messages.
//! - [`ElectionState`] is the content of the file `quorum-state`.
//! - [`LogState`] is what the machine knows of the log without reading it.
//! - [`ControlRecord`] is what the quorum itself writes into the log and into snapshots.
//! - [`SnapshotId`], [`SnapshotPolicy`] and [`snapshots_to_delete`] say how snapshots are named, when one is due, and
//!   which are no longer needed.

mod answers;
mod connections;
mod control;
mod describe;
mod election;
mod epoch_requests;
mod event;
mod fetch;
mod ids;
mod jitter;
mod leader;
mod log_state;
mod machine;
mod messages;
mod poll;
mod role;
mod settings;
mod snapshot;
mod snapshot_fetch;
mod transition;
mod upgrade;
mod vote;
mod voter_change;
mod voter_update;
mod voters;

pub use control::{ControlRecord, ControlRecordError, MalformedControlRecord};
pub use election::{ElectionState, QuorumStateError};
pub use event::{Call, Destination, Effect, Event, Fault, Request, Response, SendFailure};
pub use ids::{CallId, OffsetAndEpoch, ReplicaKey, RequestId};
pub use leader::{LeaderState, ReplicaProgress};
pub use log_state::{BadBatch, BatchSummary, LogState};
pub use machine::Raft;
pub use role::{FollowerState, Nomination, ResignedState, Role};
pub use settings::{Address, Membership, Settings, Timeouts};
pub use snapshot::{
    RetainedSnapshot, SnapshotId, SnapshotPolicy, SnapshotReason, SnapshotRetention, snapshots_to_delete,
};
pub use upgrade::UpgradeError;
pub use voters::{ControllerEndpoint, KraftVersion, KraftVersions, Voter, VoterSet};
