//! Members of the classic protocol in a consumer group: JoinGroup, SyncGroup and Heartbeat are served as if it were a classic
//! group. A member's epoch is its generation; a member that has to give up or get something is told to join again.

use super::decision::{Decision, Heard, Moved, Statement};
use super::draft::Draft;
use super::subscribe::{Claim, Sender, check_instance, unknown_instance, unknown_member};
use super::timers::session_timer;
use super::{ConsumerGroup, ConsumerMember, MemberState, Partitions, Refusal};
use crate::classic::CONSUMER;
use crate::effects::Replaying;
use crate::migration::{Downgrade, Downgraded, Joining, MigrationPolicy, assignment_bytes, subscription_of};
use crate::refusal::{join_error, sync_error};
use crate::{Completion, Effects, GroupCoordinator, RequestContext, Response, TimerKey, Token};
use ottla_protocol::ErrorCode;
use ottla_protocol::consumer_protocol::ConsumerProtocolSubscription;
use ottla_protocol::group_records::consumer_group_member_metadata_value::{ClassicMemberMetadata, ClassicProtocol};
use ottla_protocol::messages::{
    HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, SyncGroupRequest, SyncGroupResponse,
};
use ottla_types::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;

/// First version in which a member without an instance id must join with an id that it was given (KIP-394).
const MEMBER_ID_REQUIRED_VERSION: i16 = 4;

impl GroupCoordinator {
    /// Takes a JoinGroup to a consumer group with members.
    pub(crate) fn join_consumer_group(
        &mut self,
        now: Timestamp,
        context: &RequestContext,
        request: &JoinGroupRequest,
        token: Token,
        effects: &mut Effects,
    ) {
        effects.replaying = Replaying::Replay;
        let response = self
            .decide_join(now, context, request, effects)
            .unwrap_or_else(|refusal| join_error(context.api_version, "", refusal.error));
        effects.reply_when_committed(token, Response::JoinGroup(response));
    }

    fn decide_join(
        &mut self,
        now: Timestamp,
        context: &RequestContext,
        request: &JoinGroupRequest,
        effects: &mut Effects,
    ) -> Result<JoinGroupResponse, Refusal> {
        let view = self.view.clone();
        let group_id: Arc<str> = request.group_id.as_str().into();
        let group = self.consumer_group_or_refuse(&group_id)?;
        let instance_id = request.group_instance_id.as_deref();
        let is_new = request.member_id.is_empty();
        let member_id: Arc<str> = if is_new { context.random_id() } else { request.member_id.as_str().into() };
        self.check_join(group, &member_id, request)?;
        if is_new && instance_id.is_none() && context.api_version >= MEMBER_ID_REQUIRED_VERSION {
            return Ok(join_error(context.api_version, &member_id, ErrorCode::MemberIdRequired));
        }
        let claim = Claim::Classic { is_new };
        let first = request.protocols.first();
        let Some(subscription) = first.and_then(|first| subscription_of(&first.metadata).ok()) else {
            // Who it is counts before what it wants.
            let sender = Sender { member_id, claim, instance_id, owned: None };
            sender.member(&mut Draft::of(group_id, group))?;
            let message = "The embedded consumer protocol is malformed.";
            return Err(Refusal::new(ErrorCode::InconsistentGroupProtocol, message));
        };
        let owned = self.owned_by(&subscription);
        let sender = Sender { member_id: member_id.clone(), claim, instance_id, owned: Some(&owned) };
        let decision = Decision {
            now,
            context,
            sender: &sender,
            statement: &statement_of(context, request, subscription),
            view: &*view,
            default: self.default_assignor(),
            assignment_interval_ms: view.group_settings(&group_id).assignment_interval_ms,
        };
        let mut draft = Draft::of(group_id.clone(), group);
        let heard = decision.hear(&mut draft)?;
        let (member, downgraded) = match self.replaced_by(group, request) {
            Some(replaced) => self.join_as_last(&decision, &mut draft, &heard, group, &replaced)?,
            None => (decision.assign_and_move(&mut draft, &heard)?.member, None),
        };
        effects.records = self.take(draft.written());
        effects.cancel_timer(TimerKey::ConsumerJoin { group_id: group_id.clone(), member_id: member_id.clone() });
        match downgraded {
            Some(downgraded) => effects.completion = Some(Completion::Downgraded(downgraded)),
            None => {
                session_timer(&group_id, &member_id, request.session_timeout_ms, effects);
                let key = TimerKey::ConsumerSync { group_id, member_id: member_id.clone() };
                effects.set_timer(key, i64::from(rebalance_timeout_ms(context, request)));
            }
        }
        Ok(join_response(&member_id, &member))
    }

    /// The member of the consumer protocol whose place this one takes so that nobody speaks that protocol any more.
    fn replaced_by(&self, group: &ConsumerGroup, request: &JoinGroupRequest) -> Option<Arc<str>> {
        let (replaced, _) = group.static_member(request.group_instance_id.as_deref()?)?;
        Downgrade::is_due_with_replaced(group, replaced, &self.settings).then(|| replaced.clone())
    }

