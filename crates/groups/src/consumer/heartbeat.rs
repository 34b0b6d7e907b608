//! ConsumerGroupHeartbeat: a member joins, says what it wants and has, and learns what it is to have.

use super::assignor::Assignor;
use super::decision::{Decision, Moved, Statement};
use super::draft::{Draft, Written};
use super::subscribe::{Claim, Sender};
use super::timers::{rebalance_timer, session_timer};
use super::{ConsumerGroup, ConsumerMember, HeldPartitions, MemberState, Partitions, Refusal};
use crate::classic::ClassicGroupState;
use crate::effects::Replaying;
use crate::migration::{check_upgrade, upgraded};
use crate::preserved::PreservedKind;
use crate::{Effects, GroupCoordinator, GroupRecord, RequestContext, Response, Token};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::consumer_group_heartbeat_response::{Assignment, TopicPartitions};
use ottla_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use ottla_types::Timestamp;
use std::sync::Arc;

/// From this version on the client names its member itself.
const MEMBER_ID_VERSION: i16 = 1;

impl GroupCoordinator {
    pub(crate) fn consumer_heartbeat(
        &mut self,
        now: Timestamp,
        context: &RequestContext,
        request: &ConsumerGroupHeartbeatRequest,
        token: Token,
        effects: &mut Effects,
    ) {
        effects.replaying = Replaying::Replay;
        let answer = self.check_heartbeat(context, request).and_then(|()| match request.member_epoch {
            0.. => self.decide_heartbeat(now, context, request, effects),
            _ => self.consumer_leave(now, request, effects),
        });
        let response = answer.unwrap_or_else(|refusal| ConsumerGroupHeartbeatResponse {
            error_code: refusal.error.code(),
            error_message: Some(refusal.message),
            ..Default::default()
        });
        effects.reply_when_committed(token, Response::ConsumerGroupHeartbeat(response));
    }

    fn check_heartbeat(
        &self,
        context: &RequestContext,
        request: &ConsumerGroupHeartbeatRequest,
    ) -> Result<(), Refusal> {
        let epoch = request.member_epoch;
        let needs_member_id = context.api_version >= MEMBER_ID_VERSION || epoch > 0 || epoch == -1;
        let is_blank = |text: &str| text.trim().is_empty();
        let is_blank_option = |text: &Option<String>| text.as_deref().is_some_and(is_blank);
        let nothing_wanted = request.subscribed_topic_names.is_none() && request.subscribed_topic_regex.is_none();
        let owns_nothing = request.topic_partitions.as_ref().is_some_and(Vec::is_empty);
        let wrong = match () {
            () if needs_member_id && is_blank(&request.member_id) => Some("MemberId can't be empty."),
            () if is_blank(&request.group_id) => Some("GroupId can't be empty."),
            () if is_blank_option(&request.instance_id) => Some("InstanceId can't be empty."),
            () if is_blank_option(&request.rack_id) => Some("RackId can't be empty."),
            () if epoch == 0 && request.rebalance_timeout_ms == -1 => {
                Some("RebalanceTimeoutMs must be provided in first request.")
            }
            () if epoch == 0 && !owns_nothing => Some("TopicPartitions must be empty when (re-)joining."),
            () if epoch == 0 && nothing_wanted => {
                Some("Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.")
            }
            () if epoch == -2 && request.instance_id.is_none() => Some("InstanceId can't be null."),
            () if epoch < -2 => Some("MemberEpoch is invalid."),
            () => None,
        };
        if let Some(message) = wrong {
            return Err(Refusal::new(ErrorCode::InvalidRequest, message));
        }
        let names = &self.settings.consumer_assignors;
        match request.server_assignor.as_deref() {
            Some(name) if !names.iter().any(|assignor| assignor.name() == name) => {
                let supported: Vec<&str> = names.iter().map(|assignor| assignor.name()).collect();
                let supported = supported.join(", ");
                let message = format!("ServerAssignor {name} is not supported. Supported assignors: {supported}.");
                Err(Refusal::new(ErrorCode::UnsupportedAssignor, message))
            }
            _ => Ok(()),
        }
    }

