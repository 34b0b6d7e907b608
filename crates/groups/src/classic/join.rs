use super::member::Parked;
use super::weight::Weight;
use super::{ClassicGroup, ClassicGroupState, Member, Protocol, Step, protocols};
use crate::refusal::join_error;
use crate::{RequestContext, Response, Token};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::join_group_response::JoinGroupResponseMember;
use ottla_protocol::messages::{JoinGroupRequest, JoinGroupResponse};
use std::sync::Arc;

/// First version in which a dynamic member must join with an id that it was given before (KIP-394): a client that goes
/// away after its first request then leaves no member behind.
const MEMBER_ID_REQUIRED_VERSION: i16 = 4;

/// A JoinGroup on its way through the group.
pub(super) struct Join {
    pub(super) parked: Parked,
    pub(super) client_id: Arc<str>,
    pub(super) client_host: Arc<str>,
    pub(super) group_instance_id: Option<Arc<str>>,
    pub(super) rebalance_timeout_ms: i32,
    pub(super) session_timeout_ms: i32,
    pub(super) protocol_type: String,
    pub(super) protocols: Vec<Protocol>,
}

/// Whether the join left a record behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JoinOutcome {
    /// Nothing to write.
    Nothing,
    /// The step has records already.
    Written,
}

impl ClassicGroup {
    /// Takes a JoinGroup: it is answered now, or parked until the next generation.
    pub(crate) fn join(
        &mut self,
        context: &RequestContext,
        request: JoinGroupRequest,
        token: Token,
        step: &mut Step<'_>,
    ) -> JoinOutcome {
        let api_version = context.api_version;
        let member_id = request.member_id;
        let join = Join {
            parked: Parked { token, api_version },
            client_id: context.client_id.clone(),
            client_host: context.client_host.clone(),
            group_instance_id: request.group_instance_id.map(Arc::from),
            // The first version has one timeout for both.
            rebalance_timeout_ms: if api_version == 0 {
                request.session_timeout_ms
            } else {
                request.rebalance_timeout_ms
            },
            session_timeout_ms: request.session_timeout_ms,
            protocol_type: request.protocol_type,
            protocols: request.protocols.into_iter().map(Protocol::from).collect(),
        };
        if !self.accepts(&member_id, step.settings.size_max) {
            self.remove(&member_id, step.effects);
            join.refuse("", ErrorCode::GroupMaxSizeReached, step);
        } else if !self.fits(&member_id, &join.protocols, step) {
            // Also of a member that there is: what it says now has no room.
            join.refuse(&member_id, ErrorCode::GroupMaxSizeReached, step);
        } else if self.state == ClassicGroupState::Dead {
            join.refuse(&member_id, ErrorCode::CoordinatorNotAvailable, step);
        } else if !self.supports_protocols(&join.protocol_type, &join.protocols) {
            join.refuse(&member_id, ErrorCode::InconsistentGroupProtocol, step);
        } else if member_id.is_empty() {
            self.join_unknown(context, join, step);
        } else {
            self.join_known(member_id.into(), join, step);
        }
        if step.effects.records.is_empty() { JoinOutcome::Nothing } else { JoinOutcome::Written }
    }

    /// Whether the group has room for the member. While it prepares a rebalance, who waits is counted, not who was
    /// there before: the others may not come back.
    fn accepts(&self, member_id: &str, size_max: usize) -> bool {
        let member = self.members.get(member_id);
        match self.state {
            ClassicGroupState::Empty | ClassicGroupState::Dead => true,
            ClassicGroupState::PreparingRebalance => {
                member.is_some_and(Member::is_awaiting_join) || self.awaiting_join < size_max
            }
            ClassicGroupState::CompletingRebalance | ClassicGroupState::Stable => {
                member.is_some() || self.members.len() < size_max
            }
        }
    }

    fn fits(&self, member_id: &str, protocols: &[Protocol], step: &Step<'_>) -> bool {
        let (nothing, memory) = (Weight::default(), &step.settings.member_memory);
        let weight = self.members.get(member_id).map_or(&nothing, |member| &member.weight);
        weight.fits(Weight::of(protocols), memory)
    }

    fn join_unknown(&mut self, context: &RequestContext, join: Join, step: &mut Step<'_>) {
        let new_member_id = context.new_member_id(join.group_instance_id.as_deref());
        if let Some(instance_id) = join.group_instance_id.clone() {
            match self.static_members.get(&instance_id).cloned() {
                Some(old_member_id) => {
                    self.replace_static_member(&instance_id, &old_member_id, new_member_id, join, step)
                }
                None => self.add_joining(new_member_id, join, step),
            }
        } else if context.api_version < MEMBER_ID_REQUIRED_VERSION {
            self.add_joining(new_member_id, join, step);
        } else {
            if let Some(forgotten) = self.add_pending(new_member_id.clone()) {
                step.effects.cancel_timer(self.heartbeat_key(&forgotten));
            }
            step.effects.set_timer(self.heartbeat_key(&new_member_id), i64::from(join.session_timeout_ms));
            join.refuse(&new_member_id, ErrorCode::MemberIdRequired, step);
        }
    }

