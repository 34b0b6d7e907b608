use crate::classic::{ClassicGroup, JoinOutcome, Step};
use crate::consumer::{ConsumerGroup, tombstones};
use crate::effects::{Batching, Replaying};
use crate::offsets::{Committing, ExpiryBase, OffsetStore, Retention};
use crate::preserved::{PreservedGroups, PreservedKind};
use crate::refusal::{
    join_error, leave_error, offset_commit_error, offset_fetch_error, sync_error, txn_offset_commit_error,
};
use crate::view::{ClusterView, CurrentView, NoTopics};
use crate::{Completion, Effects, GroupRecord, GroupSettings, Request, RequestContext, Response, TimerKey, Token};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::leave_group_request::MemberIdentity;
use ottla_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use ottla_protocol::messages::{
    HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, LeaveGroupRequest, LeaveGroupResponse, OffsetCommitRequest,
    SyncGroupRequest, TxnOffsetCommitRequest,
};
use ottla_types::{Generation, ProducerEpoch, ProducerId, Timestamp, TopicId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// First version of OffsetCommit that knows GROUP_ID_NOT_FOUND; older ones are told ILLEGAL_GENERATION.
const GROUP_ID_NOT_FOUND_COMMIT_VERSION: i16 = 9;
/// The same for TxnOffsetCommit.
const GROUP_ID_NOT_FOUND_TXN_COMMIT_VERSION: i16 = 6;
/// First version of SyncGroup that must name the group's protocol (KIP-559).
const SYNC_PROTOCOL_VERSION: i16 = 5;
/// First version of LeaveGroup with many members.
const LEAVE_BATCH_VERSION: i16 = 3;

/// The groups of one partition of `__consumer_offsets`.
///
/// The caller gives it one step at a time and carries out the effects of each before the next: it appends the records,
/// replays them if [`Effects::replaying`] says so, and gives the completion back when they are committed
/// ([`Self::on_committed`]) or when the append has failed ([`Self::on_append_failed`], after turning the replies that
/// waited for it by [`crate::fail_response`]). Every token given to [`Self::handle`] is answered exactly once.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupCoordinator {
    pub(crate) settings: GroupSettings,
    pub(crate) view: CurrentView,
    pub(crate) classic: BTreeMap<Arc<str>, ClassicGroup>,
    pub(crate) consumer: BTreeMap<Arc<str>, ConsumerGroup>,
    pub(crate) preserved: PreservedGroups,
    pub(crate) offsets: OffsetStore,
}

impl GroupCoordinator {
    /// A partition without any groups.
    pub fn new(settings: GroupSettings) -> Self {
        Self {
            settings,
            view: CurrentView(Arc::new(NoTopics)),
            classic: BTreeMap::new(),
            consumer: BTreeMap::new(),
            preserved: PreservedGroups::default(),
            offsets: OffsetStore::default(),
        }
    }

    /// Puts other settings in force. They count for what begins from now on.
    pub fn set_settings(&mut self, settings: GroupSettings) {
        self.settings = settings;
    }

    /// Tells what the cluster is now. To be called before each step.
    pub fn set_view(&mut self, view: Arc<dyn ClusterView>) {
        self.view = CurrentView(view);
    }

    /// A consumer group.
    pub fn consumer_group(&self, group_id: &str) -> Option<&ConsumerGroup> {
        self.consumer.get(group_id)
    }

    /// A classic group.
    pub fn classic_group(&self, group_id: &str) -> Option<&ClassicGroup> {
        self.classic.get(group_id)
    }

    /// A committed offset.
    pub fn committed_offset(
        &self,
        group_id: &str,
        topic: &str,
        partition: i32,
    ) -> Option<&crate::record::CommittedOffset> {
        self.offsets.get(group_id, topic, partition)
    }

    /// How many groups of all kinds there are, and how many committed offsets: for metrics. Counts, so not for every
    /// request.
    pub fn sizes(&self) -> (usize, usize) {
        (self.classic.len() + self.consumer.len() + self.preserved.iter().count(), self.offsets.len())
    }