    fn decide_heartbeat(
        &mut self,
        now: Timestamp,
        context: &RequestContext,
        request: &ConsumerGroupHeartbeatRequest,
        effects: &mut Effects,
    ) -> Result<ConsumerGroupHeartbeatResponse, Refusal> {
        let view = self.view.clone();
        let settings = view.group_settings(&request.group_id);
        let owned = request.topic_partitions.as_ref().map(|topics| {
            topics
                .iter()
                .map(|topic| (topic.topic_id, topic.partitions.iter().copied().collect()))
                .collect::<Partitions>()
        });
        let group_id: Arc<str> = request.group_id.as_str().into();
        let mut draft = match self.upgrade_for_heartbeat(&group_id, request, effects)? {
            Some(draft) => draft,
            None => self.draft_for_heartbeat(&group_id, request)?,
        };
        self.check_size(&draft.group, &request.member_id, request.instance_id.as_deref())?;
        let member_id: Arc<str> = match request.member_id.as_str() {
            "" => context.random_id(),
            named => named.into(),
        };
        let sender = Sender {
            member_id: member_id.clone(),
            claim: Claim::Epoch(request.member_epoch),
            instance_id: request.instance_id.as_deref(),
            owned: owned.as_ref(),
        };
        let decision = Decision {
            now,
            context,
            sender: &sender,
            statement: &statement_of(request),
            view: &*view,
            default: self.default_assignor(),
            assignment_interval_ms: settings.assignment_interval_ms,
        };
        let heard = decision.hear(&mut draft)?;
        let Moved { member, has_moved, is_assigned_anew } = decision.assign_and_move(&mut draft, &heard)?;
        effects.records = self.take(draft.written());
        session_timer(&group_id, &member_id, settings.session_timeout_ms, effects);
        if has_moved {
            rebalance_timer(&group_id, &member_id, &member, effects);
        }
        let is_full = request.rebalance_timeout_ms != -1
            && (request.subscribed_topic_names.is_some() || request.subscribed_topic_regex.is_some())
            && request.topic_partitions.is_some();
        let tells = request.member_epoch == 0 || is_full || is_assigned_anew;
        Ok(ConsumerGroupHeartbeatResponse {
            member_id: Some(member_id.to_string()),
            member_epoch: member.epoch,
            heartbeat_interval_ms: settings.heartbeat_interval_ms,
            assignment: tells.then(|| assignment_of(&member.assigned)),
            ..Default::default()
        })
    }

