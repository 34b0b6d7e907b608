use super::member::Parked;
use super::{ClassicGroupState, Member, protocols};
use crate::java::{Table, sort_as_hash_table, string_hash};
use crate::refusal::{join_error, sync_error};
use crate::{Effects, Response, TimerKey};
use indexmap::{IndexMap, IndexSet};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{JoinGroupResponse, SyncGroupResponse};
use ottla_types::{Generation, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Ids handed out to members that have not joined with them yet. More than this in one group are forgotten, the
/// oldest first: such a client is told that it is unknown and joins anew. Kafka has no bound.
pub(super) const PENDING_MEMBERS_MAX: usize = 10_000;

/// The join phase of a group that was empty: it ends after a delay, and while members come in it is extended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InitialRebalance {
    /// The delay that runs now.
    pub(super) delay_ms: i32,
    /// What is left of the longest rebalance timeout after it.
    pub(super) remaining_ms: i32,
}

/// A classic group.
///
/// Invariants: `awaiting_join` counts the members whose JoinGroup waits; a member is never pending at the same time;
/// the leader, if any, is a member; each static instance id maps to one member; `supported_protocols` counts for each
/// name the members that support it.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassicGroup {
    pub(super) group_id: Arc<str>,
    pub(super) state: ClassicGroupState,
    pub(super) previous_state: ClassicGroupState,
    pub(super) state_timestamp: Option<Timestamp>,
    pub(super) protocol_type: Option<String>,
    pub(super) protocol_name: Option<String>,
    pub(super) generation: Generation,
    pub(super) leader: Option<Arc<str>>,
    pub(super) members: IndexMap<Arc<str>, Member>,
    pub(super) static_members: BTreeMap<Arc<str>, Arc<str>>,
    pub(super) pending_members: IndexSet<Arc<str>>,
    pub(super) awaiting_join: usize,
    pub(super) supported_protocols: BTreeMap<String, usize>,
    pub(super) pending_sync: BTreeSet<Arc<str>>,
    pub(super) subscribed_topics: Option<BTreeSet<String>>,
    pub(super) new_member_added: bool,
    pub(super) initial_rebalance: Option<InitialRebalance>,
}

impl ClassicGroup {
    /// A group without members, protocol and generation.
    pub fn new(group_id: Arc<str>, now: Timestamp) -> Self {
        Self {
            group_id,
            state: ClassicGroupState::Empty,
            previous_state: ClassicGroupState::Dead,
            state_timestamp: Some(now),
            protocol_type: None,
            protocol_name: None,
            generation: Generation(0),
            leader: None,
            members: IndexMap::new(),
            static_members: BTreeMap::new(),
            pending_members: IndexSet::new(),
            awaiting_join: 0,
            supported_protocols: BTreeMap::new(),
            pending_sync: BTreeSet::new(),
            subscribed_topics: None,
            new_member_added: false,
            initial_rebalance: None,
        }
    }

    /// The group's state.
    pub fn state(&self) -> ClassicGroupState {
        self.state
    }

    /// When it came into this state; `None` when the log does not say.
    pub fn state_timestamp(&self) -> Option<Timestamp> {
        self.state_timestamp
    }

    /// The generation.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// The protocol type, `consumer` for consumers; `None` for a group that only committed offsets.
    pub fn protocol_type(&self) -> Option<&str> {
        self.protocol_type.as_deref()
    }

    /// The protocol of this generation.
    pub fn protocol_name(&self) -> Option<&str> {
        self.protocol_name.as_deref()
    }

    /// The leader's member id.
    pub fn leader(&self) -> Option<&str> {
        self.leader.as_deref()
    }

    /// The members, in the order in which they came.
    pub fn members(&self) -> impl ExactSizeIterator<Item = &Member> {
        self.members.values()
    }

