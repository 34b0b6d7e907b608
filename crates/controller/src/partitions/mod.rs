//! Partitions: who is in sync, who leads.

mod alter;
mod by_state;
mod change;
mod directories;
mod elect;
mod forget;
mod reassign;
mod update;

pub use elect::refused_partitions;

pub(crate) use by_state::PartitionsByState;
pub(crate) use change::{Election, PartitionChange};
pub(crate) use update::Reason;
