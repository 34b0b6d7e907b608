//! ConsumerGroupHeartbeat: a member joins, says what it wants and has, and learns what it is to have.

use super::assignor::Assignor;
use super::draft::Draft;
use super::metadata_hash::metadata_hash;
use super::reconcile::Reconciliation;
use super::record::{ConsumerRecordKind, MemberMetadata};
use super::regex::RegexChange;
use super::subscribe::Sender;
use super::target::{assign, topic_ids};
use super::timers::{rebalance_timer, session_timer};
use super::{ConsumerMember, HeldPartitions, MemberState, Partitions, Refusal};
use crate::classic::ClassicGroupState;
use crate::effects::Replaying;
use crate::preserved::PreservedKind;
use crate::view::ClusterView;
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
            _ => self.consumer_leave(request, effects),
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
        let draft = self.draft_for_heartbeat(request)?;
        self.check_size(&draft, request)?;
        let member_id: Arc<str> = match request.member_id.as_str() {
            "" => context.random_id(),
            named => named.into(),
        };
        let sender = Sender {
            member_id: member_id.clone(),
            epoch: request.member_epoch,
            instance_id: request.instance_id.as_deref(),
            owned: owned.as_ref(),
        };
        let default = self.settings.consumer_assignors.first().copied().unwrap_or(Assignor::Uniform);
        let decision = Decision { now, context, request, sender: &sender, view: &*view, default };
        let decided = decision.decide(draft, settings.assignment_interval_ms)?;
        let Decided { member, changed, records, seen_version, regexes_seen } = decided;
        // Only that it was looked at: nothing that has to be in the log.
        if let Some(group) = self.consumer.get_mut(request.group_id.as_str()) {
            (group.seen_version, group.regexes_seen) = (seen_version, regexes_seen);
        }
        effects.records = records;
        let group_id: Arc<str> = request.group_id.as_str().into();
        session_timer(&group_id, &member_id, settings.session_timeout_ms, effects);
        if changed.moved {
            rebalance_timer(&group_id, &member_id, &member, effects);
        }
        let is_full = request.rebalance_timeout_ms != -1
            && (request.subscribed_topic_names.is_some() || request.subscribed_topic_regex.is_some())
            && request.topic_partitions.is_some();
        let tells = request.member_epoch == 0 || is_full || changed.assigned;
        Ok(ConsumerGroupHeartbeatResponse {
            member_id: Some(member_id.to_string()),
            member_epoch: member.epoch,
            heartbeat_interval_ms: settings.heartbeat_interval_ms,
            assignment: tells.then(|| assignment_of(&member.assigned)),
            ..Default::default()
        })
    }

    /// The group of a heartbeat. An empty classic group makes way for one that joins.
    fn draft_for_heartbeat(&self, request: &ConsumerGroupHeartbeatRequest) -> Result<Draft<'_>, Refusal> {
        let group_id: Arc<str> = request.group_id.as_str().into();
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

    fn check_size(&self, draft: &Draft<'_>, request: &ConsumerGroupHeartbeatRequest) -> Result<(), Refusal> {
        let size_max = self.settings.consumer_size_max;
        let is_known = draft.group.member(&request.member_id).is_some()
            || request.instance_id.as_deref().is_some_and(|id| draft.group.static_member(id).is_some());
        if is_known || draft.group.members().len() < size_max {
            return Ok(());
        }
        let message = format!("The consumer group has reached its maximum capacity of {size_max} members.");
        Err(Refusal::new(ErrorCode::GroupMaxSizeReached, message))
    }
}

/// What a heartbeat changes of a member's assignment.
struct Changed {
    /// Epoch, state or partitions.
    moved: bool,
    /// The partitions that it has.
    assigned: bool,
}

struct Decided {
    member: ConsumerMember,
    changed: Changed,
    records: Vec<GroupRecord>,
    seen_version: Option<i64>,
    regexes_seen: Option<(i64, i64)>,
}

/// All that a heartbeat is decided on.
struct Decision<'a> {
    now: Timestamp,
    context: &'a RequestContext,
    request: &'a ConsumerGroupHeartbeatRequest,
    sender: &'a Sender<'a>,
    view: &'a dyn ClusterView,
    default: Assignor,
}