    /// Takes a request.
    pub fn handle(&mut self, now: Timestamp, context: &RequestContext, request: Request, token: Token) -> Effects {
        let mut effects = Effects { replaying: Replaying::Applied, ..Effects::default() };
        match request {
            Request::JoinGroup(request) => self.join_group(now, context, request, token, &mut effects),
            Request::SyncGroup(request) => self.sync_group(now, context, request, token, &mut effects),
            Request::Heartbeat(request) => {
                let error_code = self.heartbeat(now, &request, &mut effects).code();
                let response = HeartbeatResponse { error_code, ..Default::default() };
                effects.reply_when_committed(token, Response::Heartbeat(response));
            }
            Request::ConsumerGroupHeartbeat(request) => {
                self.consumer_heartbeat(now, context, &request, token, &mut effects);
            }
            Request::ConsumerGroupDescribe(request) => {
                let response = self.describe_consumer_groups(request);
                effects.reply_when_committed(token, Response::ConsumerGroupDescribe(response));
            }
            Request::LeaveGroup(request) => {
                let response = self.leave_group(now, context, request, &mut effects);
                effects.reply_when_committed(token, Response::LeaveGroup(response));
            }
            Request::OffsetCommit(request) => {
                effects.replaying = Replaying::Replay;
                let response = self.offset_commit(now, context, request, &mut effects);
                effects.reply_when_committed(token, response);
            }
            Request::TxnOffsetCommit(request) => {
                effects.replaying = Replaying::Replay;
                let response = self.txn_offset_commit(now, context, request, &mut effects);
                effects.reply_when_committed(token, response);
            }
            Request::OffsetFetch { group, require_stable } => {
                let response = match self.validate_offset_fetch(&group) {
                    Ok(()) => self.offsets.fetch(group, require_stable),
                    Err(error) => offset_fetch_error(&group, error),
                };
                effects.reply_when_committed(token, Response::OffsetFetch(response));
            }
            Request::OffsetDelete(request) => {
                effects.replaying = Replaying::Replay;
                let response = self.offset_delete(request, &mut effects);
                effects.reply_when_committed(token, Response::OffsetDelete(response));
            }
            Request::ListGroups(request) => {
                let response = self.list_groups(&request);
                effects.reply_when_committed(token, Response::ListGroups(response));
            }
            Request::DescribeGroups(request) => {
                let response = self.describe_groups(context, request);
                effects.reply_when_committed(token, Response::DescribeGroups(response));
            }
            Request::DeleteGroups(request) => {
                effects.replaying = Replaying::Replay;
                let response = self.delete_groups(request, &mut effects);
                effects.reply_when_committed(token, Response::DeleteGroups(response));
            }
            Request::TopicsDeleted(topics) => {
                effects.replaying = Replaying::Replay;
                effects.batching = Batching::Splittable;
                self.offsets.tombstones_of_topics(&topics, &mut effects.records);
                effects.reply_when_committed(token, Response::TopicsDeleted);
            }
        }
        effects
    }

    /// A timer has fired. One that fires late, or for something that is gone, does no harm.
    pub fn on_timer(&mut self, now: Timestamp, key: &TimerKey) -> Effects {
        let mut effects = Effects { replaying: Replaying::Applied, ..Effects::default() };
        let group_id = match key {
            TimerKey::Expiry => {
                effects.replaying = Replaying::Replay;
                effects.batching = Batching::Splittable;
                self.expire(now, &mut effects);
                return effects;
            }
            TimerKey::ConsumerSession { group_id, member_id }
            | TimerKey::ConsumerRebalance { group_id, member_id }
            | TimerKey::ConsumerJoin { group_id, member_id }
            | TimerKey::ConsumerSync { group_id, member_id } => {
                let only_unrevoked = matches!(key, TimerKey::ConsumerRebalance { .. });
                self.on_consumer_timer(now, group_id, member_id, only_unrevoked, &mut effects);
                return effects;
            }
            TimerKey::Heartbeat { group_id, .. } | TimerKey::Join { group_id } | TimerKey::Sync { group_id } => {
                group_id
            }
        };
        if let Some(group) = self.classic.get_mut(group_id) {
            let mut step = Step { now, settings: &self.settings, effects: &mut effects };
            match key {
                TimerKey::Heartbeat { member_id, .. } => group.on_heartbeat_timer(member_id, &mut step),
                TimerKey::Join { .. } => group.on_join_timer(&mut step),
                _ => group.on_sync_timer(&mut step),
            }
        }
        effects
    }

    /// The records of the step that gave this completion are committed.
    pub fn on_committed(&mut self, now: Timestamp, completion: Completion) -> Effects {
        let mut effects = Effects { replaying: Replaying::Applied, ..Effects::default() };
        match completion {
            Completion::GroupCreated { .. } => {}
            Completion::Assignment(synced) => {
                if let Some(group) = self.classic.get_mut(&synced.group_id) {
                    let mut step = Step { now, settings: &self.settings, effects: &mut effects };
                    group.on_assignment_committed(synced, &mut step);
                }
            }
            Completion::StaticMember(replacement) => {
                if let Some(group) = self.classic.get_mut(&replacement.group_id) {
                    let mut step = Step { now, settings: &self.settings, effects: &mut effects };
                    group.on_replacement_committed(&replacement, &mut step);
                }
            }
            Completion::Downgraded(downgraded) => self.on_downgrade_committed(now, downgraded, &mut effects),
        }
        effects
    }

