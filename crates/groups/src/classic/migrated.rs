//! A classic group that has been a consumer group, or is to become one.

use super::protocols::CONSUMER;
use super::{ClassicGroup, ClassicGroupState, Member, Step};
use crate::Effects;
use crate::refusal::{join_error, sync_error};
use bytes::Bytes;
use ottla_protocol::ErrorCode;
use ottla_types::{Generation, Timestamp};
use std::sync::Arc;

impl ClassicGroup {
    /// A stable group of consumers; the first of them leads.
    pub(crate) fn of_members(
        group_id: Arc<str>,
        generation: Generation,
        members: impl Iterator<Item = Member>,
        now: Timestamp,
    ) -> Self {
        let mut group = Self::new(group_id, now);
        (group.state, group.generation) = (ClassicGroupState::Stable, generation);
        for member in members {
            group.add(member, CONSUMER);
        }
        group.protocol_name = group.select_protocol();
        group.compute_subscribed_topics();
        group
    }

    /// Its name.
    pub(crate) fn group_id(&self) -> &str {
        &self.group_id
    }

    pub(crate) fn set_assignment(&mut self, member_id: &str, assignment: Bytes) {
        if let Some(member) = self.members.get_mut(member_id) {
            member.assignment = Some(assignment);
        }
    }

    /// Whether nothing has happened to this group since it was read from the record of `other`.
    pub(crate) fn is_as_replayed(&self, other: &Self) -> bool {
        self.state == ClassicGroupState::Stable
            && self.generation == other.generation
            && self.pending_members.is_empty()
            && self.members.keys().eq(other.members.keys())
    }

    /// Starts all members' sessions anew.
    pub(crate) fn restart_all_sessions(&self, step: &mut Step<'_>) {
        for member_id in self.members.keys() {
            self.restart_session(member_id, step.effects);
        }
    }

    /// Calls the members together, unless that has happened already.
    pub(crate) fn prepare_rebalance_of_stable(&mut self, step: &mut Step<'_>) {
        if self.state == ClassicGroupState::Stable {
            self.prepare_rebalance(step);
        }
    }

    /// Everyone who waits is told to join again: the group is about to become another.
    pub(crate) fn send_waiting_members_away(&mut self, effects: &mut Effects) {
        let member_ids: Vec<Arc<str>> = self.members.keys().cloned().collect();
        for member_id in member_ids {
            self.finish_join(&member_id, effects, |parked| {
                join_error(parked.api_version, &member_id, ErrorCode::RebalanceInProgress)
            });
            self.finish_sync(&member_id, effects, |_| sync_error(ErrorCode::RebalanceInProgress));
        }
    }
}
