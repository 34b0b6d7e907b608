use super::{ClassicGroup, ClassicGroupState, Step};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::HeartbeatRequest;

impl ClassicGroup {
    /// Takes a Heartbeat. During the join phase the member is told to rejoin.
    pub(crate) fn heartbeat(&mut self, request: &HeartbeatRequest, step: &mut Step<'_>) -> ErrorCode {
        if self.state == ClassicGroupState::Dead {
            return ErrorCode::CoordinatorNotAvailable;
        }
        if let Err(error) = self.validate_member(&request.member_id, request.group_instance_id.as_deref()) {
            return error;
        }
        if request.generation_id != self.generation.value() {
            return ErrorCode::IllegalGeneration;
        }
        self.restart_session(&request.member_id, step.effects);
        match self.state {
            ClassicGroupState::Empty => ErrorCode::UnknownMemberId,
            ClassicGroupState::PreparingRebalance => ErrorCode::RebalanceInProgress,
            _ => ErrorCode::None,
        }
    }

    /// A member's session, or a promised member's, has run out.
    pub(crate) fn on_heartbeat_timer(&mut self, member_id: &str, step: &mut Step<'_>) {
        if self.state == ClassicGroupState::Dead {
            return;
        }
        if self.pending_members.contains(member_id) {
            self.remove(member_id, step.effects);
            self.complete_join_after_removal(step);
            return;
        }
        if self.members.get(member_id).is_none_or(|member| member.has_satisfied_heartbeat()) {
            return;
        }
        self.remove(member_id, step.effects);
        match self.state {
            ClassicGroupState::Stable | ClassicGroupState::CompletingRebalance => self.prepare_rebalance(step),
            _ => self.complete_join_after_removal(step),
        }
    }
}
