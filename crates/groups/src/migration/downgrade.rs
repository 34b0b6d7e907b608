//! A consumer group whose members all speak the classic protocol becomes a classic one.

use super::{Malformed, MigrationPolicy, assignment_bytes};
use crate::classic::{ClassicGroup, Member, Protocol, Step};
use crate::consumer::{ConsumerGroup, ConsumerMember, Refusal, tombstones_of};
use crate::java::timeline_order;
use crate::view::ClusterView;
use crate::{Effects, GroupCoordinator, GroupRecord, GroupSettings};
use ottla_protocol::ErrorCode;
use ottla_types::{Generation, Timestamp};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A static member of the classic protocol that takes the place of the last one of the consumer protocol.
pub(crate) struct Joining<'a> {
    pub(crate) old_member_id: &'a Arc<str>,
    pub(crate) member_id: &'a Arc<str>,
    pub(crate) member: &'a ConsumerMember,
}

/// A downgrade that is being decided.
pub(crate) struct Downgrade<'a> {
    pub(crate) group_id: &'a Arc<str>,
    pub(crate) group: &'a ConsumerGroup,
    pub(crate) leaving: &'a BTreeSet<Arc<str>>,
    pub(crate) joining: Option<Joining<'a>>,
    pub(crate) view: &'a dyn ClusterView,
}

/// A downgrade on its way into the log. The records have all that must last; this has beside it what only the process knows: the
/// other protocols that the members support.
#[derive(Clone, Debug, PartialEq)]
pub struct Downgraded {
    group: Box<ClassicGroup>,
    rebalances: bool,
}

impl Downgrade<'_> {
    /// Whether the group becomes a classic one when these members go: somebody stays, and nobody of those speaks the consumer
    /// protocol.
    pub(crate) fn is_due_without(
        group: &ConsumerGroup,
        leaving: &BTreeSet<Arc<str>>,
        settings: &GroupSettings,
    ) -> bool {
        let mut staying = group.members().filter(|(member_id, _)| !leaving.contains(*member_id)).peekable();
        staying.peek().is_some()
            && staying.all(|(_, member)| member.classic.is_some())
            && settings.migration_policy.allows_downgrade()
            && group.members().len() - leaving.len() <= settings.size_max
    }

    /// Whether it becomes one when a member of the classic protocol takes this one's place.
    pub(crate) fn is_due_with_replaced(group: &ConsumerGroup, replaced: &str, settings: &GroupSettings) -> bool {
        let policy: MigrationPolicy = settings.migration_policy;
        let is_last =
            |(member_id, member): (&Arc<str>, &ConsumerMember)| member.classic.is_none() == (**member_id == *replaced);
        group.members().all(is_last) && policy.allows_downgrade() && group.members().len() <= settings.size_max
    }

    /// Writes the records that make the group a classic one. Its generation is the group's epoch, and each member keeps what it
    /// was to have. With `rebalances` the members are called together at once.
    pub(crate) fn write(
        &self,
        now: Timestamp,
        rebalances: bool,
        records: &mut Vec<GroupRecord>,
    ) -> Result<Downgraded, Refusal> {
        let name_now = |member_id: &Arc<str>| match &self.joining {
            Some(joining) if joining.old_member_id == member_id => joining.member_id.clone(),
            _ => member_id.clone(),
        };
        records.extend(tombstones_of(self.group_id, self.group, name_now));
        let group = Box::new(self.classic_group(now)?);
        records.push(group.to_record());
        Ok(Downgraded { group, rebalances })
    }

    fn classic_group(&self, now: Timestamp) -> Result<ClassicGroup, Refusal> {
        let members = timeline_order(self.group.members().collect(), |(member_id, _)| member_id);
        let is_replaced =
            |member_id: &Arc<str>| self.joining.as_ref().is_some_and(|joining| joining.old_member_id == member_id);
        let staying = members
            .into_iter()
            .filter(|(member_id, _)| !self.leaving.contains(*member_id) && !is_replaced(member_id))
            .map(|(member_id, member)| classic_member(member_id, member));
        let joining = self.joining.iter().map(|joining| classic_member(joining.member_id, joining.member));
        let generation = Generation(self.group.epoch);
        let mut group = ClassicGroup::of_members(self.group_id.clone(), generation, staying.chain(joining), now);
        let member_ids: Vec<Arc<str>> = group.members().map(|member| member.member_id.clone()).collect();
        for member_id in member_ids {
            let bytes = self.assignment_bytes(&group, &member_id).map_err(|Malformed| self.refusal())?;
            group.set_assignment(&member_id, bytes);
        }
        Ok(group)
    }

    fn assignment_bytes(&self, group: &ClassicGroup, member_id: &Arc<str>) -> Result<bytes::Bytes, Malformed> {
        let before = match &self.joining {
            Some(joining) if joining.member_id == member_id => joining.old_member_id,
            _ => member_id,
        };
        let target = self.group.target(before).cloned().unwrap_or_default();
        let protocol_name = group.protocol_name().unwrap_or_default();
        let metadata = group.members().find(|member| member.member_id == *member_id);
        let metadata = metadata.map(|member| member.metadata(protocol_name)).unwrap_or_default();
        assignment_bytes(&target, &metadata, self.view)
    }

    fn refusal(&self) -> Refusal {
        let message = format!("Cannot downgrade the consumer group {}: malformed consumer protocol.", self.group_id);
        Refusal::new(ErrorCode::GroupIdNotFound, message)
    }
}

fn classic_member(member_id: &Arc<str>, member: &ConsumerMember) -> Member {
    let classic = member.classic.clone().unwrap_or_default();
    let protocols = classic.supported_protocols.into_iter();
    Member::of_migration(
        member_id.clone(),
        member,
        classic.session_timeout_ms,
        protocols.map(|protocol| Protocol { name: protocol.name, metadata: protocol.metadata }).collect(),
    )
}

impl GroupCoordinator {
    /// The records of a downgrade are in the log, and were replayed: now the members' sessions run, and perhaps a rebalance.
    pub(crate) fn on_downgrade_committed(&mut self, now: Timestamp, downgraded: Downgraded, effects: &mut Effects) {
        let Downgraded { group, rebalances } = downgraded;
        let group_id: Arc<str> = group.group_id().into();
        let Some(current) = self.classic.get_mut(&group_id) else { return };
        if current.is_as_replayed(&group) {
            *current = *group;
        }
        let mut step = Step { now, settings: &self.settings, effects };
        current.restart_all_sessions(&mut step);
        if rebalances {
            current.prepare_rebalance_of_stable(&mut step);
        }
    }
}