    /// The group of a heartbeat. An empty classic group makes way for one that joins.
    fn draft_for_heartbeat(
        &self,
        group_id: &Arc<str>,
        request: &ConsumerGroupHeartbeatRequest,
    ) -> Result<Draft<'_>, Refusal> {
        let group_id = group_id.clone();
        let joins = request.member_epoch == 0;
        if let Some(group) = self.consumer.get(&group_id) {
            return Ok(Draft::of(group_id, group));
        }
        let of_other_kind = format!("Group {group_id} is not a consumer group.");
        if let Some(preserved) = self.preserved.get(&group_id) {
            let gives_way = joins && preserved.is_empty() && preserved.kind == PreservedKind::Streams;
            if !gives_way {
                return Err(Refusal::new(ErrorCode::GroupIdNotFound, of_other_kind));
            }
            return Ok(Draft::new(group_id, preserved.tombstones().collect()));
        }
        match self.classic.get(&group_id) {
            Some(classic) if joins && classic.state() == ClassicGroupState::Empty => {
                let records = vec![GroupRecord::GroupMetadata { group_id: group_id.clone(), value: None }];
                Ok(Draft::new(group_id, records))
            }
            Some(_) => Err(Refusal::new(ErrorCode::GroupIdNotFound, of_other_kind)),
            None if joins => Ok(Draft::new(group_id, Vec::new())),
            None => {
                let message = format!("Consumer group {group_id} not found.");
                Err(Refusal::new(ErrorCode::GroupIdNotFound, message))
            }
        }
    }

    /// The draft of the consumer group that a classic group with members becomes by a consumer that joins. Who waits in the classic
    /// group is told to join again.
    fn upgrade_for_heartbeat(
        &mut self,
        group_id: &Arc<str>,
        request: &ConsumerGroupHeartbeatRequest,
        effects: &mut Effects,
    ) -> Result<Option<Draft<'static>>, Refusal> {
        if request.member_epoch != 0 || self.consumer.contains_key(group_id) || self.preserved.get(group_id).is_some() {
            return Ok(None);
        }
        let Some(classic) = self.classic.get_mut(group_id) else { return Ok(None) };
        if classic.state() == ClassicGroupState::Empty {
            return Ok(None);
        }
        check_upgrade(classic, group_id, &self.settings)?;
        classic.send_waiting_members_away(effects);
        let draft = upgraded(classic, group_id, &*self.view)?;
        for (member_id, member) in draft.group.members() {
            let session_timeout_ms = member.classic.as_ref().map_or(0, |classic| classic.session_timeout_ms);
            session_timer(group_id, member_id, session_timeout_ms, effects);
        }
        Ok(Some(draft))
    }

    /// Whether there is room in the group for the member, or it is there already.
    pub(crate) fn check_size(
        &self,
        group: &ConsumerGroup,
        member_id: &str,
        instance_id: Option<&str>,
    ) -> Result<(), Refusal> {
        let size_max = self.settings.consumer_size_max;
        let is_known = group.member(member_id).is_some()
            || instance_id.is_some_and(|instance_id| group.static_member(instance_id).is_some());
        if is_known || group.members().len() < size_max {
            return Ok(());
        }
        let message = format!("The consumer group has reached its maximum capacity of {size_max} members.");
        Err(Refusal::new(ErrorCode::GroupMaxSizeReached, message))
    }

    /// The records of a draft. The group notes what of the cluster was looked at for it: that need not be in the log.
    pub(crate) fn take(&mut self, written: Written) -> Vec<GroupRecord> {
        if let Some(group) = self.consumer.get_mut(&written.group_id) {
            (group.seen_version, group.regexes_seen) = (written.seen_version, written.regexes_seen);
        }
        written.records
    }

    /// The assignor of members that prefer none.
    pub(crate) fn default_assignor(&self) -> Assignor {
        self.settings.consumer_assignors.first().copied().unwrap_or(Assignor::Uniform)
    }
}

fn statement_of(request: &ConsumerGroupHeartbeatRequest) -> Statement {
    let topics = request.subscribed_topic_names.as_ref();
    Statement {
        instance_id: request.instance_id.clone(),
        rack_id: request.rack_id.clone(),
        assignor: request.server_assignor.clone(),
        regex: request.subscribed_topic_regex.clone(),
        rebalance_timeout_ms: Some(request.rebalance_timeout_ms).filter(|timeout_ms| *timeout_ms != -1),
        topics: topics.map(|names| names.iter().map(|name| Arc::from(name.as_str())).collect()),
        classic: None,
    }
}

fn assignment_of(assigned: &HeldPartitions) -> Assignment {
    let topic_partitions = assigned.iter().map(|(topic_id, held)| TopicPartitions {
        topic_id: *topic_id,
        partitions: held.keys().copied().collect(),
        ..Default::default()
    });
    Assignment { topic_partitions: topic_partitions.collect(), ..Default::default() }
}

/// Whether a member has to give up partitions within its time.
pub(crate) fn must_revoke(member: &ConsumerMember) -> bool {
    member.state == MemberState::UnrevokedPartitions
}