    /// The member's join makes the group a classic one. If the target assignment is older than the group, all are called together
    /// afterwards; else the member gets what the one before was to have.
    fn join_as_last(
        &self,
        decision: &Decision<'_>,
        draft: &mut Draft<'_>,
        heard: &Heard,
        group: &ConsumerGroup,
        replaced: &Arc<str>,
    ) -> Result<(ConsumerMember, Option<Downgraded>), Refusal> {
        let is_stale = group.assignment_epoch < draft.group.epoch;
        let member = if is_stale {
            heard.said.clone()
        } else {
            let Moved { member, .. } = decision.move_on(draft, heard)?;
            member
        };
        let downgrade = Downgrade {
            group_id: &draft.group_id,
            group,
            leaving: &BTreeSet::new(),
            joining: Some(Joining { old_member_id: replaced, member_id: &decision.sender.member_id, member: &member }),
            view: decision.view,
        };
        let downgraded = downgrade.write(decision.now, is_stale, &mut draft.records)?;
        Ok((member, Some(downgraded)))
    }

    fn check_join(&self, group: &ConsumerGroup, member_id: &str, request: &JoinGroupRequest) -> Result<(), Refusal> {
        let inconsistent = |message: &str| Err(Refusal::new(ErrorCode::InconsistentGroupProtocol, message));
        if self.settings.migration_policy == MigrationPolicy::Disabled {
            return inconsistent("Members of the classic protocol can't join: the group's migration is disabled.");
        }
        self.check_size(group, member_id, request.group_instance_id.as_deref())?;
        let names = request.protocols.iter().map(|protocol| protocol.name.as_str());
        if request.protocol_type != CONSUMER || !group.supports_one_of(names) {
            return inconsistent("The member's protocols are not supported.");
        }
        Ok(())
    }

    /// What a member says that it has, of the topics that there are.
    fn owned_by(&self, subscription: &ConsumerProtocolSubscription) -> Partitions {
        let mut owned = Partitions::new();
        for topic in &subscription.owned_partitions {
            if let Some(facts) = self.view.topic_by_name(&topic.topic) {
                owned.entry(facts.id).or_default().extend(&topic.partitions);
            }
        }
        owned
    }

    /// Takes a SyncGroup to a consumer group: the member has its assignment since it joined.
    pub(crate) fn sync_consumer_group(&self, request: &SyncGroupRequest, token: Token, effects: &mut Effects) {
        let response = self.decide_sync(request, effects).unwrap_or_else(|refusal| sync_error(refusal.error));
        effects.reply_when_committed(token, Response::SyncGroup(response));
    }

    fn decide_sync(&self, request: &SyncGroupRequest, effects: &mut Effects) -> Result<SyncGroupResponse, Refusal> {
        let group_id: Arc<str> = request.group_id.as_str().into();
        let group = self.consumer_group_or_refuse(&group_id)?;
        let instance_id = request.group_instance_id.as_deref();
        let (member_id, member, classic) =
            classic_member_of(group, &group_id, &request.member_id, instance_id, request.generation_id)?;
        let protocol = classic.supported_protocols.first();
        let differs = |said: &Option<String>, known: &str| said.as_deref().is_some_and(|said| said != known);
        if differs(&request.protocol_type, CONSUMER)
            || protocol.is_some_and(|protocol| differs(&request.protocol_name, &protocol.name))
        {
            let message = "The protocol is not the one that the member was told.";
            return Err(Refusal::new(ErrorCode::InconsistentGroupProtocol, message));
        }
        // One that has to give up something first has joined already: it gets what it keeps.
        if group.assignment_epoch > member.epoch && member.state != MemberState::UnrevokedPartitions {
            join_timer(&group_id, member_id, member, effects);
            return Err(Refusal::new(ErrorCode::RebalanceInProgress, "The member must join again."));
        }
        effects.cancel_timer(TimerKey::ConsumerSync { group_id: group_id.clone(), member_id: member_id.clone() });
        session_timer(&group_id, member_id, classic.session_timeout_ms, effects);
        let held = member.assigned.iter().map(|(topic_id, held)| (*topic_id, held.keys().copied().collect()));
        let metadata = protocol.map(|protocol| protocol.metadata.clone()).unwrap_or_default();
        let assignment = assignment_bytes(&held.collect(), &metadata, &*self.view);
        let assignment = assignment.map_err(|_| Refusal::new(ErrorCode::UnknownServerError, "No version is known."))?;
        Ok(SyncGroupResponse {
            error_code: ErrorCode::None.code(),
            protocol_type: request.protocol_type.clone(),
            protocol_name: request.protocol_name.clone(),
            assignment,
            ..Default::default()
        })
    }

