//! A copy of a replica in another log directory of the same broker, the future replica: it follows the replica beside it,
//! and takes its place when it has everything and the controller knows the new directory (KIP-113, KIP-858).

mod queue;

pub use queue::MoveQueue;

use crate::follower::truncation_for;
use crate::log_view::LogView;
use ottla_types::Offset;

/// One future replica. The host asks for the [`FutureReplica::next`] thing to do, does it, and asks again; between its steps
/// both logs may change.
///
/// Invariants: nothing is copied behind records that have not been compared with the replica's; it takes the replica's place
/// only with the replica's end, and after the controller has noted the new directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FutureReplica {
    /// Whether the copy is known to be a beginning of the replica's log.
    is_compared: bool,
    /// The copy is not trusted beyond this offset if it has no epochs: the replica was cut there.
    cut_at: Option<Offset>,
    state: MoveState,
}

/// How far a move is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoveState {
    /// Records are missing, or were when it was last looked.
    Copying,
    /// The copy had everything; the controller is asked to note the directory.
    Assigning,
    /// The controller has noted it.
    Assigned,
    /// The copy is the replica.
    Swapped,
}

/// What a move needs next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoveEffect {
    /// Cut the copy; also when it ends there already, since epochs without records may have to go.
    Truncate {
        /// It ends here afterwards.
        to: Offset,
    },
    /// Empty the copy.
    TruncateFully {
        /// It starts and ends here afterwards.
        start_at: Offset,
    },
    /// Copy records of the replica, as many as the throttle allows.
    Copy {
        /// From here on, which is the copy's end.
        from: Offset,
    },
    /// Ask the controller to note the directory (AssignReplicasToDirs).
    AssignDirectory,
    /// Put the copy in the replica's place, if it still ends where the replica does, with appends held up.
    Swap,
    /// Ask the controller to note the old directory again.
    RevertAssignment,
}

impl Default for FutureReplica {
    fn default() -> Self {
        Self { is_compared: false, cut_at: None, state: MoveState::Copying }
    }
}

impl FutureReplica {
    /// How far it is.
    pub fn state(&self) -> MoveState {
        self.state
    }

    /// What to do now. Nothing, while the controller has not answered or when the move is done.
    pub fn next(&mut self, replica: &impl LogView, copy: &impl LogView) -> Option<MoveEffect> {
        if self.state == MoveState::Swapped {
            return None;
        }
        if !self.is_compared
            && let Some(effect) = self.compare(replica, copy)
        {
            return Some(effect);
        }
        let (from, end) = (copy.log_end(), replica.log_end());
        if from < replica.log_start() {
            return Some(MoveEffect::TruncateFully { start_at: replica.log_start() });
        }
        match self.state {
            _ if from > end => Some(MoveEffect::Truncate { to: end }),
            _ if from < end => Some(MoveEffect::Copy { from }),
            MoveState::Copying => {
                self.state = MoveState::Assigning;
                Some(MoveEffect::AssignDirectory)
            }
            MoveState::Assigned => Some(MoveEffect::Swap),
            MoveState::Assigning | MoveState::Swapped => None,
        }
    }

    /// The same comparison as between brokers, with the replica's log in the leader's place; it needs no requests.
    fn compare(&mut self, replica: &impl LogView, copy: &impl LogView) -> Option<MoveEffect> {
        let unproven = copy.high_watermark().min(self.cut_at.unwrap_or(copy.log_end()));
        let Some(epoch) = copy.latest_epoch() else {
            self.is_compared = true;
            return (unproven < copy.log_end()).then_some(MoveEffect::Truncate { to: unproven });
        };
        let Some(known) = replica.end_offset_for_epoch(epoch) else {
            self.is_compared = true;
            return (unproven < copy.log_end()).then_some(MoveEffect::Truncate { to: unproven });
        };
        let truncation = truncation_for(copy, known);
        if truncation.is_complete {
            self.is_compared = true;
        }
        let agrees = known.epoch == epoch && truncation.offset == copy.log_end();
        (!agrees).then_some(MoveEffect::Truncate { to: truncation.offset })
    }

    /// The replica has been cut, or fetches in a later epoch: what was copied may not be a beginning of it any more.
    pub fn replica_truncated(&mut self, to: Offset) {
        self.is_compared = false;
        self.cut_at = Some(self.cut_at.unwrap_or(to).min(to));
    }

    /// Where high watermark and log start of the copy are after records were copied.
    pub fn bounds_after_copy(&self, replica: &impl LogView, copy: &impl LogView) -> (Offset, Offset) {
        let high_watermark = replica.high_watermark().min(copy.log_end());
        (high_watermark, replica.log_start().min(high_watermark).max(copy.log_start()))
    }

    /// The controller has noted the directory.
    pub fn assigned(&mut self) {
        if self.state == MoveState::Assigning {
            self.state = MoveState::Assigned;
        }
    }

    /// The copy is in the replica's place.
    pub fn swapped(&mut self) {
        self.state = MoveState::Swapped;
    }

    /// The move is called off. What the controller may have noted already has to be taken back.
    pub fn cancel(self) -> Option<MoveEffect> {
        matches!(self.state, MoveState::Assigning | MoveState::Assigned).then_some(MoveEffect::RevertAssignment)
    }
}

#[cfg(test)]
mod tests;
