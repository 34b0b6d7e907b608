//! Groups of the consumer protocol (KIP-848): the coordinator assigns, and members follow by heartbeats.
//!
//! All of a group's state is in records. A heartbeat is decided on a [`draft::Draft`] of the group, which replays each record
//! as it is written; the group itself changes when the records are in the log.

mod assignment;
pub mod assignor;
mod classic_member;
mod commit;
mod decision;
mod describe;
mod draft;
mod group;
mod heartbeat;
mod leave;
mod member;
mod metadata_hash;
pub(crate) mod reconcile;
pub mod record;
mod regex;
mod subscribe;
mod target;
mod timers;

pub use assignment::{HeldPartitions, Partitions};
pub(crate) use draft::{Draft, tombstones, tombstones_of};
pub use group::{ConsumerGroup, ConsumerGroupState, ResolvedRegex};
pub use member::{ConsumerMember, MemberState};
pub(crate) use metadata_hash::metadata_hash;
pub(crate) use timers::timers_after_load;

use ottla_protocol::ErrorCode;

/// A refusal with the sentence that goes with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) error: ErrorCode,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(error: ErrorCode, message: impl Into<String>) -> Self {
        Self { error, message: message.into() }
    }
}

#[cfg(test)]
pub(crate) use metadata_hash::metadata_hash_of;