    /// The records of the step that gave this completion could not be written, or were not committed in time. `error`
    /// is that of the log.
    pub fn on_append_failed(&mut self, now: Timestamp, completion: Completion, error: ErrorCode) -> Effects {
        let mut effects = Effects { replaying: Replaying::Applied, ..Effects::default() };
        match completion {
            Completion::GroupCreated { group_id, token } => {
                if let Some(group) = self.classic.get_mut(&group_id) {
                    group.refuse_join(token, error, &mut effects);
                }
            }
            Completion::Assignment(synced) => {
                if let Some(group) = self.classic.get_mut(&synced.group_id) {
                    let mut step = Step { now, settings: &self.settings, effects: &mut effects };
                    group.on_assignment_failed(&synced, error, &mut step);
                }
            }
            Completion::StaticMember(replacement) => {
                if let Some(group) = self.classic.get_mut(&replacement.group_id) {
                    let mut step = Step { now, settings: &self.settings, effects: &mut effects };
                    group.on_replacement_failed(&replacement, error, &mut step);
                }
            }
            // Nothing was replayed: it still is what it was.
            Completion::Downgraded(_) => {}
        }
        effects
    }

    fn join_group(
        &mut self,
        now: Timestamp,
        context: &RequestContext,
        request: JoinGroupRequest,
        token: Token,
        effects: &mut Effects,
    ) {
        if let Err(error) = self.validate_join(&request) {
            let member_id = if error == ErrorCode::InconsistentGroupProtocol { "" } else { &request.member_id };
            let response = join_error(context.api_version, member_id, error);
            return effects.reply(token, Response::JoinGroup(response));
        }
        if self.consumer.get(request.group_id.as_str()).is_some_and(|group| !group.is_empty()) {
            return self.join_consumer_group(now, context, &request, token, effects);
        }
        let group_id: Arc<str> = request.group_id.as_str().into();
        let preserved = self.preserved.remove(&group_id).map(|group| group.tombstones().collect());
        let replaced = self.consumer.remove(&group_id).map(|group| tombstones(&group_id, &group)).or(preserved);
        let is_new = !self.classic.contains_key(&group_id);
        let group = self.classic.entry(group_id.clone()).or_insert_with(|| ClassicGroup::new(group_id.clone(), now));
        let mut step = Step { now, settings: &self.settings, effects };
        let outcome = group.join(context, request, token, &mut step);
        if is_new && outcome == JoinOutcome::Nothing {
            effects.records.extend(replaced.unwrap_or_default());
            effects.records.push(group.to_new_group_record());
            effects.completion = Some(Completion::GroupCreated { group_id, token });
        }
    }

