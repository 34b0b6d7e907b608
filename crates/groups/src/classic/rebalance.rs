//! From one generation to the next.

use super::group::InitialRebalance;
use super::{ClassicGroup, ClassicGroupState, Step};
use crate::refusal::sync_error;
use ottla_protocol::ErrorCode;
use ottla_types::Generation;
use std::sync::Arc;

impl ClassicGroup {
    /// A member has changed: begin a rebalance, or see whether the one under way is complete with it.
    pub(super) fn rebalance_or_complete_join(&mut self, step: &mut Step<'_>) {
        if self.state.may_become(ClassicGroupState::PreparingRebalance) {
            self.prepare_rebalance(step);
        } else {
            self.complete_join_if_all_joined(step);
        }
    }

    /// Begins a rebalance. A group that was empty waits for the initial delay; any other for its members, at most for
    /// their longest rebalance timeout.
    pub(crate) fn prepare_rebalance(&mut self, step: &mut Step<'_>) {
        if self.state == ClassicGroupState::CompletingRebalance {
            self.reset_assignments(ErrorCode::RebalanceInProgress, step);
        }
        self.pending_sync.clear();
        step.effects.cancel_timer(self.sync_key());
        let is_initial = self.state == ClassicGroupState::Empty;
        if is_initial {
            let delay_ms = step.settings.initial_rebalance_delay_ms;
            let remaining_ms = (self.rebalance_timeout_ms() - delay_ms).max(0);
            self.initial_rebalance = Some(InitialRebalance { delay_ms, remaining_ms });
            step.effects.set_timer(self.join_key(), i64::from(delay_ms));
        }
        self.transition(ClassicGroupState::PreparingRebalance, step.now);
        if !is_initial {
            if self.has_all_members_joined() {
                self.complete_join(step);
            } else {
                step.effects.set_timer(self.join_key(), i64::from(self.rebalance_timeout_ms()));
            }
        }
    }

    /// Ends the join phase if everyone is there, unless it is the one that an empty group began: that one waits for
    /// its delay.
    pub(super) fn complete_join_if_all_joined(&mut self, step: &mut Step<'_>) {
        let is_preparing = self.state == ClassicGroupState::PreparingRebalance;
        if is_preparing && self.previous_state != ClassicGroupState::Empty && self.has_all_members_joined() {
            self.complete_join(step);
        }
    }

    /// A member or a pending one is gone: the join phase may be complete without it.
    pub(super) fn complete_join_after_removal(&mut self, step: &mut Step<'_>) {
        if self.state == ClassicGroupState::PreparingRebalance && self.has_all_members_joined() {
            self.complete_join(step);
        }
    }

    /// The join timer has fired.
    pub(crate) fn on_join_timer(&mut self, step: &mut Step<'_>) {
        if self.state != ClassicGroupState::PreparingRebalance {
            return;
        }
        match self.initial_rebalance {
            Some(initial) if self.new_member_added && initial.remaining_ms != 0 => {
                self.new_member_added = false;
                let delay_ms = step.settings.initial_rebalance_delay_ms.min(initial.remaining_ms);
                let remaining_ms = (initial.remaining_ms - initial.delay_ms).max(0);
                self.initial_rebalance = Some(InitialRebalance { delay_ms, remaining_ms });
                step.effects.set_timer(self.join_key(), i64::from(delay_ms));
            }
            _ => self.complete_join(step),
        }
    }

    /// Ends the join phase: who has not rejoined is out (static members stay), and a new generation begins with the
    /// others. If nobody is left the group is empty, which is written down.
    pub(super) fn complete_join(&mut self, step: &mut Step<'_>) {
        self.initial_rebalance = None;
        step.effects.cancel_timer(self.join_key());
        let late: Vec<Arc<str>> = self
            .members
            .values()
            .filter(|member| !member.is_awaiting_join() && !member.is_static())
            .map(|member| member.member_id.clone())
            .collect();
        for member_id in late {
            self.remove(&member_id, step.effects);
        }
        if !self.elect_joined_leader() && !self.members.is_empty() {
            // Only static members are left and none of them has rejoined: give them another round.
            step.effects.set_timer(self.join_key(), i64::from(self.rebalance_timeout_ms()));
            return;
        }
        self.begin_generation(step);
    }

    /// Makes sure that the leader is one that has rejoined. `false` when there is none.
    fn elect_joined_leader(&mut self) -> bool {
        let leader = self.leader.as_ref().and_then(|leader| self.members.get(leader));
        if leader.is_some_and(|leader| leader.is_awaiting_join()) {
            return true;
        }
        match self.members_in_javas_order().into_iter().find(|member| member.is_awaiting_join()) {
            Some(joined) => {
                self.leader = Some(joined.member_id.clone());
                true
            }
            None => false,
        }
    }

    fn begin_generation(&mut self, step: &mut Step<'_>) {
        self.generation = Generation(self.generation.value().checked_add(1).unwrap_or(0));
        self.pending_sync.clear();
        self.protocol_name = self.select_protocol();
        self.compute_subscribed_topics();
        if self.members.is_empty() {
            self.leader = None;
            self.transition(ClassicGroupState::Empty, step.now);
            step.effects.records.push(self.to_record());
            return;
        }
        self.transition(ClassicGroupState::CompletingRebalance, step.now);
        let member_ids: Vec<Arc<str>> = self.members.keys().cloned().collect();
        for member_id in &member_ids {
            let leads = self.is_leader(member_id);
            let waiting = self.members.get(member_id).and_then(|member| member.awaiting_join);
            if let Some(parked) = waiting {
                let response = self.generation_response(member_id, parked.api_version, leads);
                self.finish_join(member_id, step.effects, |_| response);
            }
            self.restart_session(member_id, step.effects);
            if let Some(member) = self.members.get_mut(member_id) {
                member.is_new = false;
            }
        }
        self.pending_sync.extend(member_ids);
        step.effects.set_timer(self.sync_key(), i64::from(self.rebalance_timeout_ms()));
    }

    /// The sync timer has fired: who has not asked for its assignment is out, static or not.
    pub(crate) fn on_sync_timer(&mut self, step: &mut Step<'_>) {
        let waits = matches!(self.state, ClassicGroupState::CompletingRebalance | ClassicGroupState::Stable);
        if !waits || self.pending_sync.is_empty() {
            return;
        }
        for member_id in std::mem::take(&mut self.pending_sync) {
            self.remove(&member_id, step.effects);
        }
        self.prepare_rebalance(step);
    }

    /// Takes every assignment away and answers all parked SyncGroups with the error.
    pub(super) fn reset_assignments(&mut self, error: ErrorCode, step: &mut Step<'_>) {
        let member_ids: Vec<Arc<str>> = self.members.keys().cloned().collect();
        for member_id in member_ids {
            if let Some(member) = self.members.get_mut(&member_id) {
                member.assignment = Some(bytes::Bytes::new());
            }
            if self.finish_sync(&member_id, step.effects, |_| sync_error(error)) {
                self.restart_session(&member_id, step.effects);
            }
        }
    }
}