impl Decision<'_> {
    fn decide(&self, mut draft: Draft<'_>, assignment_interval_ms: i32) -> Result<Decided, Refusal> {
        let draft = &mut draft;
        let member_id = &self.sender.member_id;
        let before = self.sender.member(draft)?;
        let preferred_before = draft.group.preferred_assignor().unwrap_or(self.default.name()).to_owned();
        let said = self.said(&before);
        if MemberMetadata::of(&said) != MemberMetadata::of(&before) || draft.group.member(member_id).is_none() {
            draft.write_metadata(member_id, &said);
        }
        let change = RegexChange { before: &before, after: &said, now: self.now, view: self.view };
        let regex_changed = change.apply(draft)?;
        let topics_changed = said.topics != before.topics;
        let assignor_changed = draft.group.preferred_assignor().unwrap_or(self.default.name()) != preferred_before;
        self.raise_epoch(draft, topics_changed || regex_changed || assignor_changed);
        let is_due = self.now.0 >= draft.group.assignment_timestamp.saturating_add(i64::from(assignment_interval_ms))
            || draft.group.assignment_timestamp <= 0;
        if draft.group.assignment_epoch < draft.group.epoch && is_due {
            assign(draft, self.default, self.now, self.view);
        }
        let member = self.reconcile(draft, &said, topics_changed || regex_changed)?;
        let moved = member != said;
        if moved {
            draft.write_current(member_id, &member);
        }
        let changed = Changed { moved, assigned: member.assigned != before.assigned };
        let (seen_version, regexes_seen) = (draft.group.seen_version, draft.group.regexes_seen);
        Ok(Decided { member, changed, records: core::mem::take(&mut draft.records), seen_version, regexes_seen })
    }

    /// The member with what it says of itself. What it leaves out stays.
    fn said(&self, before: &ConsumerMember) -> ConsumerMember {
        let request = self.request;
        let mut said = before.clone();
        let update = |into: &mut Option<String>, from: &Option<String>| {
            if from.is_some() {
                into.clone_from(from);
            }
        };
        update(&mut said.instance_id, &request.instance_id);
        update(&mut said.rack_id, &request.rack_id);
        update(&mut said.assignor, &request.server_assignor);
        update(&mut said.regex, &request.subscribed_topic_regex);
        if request.rebalance_timeout_ms != -1 {
            said.rebalance_timeout_ms = request.rebalance_timeout_ms;
        }
        if let Some(names) = &request.subscribed_topic_names {
            said.topics = names.iter().map(|name| Arc::from(name.as_str())).collect();
        }
        said.client_id = self.context.client_id.to_string();
        said.client_host = self.context.client_host.to_string();
        said.classic = None;
        said
    }

    /// Raises the group's epoch when members want something else, or when there is something else to have.
    fn raise_epoch(&self, draft: &mut Draft<'_>, wants_changed: bool) {
        let version = self.view.version();
        if !wants_changed && draft.group.seen_version == Some(version) {
            return;
        }
        let hash = metadata_hash(draft.group.subscribed_topics().into_iter(), self.view);
        if wants_changed || hash != draft.group.metadata_hash {
            let epoch = draft.group.epoch.saturating_add(1);
            draft.write(ConsumerRecordKind::Group(Some((epoch, hash))));
        }
        if draft.group.has_partition_metadata {
            draft.write(ConsumerRecordKind::PartitionMetadata { is_there: false });
        }
        draft.group.to_mut().seen_version = Some(version);
    }

    fn reconcile(
        &self,
        draft: &Draft<'_>,
        member: &ConsumerMember,
        subscription_changed: bool,
    ) -> Result<ConsumerMember, Refusal> {
        let group = &draft.group;
        if !subscription_changed && member.is_reconciled_to(group.assignment_epoch) {
            return Ok(member.clone());
        }
        let none = Partitions::new();
        let reconciliation = Reconciliation {
            target_epoch: group.assignment_epoch,
            target: group.target(&self.sender.member_id).unwrap_or(&none),
            topics: topic_ids(group, member, self.view),
            subscription_changed,
            owned: self.sender.owned,
            is_owned: &|topic, partition| group.is_owned(topic, partition),
        };
        reconciliation.step(member)
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