    fn validate_join(&self, request: &JoinGroupRequest) -> Result<(), ErrorCode> {
        if request.group_id.is_empty() {
            return Err(ErrorCode::InvalidGroupId);
        }
        let session_timeout_ms = request.session_timeout_ms;
        if session_timeout_ms < self.settings.session_timeout_ms_min
            || session_timeout_ms > self.settings.session_timeout_ms_max
        {
            return Err(ErrorCode::InvalidSessionTimeout);
        }
        // An empty group of another protocol gives way to the classic one; a share group never does.
        if let Some(preserved) = self.preserved.get(&request.group_id)
            && (preserved.kind == PreservedKind::Share || !preserved.is_empty())
        {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        if self.consumer.get(request.group_id.as_str()).is_some_and(|group| !group.is_empty()) {
            return Ok(());
        }
        // A member can't be known to a group that does not exist.
        if !request.member_id.is_empty() && !self.classic.contains_key(request.group_id.as_str()) {
            return Err(ErrorCode::UnknownMemberId);
        }
        Ok(())
    }

    fn sync_group(
        &mut self,
        now: Timestamp,
        context: &RequestContext,
        request: SyncGroupRequest,
        token: Token,
        effects: &mut Effects,
    ) {
        let names_protocol = request.protocol_type.is_some() && request.protocol_name.is_some();
        let group = match () {
            _ if context.api_version >= SYNC_PROTOCOL_VERSION && !names_protocol => {
                Err(ErrorCode::InconsistentGroupProtocol)
            }
            _ if request.group_id.is_empty() => Err(ErrorCode::InvalidGroupId),
            _ if self.consumer.get(request.group_id.as_str()).is_some_and(|group| !group.is_empty()) => {
                return self.sync_consumer_group(&request, token, effects);
            }
            _ => self.classic.get_mut(request.group_id.as_str()).ok_or(ErrorCode::UnknownMemberId),
        };
        match group {
            Ok(group) => {
                let mut step = Step { now, settings: &self.settings, effects };
                group.sync(context, request, token, &mut step);
            }
            Err(error) => effects.reply(token, Response::SyncGroup(sync_error(error))),
        }
    }

    fn heartbeat(&mut self, now: Timestamp, request: &HeartbeatRequest, effects: &mut Effects) -> ErrorCode {
        if request.group_id.is_empty() {
            return ErrorCode::InvalidGroupId;
        }
        if self.consumer.contains_key(request.group_id.as_str()) {
            let outcome = self.heartbeat_of_classic_member(request, effects);
            return outcome.err().map_or(ErrorCode::None, |refusal| refusal.error);
        }
        let Some(group) = self.classic.get_mut(request.group_id.as_str()) else { return ErrorCode::UnknownMemberId };
        group.heartbeat(request, &mut Step { now, settings: &self.settings, effects })
    }

    fn leave_group(
        &mut self,
        now: Timestamp,
        context: &RequestContext,
        request: LeaveGroupRequest,
        effects: &mut Effects,
    ) -> LeaveGroupResponse {
        if request.group_id.is_empty() {
            return leave_error(context.api_version, &request, ErrorCode::InvalidGroupId);
        }
        let is_batch = context.api_version >= LEAVE_BATCH_VERSION;
        let alone = [MemberIdentity { member_id: request.member_id.clone(), ..Default::default() }];
        let leaving = if is_batch { &request.members[..] } else { &alone[..] };
        let group_id: Arc<str> = request.group_id.as_str().into();
        let members = if self.consumer.contains_key(&group_id) {
            match self.leave_consumer_group(now, &group_id, leaving, effects) {
                Ok(members) => members,
                Err(refusal) => return leave_error(context.api_version, &request, refusal.error),
            }
        } else if let Some(group) = self.classic.get_mut(&group_id) {
            group.leave(leaving, &mut Step { now, settings: &self.settings, effects })
        } else {
            return leave_error(context.api_version, &request, ErrorCode::UnknownMemberId);
        };
        if is_batch {
            return LeaveGroupResponse { members, ..Default::default() };
        }
        let error_code = members.first().map_or(ErrorCode::None.code(), |member| member.error_code);
        LeaveGroupResponse { error_code, ..Default::default() }
    }

    fn offset_commit(
        &mut self,
        now: Timestamp,
        context: &RequestContext,
        request: OffsetCommitRequest,
        effects: &mut Effects,
    ) -> Response {
        let committer = Committer {
            group_id: &request.group_id,
            member_id: &request.member_id,
            group_instance_id: request.group_instance_id.as_deref(),
            generation: Generation(request.generation_id_or_member_epoch),
            knows_group_id_not_found: context.api_version >= GROUP_ID_NOT_FOUND_COMMIT_VERSION,
            is_transactional: false,
        };
        let partitions = request
            .topics
            .iter()
            .flat_map(|topic| topic.partitions.iter().map(|partition| (topic.topic_id, partition.partition_index)));
        if let Err(error) = self.validate_offset_commit(now, context, &committer, partitions) {
            return Response::OffsetCommit(offset_commit_error(&request, error));
        }
        if let Some(group) = self.classic.get(request.group_id.as_str()) {
            group.restart_session_by_commit(&request.member_id, effects);
        }
        Response::OffsetCommit(Committing { now, settings: &self.settings, effects }.offsets(request))
    }

    fn txn_offset_commit(
        &mut self,
        now: Timestamp,
        context: &RequestContext,
        request: TxnOffsetCommitRequest,
        effects: &mut Effects,
    ) -> Response {
        if request.group_id.is_empty() {
            return Response::TxnOffsetCommit(txn_offset_commit_error(&request, ErrorCode::InvalidGroupId));
        }
        let committer = Committer {
            group_id: &request.group_id,
            member_id: &request.member_id,
            group_instance_id: request.group_instance_id.as_deref(),
            generation: Generation(request.generation_id_or_member_epoch),
            knows_group_id_not_found: context.api_version >= GROUP_ID_NOT_FOUND_TXN_COMMIT_VERSION,
            is_transactional: true,
        };
        let partitions = request
            .topics
            .iter()
            .flat_map(|topic| topic.partitions.iter().map(|partition| (topic.topic_id, partition.partition_index)));
        if let Err(error) = self.validate_offset_commit(now, context, &committer, partitions) {
            return Response::TxnOffsetCommit(txn_offset_commit_error(&request, error));
        }
        effects.producer = Some((ProducerId(request.producer_id), ProducerEpoch(request.producer_epoch)));
        let mut committing = Committing { now, settings: &self.settings, effects };
        Response::TxnOffsetCommit(committing.transactional_offsets(request))
    }

    /// Whether the commit is by a member of the current generation, or by somebody outside of any membership.
    fn validate_offset_commit(
        &mut self,
        now: Timestamp,
        context: &RequestContext,
        committer: &Committer<'_>,
        partitions: impl Iterator<Item = (TopicId, i32)>,
    ) -> Result<(), ErrorCode> {
        if let Some(group) = self.consumer.get(committer.group_id) {
            return group.validate_offset_commit(committer, context.api_version, partitions);
        }
        let is_outsider = committer.generation.value() < 0;
        if let Some(preserved) = self.preserved.get(committer.group_id) {
            // Whether a member of another protocol may commit is not known here. A transactional producer need not say
            // for whom it commits.
            let is_nameless = committer.member_id.is_empty() && committer.group_instance_id.is_none();
            let may_commit = preserved.is_empty() || committer.is_transactional && is_nameless;
            return if is_outsider && may_commit { Ok(()) } else { Err(ErrorCode::UnknownMemberId) };
        }
        if let Some(group) = self.classic.get(committer.group_id) {
            return group.validate_offset_commit(committer);
        }
        if !is_outsider {
            let not_found = committer.knows_group_id_not_found;
            return Err(if not_found { ErrorCode::GroupIdNotFound } else { ErrorCode::IllegalGeneration });
        }
        // A client that assigns its partitions itself makes its group by committing.
        let group_id: Arc<str> = committer.group_id.into();
        self.classic.insert(group_id.clone(), ClassicGroup::new(group_id, now));
        Ok(())
    }

    fn validate_offset_fetch(&self, group: &OffsetFetchRequestGroup) -> Result<(), ErrorCode> {
        match self.consumer.get(group.group_id.as_str()) {
            Some(consumer) => consumer.validate_offset_fetch(group.member_id.as_deref(), group.member_epoch),
            None => Ok(()),
        }
    }

    /// Writes the tombstones of expired offsets, and of groups that are empty and have no offsets left.
    fn expire(&mut self, now: Timestamp, effects: &mut Effects) {
        let retention = Retention { now, retention_ms: self.settings.offsets_retention_ms };
        for (group_id, group) in &self.classic {
            let is_subscribed_to = |topic: &str| group.is_subscribed_to(topic);
            let base = group.expiry_base();
            let nothing_left = self.offsets.expire(group_id, base, is_subscribed_to, retention, &mut effects.records);
            if nothing_left && group.may_be_deleted() {
                effects.records.push(GroupRecord::GroupMetadata { group_id: group_id.clone(), value: None });
                group.cancel_timers(effects);
            }
        }
        for (group_id, group) in &self.consumer {
            let is_subscribed_to = |topic: &str| group.is_subscribed_to(topic);
            let records = &mut effects.records;
            let nothing_left = self.offsets.expire(group_id, ExpiryBase::Commit, is_subscribed_to, retention, records);
            if nothing_left && group.is_empty() {
                effects.records.extend(tombstones(group_id, group));
            }
        }
        for (group_id, group) in self.preserved.iter() {
            let base = if group.is_empty() { ExpiryBase::Commit } else { ExpiryBase::Never };
            let nothing_left = self.offsets.expire(group_id, base, |_| false, retention, &mut effects.records);
            if nothing_left && group.is_empty() && group.kind != PreservedKind::Share {
                effects.records.extend(group.tombstones());
            }
        }
        effects.set_timer(TimerKey::Expiry, self.settings.offsets_retention_check_interval_ms);
    }
}

/// Who commits offsets.
pub(crate) struct Committer<'a> {
    pub(crate) group_id: &'a str,
    pub(crate) member_id: &'a str,
    pub(crate) group_instance_id: Option<&'a str>,
    pub(crate) generation: Generation,
    pub(crate) knows_group_id_not_found: bool,
    pub(crate) is_transactional: bool,
}
