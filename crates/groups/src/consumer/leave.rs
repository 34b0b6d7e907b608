use super::draft::Draft;
use super::member::LEFT_FOR_A_MOMENT;
use super::metadata_hash::metadata_hash;
use super::record::ConsumerRecordKind;
use super::subscribe::{check_instance, unknown_instance, unknown_member};
use super::{ConsumerGroup, Refusal};
use crate::effects::Replaying;
use crate::migration::Downgrade;
use crate::view::ClusterView;
use crate::{Completion, Effects, GroupCoordinator, TimerKey};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::leave_group_request::MemberIdentity;
use ottla_protocol::messages::leave_group_response::MemberResponse;
use ottla_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use ottla_types::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;

impl GroupCoordinator {
    /// Takes a LeaveGroup to a consumer group, by members of either protocol.
    pub(crate) fn leave_consumer_group(
        &self,
        now: Timestamp,
        group_id: &Arc<str>,
        members: &[MemberIdentity],
        effects: &mut Effects,
    ) -> Result<Vec<MemberResponse>, Refusal> {
        effects.replaying = Replaying::Replay;
        let group = self.consumer_group_or_refuse(group_id)?;
        let mut leaving = BTreeSet::new();
        let response = |member: &MemberIdentity| {
            let error = match leaving_member(group, group_id, member) {
                Ok(member_id) => {
                    leaving.insert(member_id);
                    ErrorCode::None
                }
                Err(refusal) => refusal.error,
            };
            MemberResponse {
                member_id: member.member_id.clone(),
                group_instance_id: member.group_instance_id.clone(),
                error_code: error.code(),
                ..Default::default()
            }
        };
        let responses = members.iter().map(response).collect();
        self.fence(now, group_id, &leaving, effects)?;
        Ok(responses)
    }

    /// A heartbeat with the epoch of one who leaves: -1 for good, -2 for a moment (static members).
    pub(crate) fn consumer_leave(
        &self,
        now: Timestamp,
        request: &ConsumerGroupHeartbeatRequest,
        effects: &mut Effects,
    ) -> Result<ConsumerGroupHeartbeatResponse, Refusal> {
        let group_id: Arc<str> = request.group_id.as_str().into();
        let group = self.consumer_group_or_refuse(&group_id)?;
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
            let mut draft = Draft::of(group_id.clone(), group);
            draft.write_current(&member_id, &member);
            effects.records = draft.records;
        } else {
            self.fence(now, &group_id, &BTreeSet::from([member_id.clone()]), effects)?;
        }
        Ok(ConsumerGroupHeartbeatResponse {
            member_id: Some(member_id.to_string()),
            member_epoch: request.member_epoch,
            ..Default::default()
        })
    }

    /// The group, or why there is none of this kind.
    pub(crate) fn consumer_group_or_refuse(&self, group_id: &str) -> Result<&ConsumerGroup, Refusal> {
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

impl GroupCoordinator {
    /// Takes members out of their group: others get what they had. If only members of the classic protocol stay, the group becomes
    /// a classic one.
    pub(crate) fn fence(
        &self,
        now: Timestamp,
        group_id: &Arc<str>,
        leaving: &BTreeSet<Arc<str>>,
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        let Some(group) = self.consumer.get(group_id).filter(|_| !leaving.is_empty()) else { return Ok(()) };
        for member_id in leaving {
            let (group_id, member_id) = (group_id.clone(), member_id.clone());
            effects.cancel_timer(TimerKey::ConsumerJoin { group_id: group_id.clone(), member_id: member_id.clone() });
            effects.cancel_timer(TimerKey::ConsumerSync { group_id, member_id });
        }
        if Downgrade::is_due_without(group, leaving, &self.settings) {
            let downgrade = Downgrade { group_id, group, leaving, joining: None, view: &*self.view };
            let downgraded = downgrade.write(now, true, &mut effects.records)?;
            effects.completion = Some(Completion::Downgraded(downgraded));
            return Ok(());
        }
        let mut draft = Draft::of(group_id.clone(), group);
        take_out(&mut draft, leaving, &*self.view);
        effects.records = draft.records;
        Ok(())
    }
}

fn take_out(draft: &mut Draft<'_>, leaving: &BTreeSet<Arc<str>>, view: &dyn ClusterView) {
    let regex_of = |member_id: &Arc<str>| draft.group.member(member_id)?.regex().map(str::to_owned);
    let regexes: BTreeSet<String> = leaving.iter().filter_map(regex_of).collect();
    leaving.iter().for_each(|member_id| draft.remove_member(member_id));
    for regex in regexes {
        if draft.group.subscribers_of(&regex) == 0 {
            draft.write(ConsumerRecordKind::Regex { regex, value: None });
        }
    }
    let hash = metadata_hash(draft.group.subscribed_topics().into_iter(), view);
    let epoch = draft.group.epoch.saturating_add(1);
    draft.write(ConsumerRecordKind::Group(Some((epoch, hash))));
    if draft.group.is_empty() {
        draft.write(ConsumerRecordKind::Assignment(Some((epoch, 0))));
    }
}

/// Which member a LeaveGroup means. An administrator names an instance id alone.
fn leaving_member(group: &ConsumerGroup, group_id: &str, member: &MemberIdentity) -> Result<Arc<str>, Refusal> {
    let known = match member.group_instance_id.as_deref() {
        None => group.member_entry(&member.member_id).ok_or_else(|| unknown_member(group_id, &member.member_id))?,
        Some(instance_id) => {
            let known = group.static_member(instance_id).ok_or_else(|| unknown_instance(instance_id))?;
            if !member.member_id.is_empty() {
                check_instance(known.0, &member.member_id, instance_id)?;
            }
            known
        }
    };
    Ok(known.0.clone())
}
