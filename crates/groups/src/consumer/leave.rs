use super::Refusal;
use super::draft::Draft;
use super::member::LEFT_FOR_A_MOMENT;
use super::metadata_hash::metadata_hash;
use super::record::ConsumerRecordKind;
use super::subscribe::{check_instance, unknown_instance, unknown_member};
use crate::view::ClusterView;
use crate::{Effects, GroupCoordinator};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use std::sync::Arc;

impl GroupCoordinator {
    /// A heartbeat with the epoch of one who leaves: -1 for good, -2 for a moment (static members).
    pub(crate) fn consumer_leave(
        &self,
        request: &ConsumerGroupHeartbeatRequest,
        effects: &mut Effects,
    ) -> Result<ConsumerGroupHeartbeatResponse, Refusal> {
        let group_id: Arc<str> = request.group_id.as_str().into();
        let group = self.consumer_group_or_refuse(&group_id)?;
        let mut draft = Draft::of(group_id.clone(), group);
        let member_id: Arc<str> = request.member_id.as_str().into();
        let known = match request.instance_id.as_deref() {
            None => group.member(&member_id).ok_or_else(|| unknown_member(&group_id, &member_id))?,
            Some(instance_id) => {
                let (known_id, member) =
                    group.static_member(instance_id).ok_or_else(|| unknown_instance(instance_id))?;
                check_instance(known_id, &member_id, instance_id)?;
                member
            }
        };
        if request.instance_id.is_some() && request.member_epoch == LEFT_FOR_A_MOMENT {
            let mut member = known.clone();
            member.epoch = LEFT_FOR_A_MOMENT;
            member.pending_revocation.clear();
            member.assigned.values_mut().flat_map(|held| held.values_mut()).for_each(|epoch| *epoch = 0);
            draft.write_current(&member_id, &member);
        } else {
            fence(&mut draft, &member_id, &*self.view);
        }
        effects.records = draft.records;
        Ok(ConsumerGroupHeartbeatResponse {
            member_id: Some(member_id.to_string()),
            member_epoch: request.member_epoch,
            ..Default::default()
        })
    }

    /// The group, or why there is none of this kind.
    pub(crate) fn consumer_group_or_refuse(&self, group_id: &str) -> Result<&super::ConsumerGroup, Refusal> {
        self.consumer.get(group_id).ok_or_else(|| {
            let is_other = self.classic.contains_key(group_id) || self.preserved.get(group_id).is_some();
            let message = match is_other {
                true => format!("Group {group_id} is not a consumer group."),
                false => format!("Group {group_id} not found."),
            };
            Refusal::new(ErrorCode::GroupIdNotFound, message)
        })
    }
}

/// Takes a member out of its group: others get what it had.
pub(crate) fn fence(draft: &mut Draft<'_>, member_id: &Arc<str>, view: &dyn ClusterView) {
    let regex = draft.group.member(member_id).and_then(|member| member.regex().map(str::to_owned));
    draft.remove_member(member_id);
    if let Some(regex) = regex.filter(|regex| draft.group.subscribers_of(regex) == 0) {
        draft.write(ConsumerRecordKind::Regex { regex, value: None });
    }
    let hash = metadata_hash(draft.group.subscribed_topics().into_iter(), view);
    let epoch = draft.group.epoch.saturating_add(1);
    draft.write(ConsumerRecordKind::Group(Some((epoch, hash))));
    if draft.group.is_empty() {
        draft.write(ConsumerRecordKind::Assignment(Some((epoch, 0))));
    }
}
