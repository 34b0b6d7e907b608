//! Classic groups: the clients assign the partitions, the coordinator keeps the membership.
//!
//! A group moves through [`ClassicGroupState`]. A member's change makes the group prepare a rebalance; when all members
//! have rejoined (or their time is over) a new generation begins and one of them, the leader, assigns; when the
//! assignment is committed the group is stable.

mod group;
mod heartbeat;
mod join;
mod leave;
mod member;
mod membership;
mod migrated;
mod protocols;
mod rebalance;
mod replica;
mod state;
mod static_member;
mod sync;
mod weight;

pub use group::ClassicGroup;
pub(crate) use join::JoinOutcome;
pub use member::{Member, Protocol};
pub(crate) use protocols::CONSUMER;
pub use state::ClassicGroupState;
pub use static_member::StaticReplacement;
pub use sync::SyncedAssignment;
pub use weight::MemberMemory;

use crate::{Effects, GroupSettings};
use ottla_types::Timestamp;

/// What every step of a group needs: when it is, by which settings, and where its effects go.
pub(crate) struct Step<'a> {
    pub(crate) now: Timestamp,
    pub(crate) settings: &'a GroupSettings,
    pub(crate) effects: &'a mut Effects,
}