    fn join_known(&mut self, member_id: Arc<str>, join: Join, step: &mut Step<'_>) {
        if self.pending_members.contains(&member_id) {
            // Only dynamic members are ever pending. Kafka fails such a request with an internal error.
            if join.group_instance_id.is_some() {
                return join.refuse("", ErrorCode::UnknownServerError, step);
            }
            return self.add_joining(member_id, join, step);
        }
        if let Err(error) = self.validate_member(&member_id, join.group_instance_id.as_deref()) {
            return join.refuse(&member_id, error, step);
        }
        let unchanged = self.members.get(&member_id).is_some_and(|member| member.protocols == join.protocols);
        match self.state {
            // The answer to an earlier JoinGroup got lost.
            ClassicGroupState::CompletingRebalance if unchanged => {
                self.answer_with_current_generation(&member_id, join.parked, step);
            }
            // A follower rejoins for nothing; a leader's join always asks for a rebalance: it may have seen that the
            // topics have changed.
            ClassicGroupState::Stable if unchanged && !self.is_leader(&member_id) => {
                self.answer_with_current_generation(&member_id, join.parked, step);
            }
            ClassicGroupState::PreparingRebalance
            | ClassicGroupState::CompletingRebalance
            | ClassicGroupState::Stable => {
                self.update_joining(&member_id, join, step);
                self.rebalance_or_complete_join(step);
            }
            ClassicGroupState::Empty | ClassicGroupState::Dead => {
                join.refuse(&member_id, ErrorCode::UnknownMemberId, step);
            }
        }
    }

    fn answer_with_current_generation(&self, member_id: &str, parked: Parked, step: &mut Step<'_>) {
        let is_completing = self.state == ClassicGroupState::CompletingRebalance;
        let with_members = is_completing && self.is_leader(member_id);
        let response = self.generation_response(member_id, parked.api_version, with_members);
        step.effects.reply(parked.token, Response::JoinGroup(response));
    }

    /// Adds the member and parks its JoinGroup.
    fn add_joining(&mut self, member_id: Arc<str>, join: Join, step: &mut Step<'_>) {
        if self.state == ClassicGroupState::PreparingRebalance && self.previous_state == ClassicGroupState::Empty {
            self.new_member_added = true;
        }
        let weight = Weight::of(&join.protocols);
        let member = Member {
            member_id: member_id.clone(),
            group_instance_id: join.group_instance_id,
            client_id: join.client_id,
            client_host: join.client_host,
            rebalance_timeout_ms: join.rebalance_timeout_ms,
            session_timeout_ms: join.session_timeout_ms,
            protocols: join.protocols,
            assignment: None,
            is_new: true,
            awaiting_join: Some(join.parked),
            awaiting_sync: None,
            weight: Weight::take(weight, &step.settings.member_memory),
        };
        self.add(member, &join.protocol_type);
        // The member can't send heartbeats while its first join waits, so its session is not what counts. A client
        // that went away is noticed after this time, if the rebalance takes that long.
        let delay_ms = i64::from(step.settings.new_member_join_timeout_ms);
        step.effects.set_timer(self.heartbeat_key(&member_id), delay_ms);
        self.rebalance_or_complete_join(step);
    }

    /// Takes over what a rejoining member says now, and parks its JoinGroup.
    pub(super) fn update_joining(&mut self, member_id: &Arc<str>, join: Join, step: &mut Step<'_>) {
        let weight = Weight::of(&join.protocols);
        self.set_protocols(member_id, join.protocols);
        if let Some(member) = self.members.get_mut(member_id) {
            member.weight = Weight::take(weight, &step.settings.member_memory);
            member.rebalance_timeout_ms = join.rebalance_timeout_ms;
            member.session_timeout_ms = join.session_timeout_ms;
        }
        self.park_join(member_id, join.parked, step.effects);
    }

    pub(super) fn set_protocols(&mut self, member_id: &str, protocols: Vec<Protocol>) {
        let Some(member) = self.members.get_mut(member_id) else { return };
        protocols::count(&mut self.supported_protocols, &member.protocols, -1);
        protocols::count(&mut self.supported_protocols, &protocols, 1);
        member.protocols = protocols;
    }

    /// The answer that tells a member of the generation; the leader's also tells of all members.
    pub(super) fn generation_response(
        &self,
        member_id: &str,
        api_version: i16,
        with_members: bool,
    ) -> JoinGroupResponse {
        let protocol_name = self.protocol_name.clone();
        JoinGroupResponse {
            error_code: ErrorCode::None.code(),
            generation_id: self.generation.value(),
            protocol_type: self.protocol_type.clone(),
            protocol_name: if api_version < 7 { Some(protocol_name.unwrap_or_default()) } else { protocol_name },
            leader: self.leader.as_deref().unwrap_or_default().to_owned(),
            skip_assignment: false,
            member_id: member_id.to_owned(),
            members: if with_members { self.joined_members() } else { Vec::new() },
            ..Default::default()
        }
    }

    fn joined_members(&self) -> Vec<JoinGroupResponseMember> {
        let protocol_name = self.protocol_name.as_deref().unwrap_or_default();
        self.members_in_javas_order()
            .into_iter()
            .map(|member| JoinGroupResponseMember {
                member_id: member.member_id.to_string(),
                group_instance_id: member.group_instance_id.as_deref().map(str::to_owned),
                metadata: member.metadata(protocol_name),
                ..Default::default()
            })
            .collect()
    }
}

impl Join {
    /// Answers with an error.
    pub(super) fn refuse(&self, member_id: &str, error: ErrorCode, step: &mut Step<'_>) {
        let response = join_error(self.parked.api_version, member_id, error);
        step.effects.reply(self.parked.token, Response::JoinGroup(response));
    }
}
