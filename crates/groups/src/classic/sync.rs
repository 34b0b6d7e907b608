use super::member::Parked;
use super::{ClassicGroup, ClassicGroupState, Step};
use crate::refusal::{append_error, sync_error};
use crate::{Completion, RequestContext, Response, Token};
use bytes::Bytes;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{SyncGroupRequest, SyncGroupResponse};
use ottla_types::Generation;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A leader's assignment on its way into the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncedAssignment {
    /// The group.
    pub group_id: Arc<str>,
    /// The generation that it is for.
    pub generation: Generation,
    /// What each member is assigned, by member id.
    pub assignments: BTreeMap<Arc<str>, Bytes>,
}

impl ClassicGroup {
    /// Takes a SyncGroup: it is answered when what the coordinator knows is committed, or parked until the leader's assignment is.
    pub(crate) fn sync(
        &mut self,
        context: &RequestContext,
        request: SyncGroupRequest,
        token: Token,
        step: &mut Step<'_>,
    ) {
        if let Err(error) = self.validate_sync(&request) {
            return step.effects.reply(token, Response::SyncGroup(sync_error(error)));
        }
        match self.state {
            ClassicGroupState::CompletingRebalance => {
                let parked = Parked { token, api_version: context.api_version };
                self.park_sync(&request.member_id, parked, step.effects);
                self.note_synced(&request.member_id, step);
                if self.is_leader(&request.member_id) {
                    self.store_assignment(request, step);
                }
            }
            ClassicGroupState::Stable => {
                self.note_synced(&request.member_id, step);
                let response = self.assignment_response(&request.member_id);
                // A coordinator that has just read it from the log does not know yet whether it is committed. If it never will be,
                // a later one gives the same generation other assignments.
                step.effects.reply_when_committed(token, Response::SyncGroup(response));
            }
            _ => step.effects.reply(token, Response::SyncGroup(sync_error(ErrorCode::RebalanceInProgress))),
        }
    }

    fn validate_sync(&self, request: &SyncGroupRequest) -> Result<(), ErrorCode> {
        match self.state {
            ClassicGroupState::Empty => return Err(ErrorCode::UnknownMemberId),
            ClassicGroupState::Dead => return Err(ErrorCode::CoordinatorNotAvailable),
            _ => {}
        }
        self.validate_member(&request.member_id, request.group_instance_id.as_deref())?;
        if request.generation_id != self.generation.value() {
            return Err(ErrorCode::IllegalGeneration);
        }
        let differs =
            |said: &Option<String>, known: &Option<String>| said.is_some() && known.is_some() && said != known;
        if differs(&request.protocol_type, &self.protocol_type) || differs(&request.protocol_name, &self.protocol_name)
        {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        Ok(())
    }

    /// The member has asked for its assignment; when all have, nobody needs to be waited for.
    fn note_synced(&mut self, member_id: &str, step: &mut Step<'_>) {
        self.pending_sync.remove(member_id);
        if self.pending_sync.is_empty() {
            step.effects.cancel_timer(self.sync_key());
        }
    }

    /// Writes the leader's assignment. It counts once it is committed.
    fn store_assignment(&mut self, request: SyncGroupRequest, step: &mut Step<'_>) {
        let mut said: BTreeMap<String, Bytes> =
            request.assignments.into_iter().map(|one| (one.member_id, one.assignment)).collect();
        // Members that the leader left out get nothing; those that are not members do not count.
        let assignments: BTreeMap<Arc<str>, Bytes> = self
            .members
            .keys()
            .map(|member_id| (member_id.clone(), said.remove(&**member_id).unwrap_or_default()))
            .collect();
        step.effects.records.push(self.to_record_with(&assignments));
        step.effects.completion = Some(Completion::Assignment(SyncedAssignment {
            group_id: self.group_id.clone(),
            generation: self.generation,
            assignments,
        }));
    }

    /// The assignment is committed: hand it out. A group that has moved on since ignores it.
    pub(crate) fn on_assignment_committed(&mut self, mut synced: SyncedAssignment, step: &mut Step<'_>) {
        if self.state != ClassicGroupState::CompletingRebalance || self.generation != synced.generation {
            return;
        }
        let member_ids: Vec<Arc<str>> = self.members.keys().cloned().collect();
        for member_id in &member_ids {
            if let Some(member) = self.members.get_mut(member_id) {
                member.assignment = Some(synced.assignments.remove(member_id).unwrap_or_default());
            }
            let response = self.assignment_response(member_id);
            if self.finish_sync(member_id, step.effects, |_| response) {
                self.restart_session(member_id, step.effects);
            }
        }
        self.transition(ClassicGroupState::Stable, step.now);
    }

    /// The assignment could not be written: nobody gets one, and the members are called together again.
    pub(crate) fn on_assignment_failed(&mut self, synced: &SyncedAssignment, error: ErrorCode, step: &mut Step<'_>) {
        if self.state != ClassicGroupState::CompletingRebalance || self.generation != synced.generation {
            return;
        }
        self.reset_assignments(append_error(error), step);
        self.rebalance_or_complete_join(step);
    }

    fn assignment_response(&self, member_id: &str) -> SyncGroupResponse {
        SyncGroupResponse {
            error_code: ErrorCode::None.code(),
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            assignment: self.members.get(member_id).and_then(|member| member.assignment.clone()).unwrap_or_default(),
            ..Default::default()
        }
    }
}
