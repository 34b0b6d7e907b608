//! Who a heartbeat, or a JoinGroup to a consumer group, comes from.

use super::assignment::epoch_of;
use super::draft::Draft;
use super::member::LEFT_FOR_A_MOMENT;
use super::record::ConsumerRecordKind;
use super::{ConsumerMember, Partitions, Refusal};
use ottla_protocol::ErrorCode;
use std::sync::Arc;

/// What a member knows of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// Of the consumer protocol: its epoch, 0 when it joins.
    Epoch(i32),
    /// Of the classic protocol, which joins again and again.
    Classic {
        /// It has no id of its own yet.
        is_new: bool,
    },
}

/// Who a request says that it is from.
pub(crate) struct Sender<'a> {
    pub(crate) member_id: Arc<str>,
    pub(crate) claim: Claim,
    pub(crate) instance_id: Option<&'a str>,
    pub(crate) owned: Option<&'a Partitions>,
}

impl Sender<'_> {
    fn joins(&self) -> bool {
        matches!(self.claim, Claim::Epoch(0) | Claim::Classic { is_new: true })
    }

    /// The member as it is known before this heartbeat. A static member that joins again takes the place of the one before.
    pub(crate) fn member(&self, draft: &mut Draft<'_>) -> Result<ConsumerMember, Refusal> {
        match self.instance_id {
            None => self.dynamic_member(draft),
            Some(instance_id) => self.static_member(instance_id, draft),
        }
    }

    fn dynamic_member(&self, draft: &Draft<'_>) -> Result<ConsumerMember, Refusal> {
        match draft.group.member(&self.member_id) {
            Some(member) => self.check_epoch(member).map(|()| member.clone()),
            None if self.joins() || self.is_classic() => Ok(ConsumerMember::new()),
            None => Err(unknown_member(&draft.group_id, &self.member_id)),
        }
    }

    fn static_member(&self, instance_id: &str, draft: &mut Draft<'_>) -> Result<ConsumerMember, Refusal> {
        let known =
            draft.group.static_member(instance_id).map(|(member_id, member)| (member_id.clone(), member.clone()));
        let Some((member_id, member)) = known else {
            return if self.joins() { Ok(ConsumerMember::new()) } else { Err(unknown_instance(instance_id)) };
        };
        if !self.joins() {
            check_instance(&member_id, &self.member_id, instance_id)?;
            return self.check_epoch(&member).map(|()| member);
        }
        if !self.is_classic() && member.classic.is_none() && member.epoch != LEFT_FOR_A_MOMENT {
            return Err(Refusal::new(
                ErrorCode::UnreleasedInstanceId,
                format!("The instance id {instance_id} is with the member {member_id}, which has not left."),
            ));
        }
        let member = ConsumerMember { epoch: 0, previous_epoch: 0, ..member };
        let target = draft.group.target(&member_id).cloned().unwrap_or_default();
        draft.remove_member(&member_id);
        draft.write_metadata(&self.member_id, &member);
        draft.write(ConsumerRecordKind::Target { member_id: self.member_id.clone(), value: Some(target) });
        draft.write_current(&self.member_id, &member);
        Ok(member)
    }

    fn is_classic(&self) -> bool {
        matches!(self.claim, Claim::Classic { .. })
    }

    fn check_epoch(&self, member: &ConsumerMember) -> Result<(), Refusal> {
        let Claim::Epoch(epoch) = self.claim else { return Ok(()) };
        let fenced = |what: &str| {
            let (theirs, ours) = (epoch, member.epoch);
            let must = "the member must give up all its partitions and join again";
            Err(Refusal::new(
                ErrorCode::FencedMemberEpoch,
                format!("The member's epoch {theirs} is {what} than {ours}, which is known here: {must}."),
            ))
        };
        if self.joins() || epoch == member.epoch {
            return Ok(());
        }
        if epoch > member.epoch {
            return fenced("greater");
        }
        // The answer with the new epoch may have been lost.
        let has_no_more = self.owned.is_some_and(|owned| {
            let mut all = owned.iter().flat_map(|(topic, indexes)| indexes.iter().map(|index| (*topic, *index)));
            all.all(|(topic, index)| epoch_of(&member.assigned, topic, index).is_some())
        });
        if epoch == member.previous_epoch && has_no_more { Ok(()) } else { fenced("smaller") }
    }
}

pub(crate) fn unknown_member(group_id: &str, member_id: &str) -> Refusal {
    Refusal::new(ErrorCode::UnknownMemberId, format!("Member {member_id} is not a member of group {group_id}."))
}

pub(crate) fn unknown_instance(instance_id: &str) -> Refusal {
    Refusal::new(ErrorCode::UnknownMemberId, format!("Instance id {instance_id} is unknown."))
}

/// Only the member that has an instance id may speak in its name.
pub(crate) fn check_instance(known: &str, member_id: &str, instance_id: &str) -> Result<(), Refusal> {
    if known == member_id {
        return Ok(());
    }
    let message = format!("The instance id {instance_id} is with the member {known}, not with {member_id}.");
    Err(Refusal::new(ErrorCode::FencedInstanceId, message))
}
