//! Static members (KIP-345): one that comes back with its instance id takes its predecessor's place.

use super::join::Join;
use super::{ClassicGroup, ClassicGroupState, Protocol, Step};
use crate::refusal::{append_error, join_error, sync_error};
use crate::{Completion, Token};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::JoinGroupResponse;
use std::sync::Arc;

/// First version whose answer can tell a leader that it need not assign anew (KIP-814).
const SKIP_ASSIGNMENT_VERSION: i16 = 9;

/// A replacement in a stable group on its way into the log, with what is needed to take it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticReplacement {
    /// The group.
    pub group_id: Arc<str>,
    /// The static member.
    pub group_instance_id: Arc<str>,
    /// The id of the one before.
    pub old_member_id: Arc<str>,
    /// The id of the one that joins.
    pub new_member_id: Arc<str>,
    token: Token,
    api_version: i16,
    old_leader: String,
    old_protocols: Vec<Protocol>,
    old_rebalance_timeout_ms: i32,
    old_session_timeout_ms: i32,
}

impl ClassicGroup {
    /// A known static member joins without a member id: it has been restarted. In a stable group whose protocol stays
    /// the same it gets its predecessor's assignment and nobody else notices.
    pub(super) fn replace_static_member(
        &mut self,
        instance_id: &Arc<str>,
        old_member_id: &Arc<str>,
        new_member_id: Arc<str>,
        join: Join,
        step: &mut Step<'_>,
    ) {
        let old_leader = self.leader.as_deref().unwrap_or_default().to_owned();
        self.rename_static_member(instance_id, old_member_id, &new_member_id, step);
        self.restart_session(&new_member_id, step.effects);
        let Some(member) = self.members.get(&new_member_id) else {
            return join.refuse("", ErrorCode::UnknownServerError, step);
        };
        let replacement = StaticReplacement {
            group_id: self.group_id.clone(),
            group_instance_id: instance_id.clone(),
            old_member_id: old_member_id.clone(),
            new_member_id: new_member_id.clone(),
            token: join.parked.token,
            api_version: join.parked.api_version,
            old_leader,
            old_protocols: member.protocols.clone(),
            old_rebalance_timeout_ms: member.rebalance_timeout_ms,
            old_session_timeout_ms: member.session_timeout_ms,
        };
        self.update_joining(&new_member_id, join, step);
        match self.state {
            ClassicGroupState::Stable if self.protocol_name == self.select_protocol() => {
                step.effects.records.push(self.to_record());
                step.effects.completion = Some(Completion::StaticMember(replacement));
            }
            ClassicGroupState::Stable | ClassicGroupState::CompletingRebalance => self.prepare_rebalance(step),
            _ => self.complete_join_if_all_joined(step),
        }
    }

    /// Puts the new member id in the old one's place. Requests that the old one has parked are fenced.
    fn rename_static_member(
        &mut self,
        instance_id: &Arc<str>,
        old_id: &Arc<str>,
        new_id: &Arc<str>,
        step: &mut Step<'_>,
    ) {
        self.finish_join(old_id, step.effects, |parked| {
            join_error(parked.api_version, old_id, ErrorCode::FencedInstanceId)
        });
        self.finish_sync(old_id, step.effects, |_| sync_error(ErrorCode::FencedInstanceId));
        step.effects.cancel_timer(self.heartbeat_key(old_id));
        let Some(mut member) = self.members.shift_remove(old_id) else { return };
        member.member_id = new_id.clone();
        member.is_new = false;
        self.members.insert(new_id.clone(), member);
        self.static_members.insert(instance_id.clone(), new_id.clone());
        if self.is_leader(old_id) {
            self.leader = Some(new_id.clone());
        }
        if self.pending_sync.remove(old_id) {
            self.pending_sync.insert(new_id.clone());
        }
    }

    /// The replacement is committed: answer with the running generation.
    pub(crate) fn on_replacement_committed(&mut self, replacement: &StaticReplacement, step: &mut Step<'_>) {
        let member_id = &replacement.new_member_id;
        let version = replacement.api_version;
        let mut response = self.generation_response(member_id, version, false);
        if version >= SKIP_ASSIGNMENT_VERSION {
            if self.is_leader(member_id) {
                response = self.generation_response(member_id, version, true);
                response.skip_assignment = true;
            }
        } else {
            // A leader of old would assign anew, which the group does not wait for. So it is told that its
            // predecessor, whose id it can't know, leads.
            response.leader.clone_from(&replacement.old_leader);
        }
        self.finish_join_of(replacement, response, step);
    }

    /// The replacement could not be written: the old id is back, and the new one is told why.
    pub(crate) fn on_replacement_failed(
        &mut self,
        replacement: &StaticReplacement,
        error: ErrorCode,
        step: &mut Step<'_>,
    ) {
        let response = JoinGroupResponse {
            error_code: append_error(error).code(),
            leader: replacement.old_leader.clone(),
            ..self.generation_response("", replacement.api_version, false)
        };
        self.finish_join_of(replacement, response, step);
        let (old_id, new_id) = (&replacement.old_member_id, &replacement.new_member_id);
        if !self.has_member(new_id) {
            return;
        }
        self.set_protocols(new_id, replacement.old_protocols.clone());
        if let Some(member) = self.members.get_mut(new_id) {
            member.rebalance_timeout_ms = replacement.old_rebalance_timeout_ms;
            member.session_timeout_ms = replacement.old_session_timeout_ms;
        }
        self.rename_static_member(&replacement.group_instance_id, new_id, old_id, step);
        self.restart_session(old_id, step.effects);
    }

    /// Answers the JoinGroup of the replacement, unless another request of the member has taken its place.
    fn finish_join_of(&mut self, replacement: &StaticReplacement, response: JoinGroupResponse, step: &mut Step<'_>) {
        let parked = self.members.get(&replacement.new_member_id).and_then(|member| member.awaiting_join);
        if parked.is_some_and(|parked| parked.token == replacement.token) {
            self.finish_join(&replacement.new_member_id, step.effects, |_| response);
        }
    }
}
