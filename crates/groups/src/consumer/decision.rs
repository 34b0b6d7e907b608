//! What becomes of a group when a member speaks, by either protocol: decided on a draft.

use super::assignor::Assignor;
use super::draft::Draft;
use super::metadata_hash::metadata_hash;
use super::reconcile::Reconciliation;
use super::record::{ConsumerRecordKind, MemberMetadata};
use super::regex::RegexChange;
use super::subscribe::Sender;
use super::target::{assign, topic_ids};
use super::{ConsumerMember, Partitions, Refusal};
use crate::RequestContext;
use crate::view::ClusterView;
use ottla_protocol::group_records::consumer_group_member_metadata_value::ClassicMemberMetadata;
use ottla_types::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What a member says of itself. What it leaves out stays.
#[derive(Debug, Default)]
pub(crate) struct Statement {
    pub(crate) instance_id: Option<String>,
    pub(crate) rack_id: Option<String>,
    pub(crate) assignor: Option<String>,
    pub(crate) regex: Option<String>,
    pub(crate) rebalance_timeout_ms: Option<i32>,
    pub(crate) topics: Option<BTreeSet<Arc<str>>>,
    /// Of a member of the classic protocol. This doesn't stay.
    pub(crate) classic: Option<ClassicMemberMetadata>,
}

/// All that is decided on.
pub(crate) struct Decision<'a> {
    pub(crate) now: Timestamp,
    pub(crate) context: &'a RequestContext,
    pub(crate) sender: &'a Sender<'a>,
    pub(crate) statement: &'a Statement,
    pub(crate) view: &'a dyn ClusterView,
    /// The assignor of members that prefer none.
    pub(crate) default: Assignor,
    pub(crate) assignment_interval_ms: i32,
}

/// A member that has been heard.
pub(crate) struct Heard {
    /// As it was.
    pub(crate) before: ConsumerMember,
    /// With what it says.
    pub(crate) said: ConsumerMember,
    /// Whether it wants other topics now.
    pub(crate) wants_changed: bool,
}

/// A member after its step.
pub(crate) struct Moved {
    pub(crate) member: ConsumerMember,
    /// Whether its epoch, state or partitions have changed.
    pub(crate) has_moved: bool,
    /// Whether the partitions that it has have changed.
    pub(crate) is_assigned_anew: bool,
}

impl Decision<'_> {
    /// Writes what the member says, and the epoch that may rise by it.
    pub(crate) fn hear(&self, draft: &mut Draft<'_>) -> Result<Heard, Refusal> {
        let member_id = &self.sender.member_id;
        let before = self.sender.member(draft)?;
        let preferred_before = draft.group.preferred_assignor().unwrap_or(self.default.name()).to_owned();
        let said = self.said(&before);
        if MemberMetadata::of(&said) != MemberMetadata::of(&before) || draft.group.member(member_id).is_none() {
            draft.write_metadata(member_id, &said);
        }
        let change = RegexChange { before: &before, after: &said, now: self.now, view: self.view };
        let regex_changed = change.apply(draft)?;
        let wants_changed = said.topics != before.topics || regex_changed;
        let assignor_changed = draft.group.preferred_assignor().unwrap_or(self.default.name()) != preferred_before;
        self.raise_epoch(draft, wants_changed || assignor_changed);
        Ok(Heard { before, said, wants_changed })
    }

    /// Makes a new target assignment if it is time, and lets the member go one step towards it.
    pub(crate) fn assign_and_move(&self, draft: &mut Draft<'_>, heard: &Heard) -> Result<Moved, Refusal> {
        let interval_ms = i64::from(self.assignment_interval_ms);
        let is_due = self.now.0 >= draft.group.assignment_timestamp.saturating_add(interval_ms)
            || draft.group.assignment_timestamp <= 0;
        if draft.group.assignment_epoch < draft.group.epoch && is_due {
            assign(draft, self.default, self.now, self.view);
        }
        self.move_on(draft, heard)
    }

    /// Lets the member go one step towards the target assignment that there is.
    pub(crate) fn move_on(&self, draft: &mut Draft<'_>, heard: &Heard) -> Result<Moved, Refusal> {
        let member = self.reconcile(draft, &heard.said, heard.wants_changed)?;
        let has_moved = member != heard.said;
        if has_moved {
            draft.write_current(&self.sender.member_id, &member);
        }
        let is_assigned_anew = member.assigned != heard.before.assigned;
        Ok(Moved { member, has_moved, is_assigned_anew })
    }

    /// The member with what it says of itself. What it leaves out stays.
    fn said(&self, before: &ConsumerMember) -> ConsumerMember {
        let Statement { instance_id, rack_id, assignor, regex, rebalance_timeout_ms, topics, classic } = self.statement;
        let mut said = before.clone();
        let update = |into: &mut Option<String>, from: &Option<String>| {
            if from.is_some() {
                into.clone_from(from);
            }
        };
        update(&mut said.instance_id, instance_id);
        update(&mut said.rack_id, rack_id);
        update(&mut said.assignor, assignor);
        update(&mut said.regex, regex);
        said.rebalance_timeout_ms = rebalance_timeout_ms.unwrap_or(said.rebalance_timeout_ms);
        if let Some(topics) = topics {
            said.topics.clone_from(topics);
        }
        said.client_id = self.context.client_id.to_string();
        said.client_host = self.context.client_host.to_string();
        said.classic.clone_from(classic);
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