    /// The members in the order in which Kafka's hash table lists them: it decides who leads when the leader goes.
    pub(crate) fn members_in_javas_order(&self) -> Vec<&Member> {
        let mut members: Vec<&Member> = self.members.values().collect();
        sort_as_hash_table(&mut members, Table::Grown, |member| string_hash(&member.member_id));
        members
    }

    pub(crate) fn has_member(&self, member_id: &str) -> bool {
        self.members.contains_key(member_id)
    }

    pub(super) fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }

    /// Whether a request of a member, static or not, is by the one that the group knows.
    pub(crate) fn validate_member(&self, member_id: &str, group_instance_id: Option<&str>) -> Result<(), ErrorCode> {
        if let Some(instance_id) = group_instance_id {
            match self.static_members.get(instance_id) {
                None => return Err(ErrorCode::UnknownMemberId),
                Some(existing) if &**existing != member_id => return Err(ErrorCode::FencedInstanceId),
                Some(_) => {}
            }
        }
        if self.has_member(member_id) { Ok(()) } else { Err(ErrorCode::UnknownMemberId) }
    }

    pub(super) fn transition(&mut self, next: ClassicGroupState, now: Timestamp) {
        debug_assert!(self.state.may_become(next), "{:?} to {next:?}", self.state);
        self.previous_state = self.state;
        self.state = next;
        self.state_timestamp = Some(now);
    }

    /// Whether every member, and everyone who was promised to become one, waits for the next generation.
    pub(super) fn has_all_members_joined(&self) -> bool {
        self.members.len() == self.awaiting_join && self.pending_members.is_empty()
    }

    /// The longest rebalance timeout of the members.
    pub(super) fn rebalance_timeout_ms(&self) -> i32 {
        self.members.values().map(|member| member.rebalance_timeout_ms).max().unwrap_or(0).max(0)
    }

    /// Adds a member that is not there yet. The first one decides the protocol type and leads.
    pub(super) fn add(&mut self, member: Member, protocol_type: &str) {
        if self.members.is_empty() {
            self.protocol_type = Some(protocol_type.to_owned());
        }
        if let Some(instance_id) = &member.group_instance_id {
            self.static_members.insert(instance_id.clone(), member.member_id.clone());
        }
        if self.leader.is_none() {
            self.leader = Some(member.member_id.clone());
        }
        protocols::count(&mut self.supported_protocols, &member.protocols, 1);
        if member.awaiting_join.is_some() {
            self.awaiting_join += 1;
        }
        self.pending_members.shift_remove(&member.member_id);
        self.members.insert(member.member_id.clone(), member);
    }

    /// Removes a member or a pending one, with its timer; a request of it that waits is told that it is unknown.
    pub(super) fn remove(&mut self, member_id: &str, effects: &mut Effects) {
        self.pending_members.shift_remove(member_id);
        self.pending_sync.remove(member_id);
        effects.cancel_timer(self.heartbeat_key(member_id));
        self.finish_join(member_id, effects, |parked| join_error(parked.api_version, "", ErrorCode::UnknownMemberId));
        self.finish_sync(member_id, effects, |_| sync_error(ErrorCode::UnknownMemberId));
        let Some(member) = self.members.shift_remove(member_id) else { return };
        protocols::count(&mut self.supported_protocols, &member.protocols, -1);
        if let Some(instance_id) = &member.group_instance_id {
            self.static_members.remove(instance_id);
        }
        if self.is_leader(member_id) {
            self.leader = self.members_in_javas_order().first().map(|member| member.member_id.clone());
        }
    }

    /// Notes an id that was handed out. Says whose id had to be forgotten for it.
    pub(super) fn add_pending(&mut self, member_id: Arc<str>) -> Option<Arc<str>> {
        self.pending_members.insert(member_id);
        if self.pending_members.len() > PENDING_MEMBERS_MAX { self.pending_members.shift_remove_index(0) } else { None }
    }

    /// Parks a JoinGroup of a member. One that was parked before is answered: its client has sent another since.
    pub(super) fn park_join(&mut self, member_id: &str, parked: Parked, effects: &mut Effects) {
        self.finish_join(member_id, effects, |old| {
            join_error(old.api_version, member_id, ErrorCode::RebalanceInProgress)
        });
        if let Some(member) = self.members.get_mut(member_id) {
            member.awaiting_join = Some(parked);
            self.awaiting_join += 1;
        }
    }

    /// Answers the parked JoinGroup of a member, if there is one. Says whether there was.
    pub(super) fn finish_join(
        &mut self,
        member_id: &str,
        effects: &mut Effects,
        response: impl FnOnce(Parked) -> JoinGroupResponse,
    ) -> bool {
        let parked = self.members.get_mut(member_id).and_then(|member| member.awaiting_join.take());
        let Some(parked) = parked else { return false };
        self.awaiting_join -= 1;
        effects.reply(parked.token, Response::JoinGroup(response(parked)));
        true
    }

    /// Parks a SyncGroup of a member. One that was parked before is answered.
    pub(super) fn park_sync(&mut self, member_id: &str, parked: Parked, effects: &mut Effects) {
        self.finish_sync(member_id, effects, |_| sync_error(ErrorCode::RebalanceInProgress));
        if let Some(member) = self.members.get_mut(member_id) {
            member.awaiting_sync = Some(parked);
        }
    }

    /// Answers the parked SyncGroup of a member, if there is one. Says whether there was.
    pub(super) fn finish_sync(
        &mut self,
        member_id: &str,
        effects: &mut Effects,
        response: impl FnOnce(&Member) -> SyncGroupResponse,
    ) -> bool {
        let Some(member) = self.members.get_mut(member_id) else { return false };
        let Some(parked) = member.awaiting_sync.take() else { return false };
        effects.reply(parked.token, Response::SyncGroup(response(member)));
        true
    }

    pub(super) fn heartbeat_key(&self, member_id: &str) -> TimerKey {
        let member_id = match self.members.get_key_value(member_id) {
            Some((shared, _)) => shared.clone(),
            None => member_id.into(),
        };
        TimerKey::Heartbeat { group_id: self.group_id.clone(), member_id }
    }

    pub(super) fn join_key(&self) -> TimerKey {
        TimerKey::Join { group_id: self.group_id.clone() }
    }

    pub(super) fn sync_key(&self) -> TimerKey {
        TimerKey::Sync { group_id: self.group_id.clone() }
    }

    /// Starts the member's session anew.
    pub(crate) fn restart_session(&self, member_id: &str, effects: &mut Effects) {
        if let Some(member) = self.members.get(member_id) {
            effects.set_timer(self.heartbeat_key(member_id), i64::from(member.session_timeout_ms));
        }
    }

    /// Stops every timer of the group, which is about to be deleted.
    pub(crate) fn cancel_timers(&self, effects: &mut Effects) {
        effects.cancel_timer(self.join_key());
        effects.cancel_timer(self.sync_key());
        for member_id in self.members.keys().chain(&self.pending_members) {
            effects.cancel_timer(self.heartbeat_key(member_id));
        }
    }

    /// The invariants of the struct, for tests.
    #[cfg(test)]
    pub(crate) fn check_invariants(&self) {
        assert_eq!(self.awaiting_join, self.members.values().filter(|member| member.is_awaiting_join()).count());
        assert!(self.pending_members.iter().all(|member_id| !self.has_member(member_id)));
        assert!(self.pending_sync.iter().all(|member_id| self.has_member(member_id)));
        for (instance_id, member_id) in &self.static_members {
            assert_eq!(self.members[member_id].group_instance_id.as_ref(), Some(instance_id));
        }
        let mut counted = BTreeMap::new();
        for member in self.members.values() {
            protocols::count(&mut counted, &member.protocols, 1);
        }
        assert_eq!(counted, self.supported_protocols);
    }
}
