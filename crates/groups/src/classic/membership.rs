//! What the rest of the coordinator asks a classic group: who may commit, when offsets age, whether it can go.

use super::{ClassicGroup, ClassicGroupState, Step};
use crate::coordinator::Committer;
use crate::offsets::ExpiryBase;
use crate::refusal::{append_error, join_error, sync_error};
use crate::{Effects, Token};
use ottla_protocol::ErrorCode;

impl ClassicGroup {
    /// Whether the commit is by a member of this generation, or by somebody outside while the group is empty.
    pub(crate) fn validate_offset_commit(&self, committer: &Committer<'_>) -> Result<(), ErrorCode> {
        let is_empty = self.state == ClassicGroupState::Empty;
        let claims_generation = committer.generation.value() >= 0;
        if self.state == ClassicGroupState::Dead {
            return Err(ErrorCode::CoordinatorNotAvailable);
        }
        if !claims_generation && is_empty {
            return Ok(());
        }
        if claims_generation || !committer.member_id.is_empty() || committer.group_instance_id.is_some() {
            self.validate_member(committer.member_id, committer.group_instance_id)?;
            if committer.generation != self.generation {
                return Err(ErrorCode::IllegalGeneration);
            }
        } else if !committer.is_transactional && !is_empty {
            // A transactional producer of old does not say for which member it commits.
            return Err(ErrorCode::UnknownMemberId);
        }
        if !committer.is_transactional && self.state == ClassicGroupState::CompletingRebalance {
            return Err(ErrorCode::RebalanceInProgress);
        }
        Ok(())
    }

    /// A member that commits lives.
    pub(crate) fn restart_session_by_commit(&self, member_id: &str, effects: &mut Effects) {
        if matches!(self.state, ClassicGroupState::Stable | ClassicGroupState::PreparingRebalance) {
            self.restart_session(member_id, effects);
        }
    }

    /// From when the group's offsets age.
    pub(crate) fn expiry_base(&self) -> ExpiryBase {
        if self.protocol_type.is_none() {
            return ExpiryBase::Commit;
        }
        match self.state {
            ClassicGroupState::Empty => self.state_timestamp.map_or(ExpiryBase::Commit, ExpiryBase::Since),
            // Offsets of topics that no consumer reads any more age even while the group lives.
            ClassicGroupState::Stable if self.uses_consumer_protocol() && self.subscribed_topics.is_some() => {
                ExpiryBase::Commit
            }
            _ => ExpiryBase::Never,
        }
    }

    /// Whether the group, when it has no offsets, may be deleted for good. A group that has just promised an id to a
    /// client is about to be used (Kafka deletes it all the same).
    pub(crate) fn may_be_deleted(&self) -> bool {
        self.state == ClassicGroupState::Empty && self.pending_members.is_empty()
    }

    /// Answers the parked JoinGroup of this token with the error of the log.
    pub(crate) fn refuse_join(&mut self, token: Token, error: ErrorCode, effects: &mut Effects) {
        let member = self
            .members
            .values()
            .find(|member| member.awaiting_join.is_some_and(|parked| parked.token == token))
            .map(|member| member.member_id.clone());
        if let Some(member_id) = member {
            self.finish_join(&member_id, effects, |parked| join_error(parked.api_version, "", append_error(error)));
        }
    }

    /// The group has been read from the log: its members' sessions begin anew. A group that is larger than allowed now
    /// is called together, so that its members can commit before some of them are left out.
    pub(crate) fn on_loaded(&mut self, step: &mut Step<'_>) {
        for member_id in self.members.keys() {
            self.restart_session(member_id, step.effects);
        }
        if self.members.len() > step.settings.size_max {
            self.prepare_rebalance(step);
        }
    }

    /// The partition is no longer coordinated here: everyone who waits is sent on.
    pub(crate) fn unload(&mut self, effects: &mut Effects) {
        let member_ids: Vec<_> = self.members.keys().cloned().collect();
        for member_id in member_ids {
            self.finish_join(&member_id, effects, |parked| {
                join_error(parked.api_version, &member_id, ErrorCode::NotCoordinator)
            });
            self.finish_sync(&member_id, effects, |_| sync_error(ErrorCode::NotCoordinator));
        }
        self.state = ClassicGroupState::Dead;
    }
}
