//! Members that are silent, or do not give up what they must.
//!
//! No timer is ever taken back: the records of the step that would do so may not get into the log, and then the member would
//! be there for ever. One that fires finds what is so then.

use super::heartbeat::must_revoke;
use super::{ConsumerGroup, ConsumerMember};
use crate::effects::Replaying;
use crate::view::ClusterView;
use crate::{Effects, GroupCoordinator, TimerKey};
use ottla_types::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;

pub(crate) fn session_timer(group_id: &Arc<str>, member_id: &Arc<str>, session_timeout_ms: i32, effects: &mut Effects) {
    let key = TimerKey::ConsumerSession { group_id: group_id.clone(), member_id: member_id.clone() };
    effects.set_timer(key, i64::from(session_timeout_ms));
}

/// Sets the time in which a member must give up partitions, when it has to from now on.
pub(crate) fn rebalance_timer(
    group_id: &Arc<str>,
    member_id: &Arc<str>,
    member: &ConsumerMember,
    effects: &mut Effects,
) {
    if must_revoke(member) {
        let key = TimerKey::ConsumerRebalance { group_id: group_id.clone(), member_id: member_id.clone() };
        effects.set_timer(key, i64::from(member.rebalance_timeout_ms));
    }
}

/// After a load every member has its whole time again.
pub(crate) fn timers_after_load(
    group_id: &Arc<str>,
    group: &ConsumerGroup,
    view: &dyn ClusterView,
    effects: &mut Effects,
) {
    let session_timeout_ms = view.group_settings(group_id).session_timeout_ms;
    for (member_id, member) in group.members() {
        session_timer(group_id, member_id, session_timeout_ms, effects);
        rebalance_timer(group_id, member_id, member, effects);
    }
}

impl GroupCoordinator {
    /// A member was silent for too long, or (`only_unrevoked`) has not given up its partitions in time: it is out. The same if one
    /// of the classic protocol has not joined, or synced, in time.
    pub(crate) fn on_consumer_timer(
        &self,
        now: Timestamp,
        group_id: &Arc<str>,
        member_id: &Arc<str>,
        only_unrevoked: bool,
        effects: &mut Effects,
    ) {
        effects.replaying = Replaying::Replay;
        let member = self.consumer.get(group_id).and_then(|group| group.member(member_id));
        if member.is_none_or(|member| only_unrevoked && !must_revoke(member)) {
            return;
        }
        // If this can't be written, or the group can't be made a classic one for what a member once said, it is tried again.
        session_timer(group_id, member_id, self.view.group_settings(group_id).session_timeout_ms, effects);
        let leaving = BTreeSet::from([member_id.clone()]);
        if self.fence(now, group_id, &leaving, effects).is_err() {
            effects.records.clear();
        }
    }
}
