use super::Leader;
use ottla_types::Offset;
use thiserror::Error;

/// Whether an append with `acks=all` is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledgement {
    /// The records are on all replicas in sync, and those are enough.
    Done,
    /// Not yet.
    Waiting,
    /// The records are on all replicas in sync, but those have become too few: NOT_ENOUGH_REPLICAS_AFTER_APPEND.
    TooFewReplicas,
}

/// Fewer replicas are in sync than the topic demands: NOT_ENOUGH_REPLICAS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{in_sync} replicas are in sync, {needed} are needed")]
pub struct NotEnoughReplicas {
    /// How many are in sync.
    pub in_sync: usize,
    /// How many must be.
    pub needed: usize,
}

impl Leader {
    /// Whether records with `acks=all` may be appended at all.
    ///
    /// # Errors
    /// When too few replicas are in sync.
    pub fn check_append_with_all_acks(&self) -> Result<(), NotEnoughReplicas> {
        let (in_sync, needed) = (self.in_sync.committed().len(), self.needed());
        if in_sync < needed { Err(NotEnoughReplicas { in_sync, needed }) } else { Ok(()) }
    }

    /// Whether records up to `offset` (the one after the last of them) can be acknowledged to a producer that waits for
    /// all replicas.
    pub fn acknowledgement(&self, offset: Offset) -> Acknowledgement {
        if self.high_watermark < offset {
            Acknowledgement::Waiting
        } else if self.in_sync.len_max() < self.needed() {
            Acknowledgement::TooFewReplicas
        } else {
            Acknowledgement::Done
        }
    }
}
