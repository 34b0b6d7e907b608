use super::{ClassicGroup, ClassicGroupState, Step};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::leave_group_request::MemberIdentity;
use ottla_protocol::messages::leave_group_response::MemberResponse;
use std::sync::Arc;

impl ClassicGroup {
    /// Lets each of the members go that can be found, and rebalances once if any was.
    pub(crate) fn leave(&mut self, members: &[MemberIdentity], step: &mut Step<'_>) -> Vec<MemberResponse> {
        let mut responses = Vec::with_capacity(members.len());
        let mut somebody_left = false;
        for member in members {
            let result = self.leave_one(member, step);
            somebody_left |= result.is_ok();
            responses.push(MemberResponse {
                member_id: member.member_id.clone(),
                group_instance_id: member.group_instance_id.clone(),
                error_code: result.err().unwrap_or(ErrorCode::None).code(),
                ..Default::default()
            });
        }
        if somebody_left {
            match self.state {
                ClassicGroupState::Stable | ClassicGroupState::CompletingRebalance => self.prepare_rebalance(step),
                ClassicGroupState::PreparingRebalance => self.complete_join_if_all_joined(step),
                ClassicGroupState::Empty | ClassicGroupState::Dead => {}
            }
        }
        responses
    }

    fn leave_one(&mut self, member: &MemberIdentity, step: &mut Step<'_>) -> Result<(), ErrorCode> {
        let instance_id = member.group_instance_id.as_deref();
        let leaving: Arc<str> = if member.member_id.is_empty() {
            // An administrator removes a static member by its instance id alone.
            let known = instance_id.and_then(|instance_id| self.static_members.get(instance_id));
            known.cloned().ok_or(ErrorCode::UnknownMemberId)?
        } else {
            if !self.pending_members.contains(member.member_id.as_str()) {
                self.validate_member(&member.member_id, instance_id)?;
            }
            member.member_id.as_str().into()
        };
        self.remove(&leaving, step.effects);
        Ok(())
    }
}