    /// Takes a Heartbeat to a consumer group. The member is told to join again when the assignment is newer than it, when it has to
    /// give up partitions, and when all that it waits for are free.
    pub(crate) fn heartbeat_of_classic_member(
        &self,
        request: &HeartbeatRequest,
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        let group_id: Arc<str> = request.group_id.as_str().into();
        let group = self.consumer_group_or_refuse(&group_id)?;
        let instance_id = request.group_instance_id.as_deref();
        let (member_id, member, classic) =
            classic_member_of(group, &group_id, &request.member_id, instance_id, request.generation_id)?;
        session_timer(&group_id, member_id, classic.session_timeout_ms, effects);
        let must_join = match member.state {
            _ if member.epoch < group.assignment_epoch => true,
            MemberState::UnrevokedPartitions => true,
            MemberState::UnreleasedPartitions => !group.waits_for_others(member_id, member),
            MemberState::Stable | MemberState::Unknown => false,
        };
        if !must_join {
            return Ok(());
        }
        join_timer(&group_id, member_id, member, effects);
        Err(Refusal::new(ErrorCode::RebalanceInProgress, "The member must join again."))
    }
}

impl ConsumerGroup {
    /// Whether all members of the classic protocol support one of the protocols.
    fn supports_one_of<'a>(&self, mut names: impl Iterator<Item = &'a str>) -> bool {
        names.any(|name| {
            let mut classic = self.members().filter_map(|(_, member)| member.classic.as_ref());
            classic.all(|classic| classic.supported_protocols.iter().any(|supported| supported.name == name))
        })
    }

    /// Whether something that the member is to have is still with another, or with itself to be given up.
    fn waits_for_others(&self, member_id: &str, member: &ConsumerMember) -> bool {
        let target = self.target(member_id).into_iter().flatten();
        let mut all = target.flat_map(|(topic, partitions)| partitions.iter().map(|partition| (*topic, *partition)));
        all.any(|(topic, partition)| {
            let has_it = member.assigned.get(&topic).is_some_and(|held| held.contains_key(&partition));
            !has_it && self.is_owned(topic, partition)
        })
    }
}

/// The member of the classic protocol that a request is from, in its generation.
fn classic_member_of<'a>(
    group: &'a ConsumerGroup,
    group_id: &str,
    member_id: &str,
    instance_id: Option<&str>,
    generation: i32,
) -> Result<(&'a Arc<str>, &'a ConsumerMember, &'a ClassicMemberMetadata), Refusal> {
    let (member_id, member) = match instance_id {
        None => group.member_entry(member_id).ok_or_else(|| unknown_member(group_id, member_id))?,
        Some(instance_id) => {
            let known = group.static_member(instance_id).ok_or_else(|| unknown_instance(instance_id))?;
            check_instance(known.0, member_id, instance_id)?;
            known
        }
    };
    let classic = member.classic.as_ref().ok_or_else(|| unknown_member(group_id, member_id))?;
    if member.epoch != generation {
        let message = format!("The generation {generation} is not the epoch {} of the member.", member.epoch);
        return Err(Refusal::new(ErrorCode::IllegalGeneration, message));
    }
    Ok((member_id, member, classic))
}

/// Sets the time in which a member has to join again, unless it runs already.
fn join_timer(group_id: &Arc<str>, member_id: &Arc<str>, member: &ConsumerMember, effects: &mut Effects) {
    let key = TimerKey::ConsumerJoin { group_id: group_id.clone(), member_id: member_id.clone() };
    effects.set_timer_if_absent(key, i64::from(member.rebalance_timeout_ms));
}

/// The first version has one timeout for both.
fn rebalance_timeout_ms(context: &RequestContext, request: &JoinGroupRequest) -> i32 {
    if context.api_version == 0 { request.session_timeout_ms } else { request.rebalance_timeout_ms }
}

fn statement_of(
    context: &RequestContext,
    request: &JoinGroupRequest,
    subscription: ConsumerProtocolSubscription,
) -> Statement {
    let protocol = |protocol: &ottla_protocol::messages::join_group_request::JoinGroupRequestProtocol| {
        ClassicProtocol { name: protocol.name.clone(), metadata: protocol.metadata.clone(), ..Default::default() }
    };
    Statement {
        instance_id: request.group_instance_id.clone(),
        rack_id: subscription.rack_id.filter(|rack| !rack.is_empty()),
        assignor: None,
        regex: Some(String::new()),
        rebalance_timeout_ms: Some(rebalance_timeout_ms(context, request)).filter(|timeout_ms| *timeout_ms != -1),
        topics: Some(subscription.topics.into_iter().map(Arc::from).collect()),
        classic: Some(ClassicMemberMetadata {
            session_timeout_ms: request.session_timeout_ms,
            supported_protocols: request.protocols.iter().map(protocol).collect(),
            ..Default::default()
        }),
    }
}

fn join_response(member_id: &str, member: &ConsumerMember) -> JoinGroupResponse {
    let protocols = member.classic.iter().flat_map(|classic| &classic.supported_protocols);
    JoinGroupResponse {
        error_code: ErrorCode::None.code(),
        generation_id: member.epoch,
        protocol_type: Some(CONSUMER.to_owned()),
        protocol_name: protocols.map(|protocol| protocol.name.clone()).next(),
        member_id: member_id.to_owned(),
        ..Default::default()
    }
}
