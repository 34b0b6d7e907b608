use super::assignment::each;
use super::assignor::Subscriptions;
use super::record::{ConsumerRecordKind, MemberMetadata};
use super::{ConsumerMember, Partitions};
use ottla_types::TopicId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The topics that a regular expression stands for.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ResolvedRegex {
    /// Their names.
    pub topics: BTreeSet<Arc<str>>,
    /// The version of the metadata that was looked at.
    pub version: i64,
    /// When that was, in milliseconds.
    pub timestamp: i64,
}

/// The state of a group, as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsumerGroupState {
    /// Without members.
    Empty,
    /// The target assignment is older than the group's epoch.
    Assigning,
    /// Not all members have what they are to have.
    Reconciling,
    /// All have.
    Stable,
}

impl ConsumerGroupState {
    /// The name in answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Assigning => "Assigning",
            Self::Reconciling => "Reconciling",
            Self::Stable => "Stable",
        }
    }
}

/// A group of the consumer protocol.
///
/// Invariant: `owners` has each partition that a member has or is to give up, so that no other gets it before.
#[derive(Clone, Debug, PartialEq)]
pub struct ConsumerGroup {
    /// Rises with each change of what members want or what there is.
    pub epoch: i32,
    /// Of the topics that are subscribed to, when the epoch rose last.
    pub metadata_hash: i64,
    /// The epoch of the target assignment; -1 without one.
    pub assignment_epoch: i32,
    /// When it was made, in milliseconds.
    pub assignment_timestamp: i64,
    members: BTreeMap<Arc<str>, ConsumerMember>,
    instances: BTreeMap<String, Arc<str>>,
    targets: BTreeMap<Arc<str>, Partitions>,
    regexes: BTreeMap<String, ResolvedRegex>,
    owners: BTreeMap<(TopicId, i32), Arc<str>>,
    /// Whether the log has a record that releases before 4.1 wrote.
    pub(crate) has_partition_metadata: bool,
    /// The version of the cluster's metadata that the hash was compared with. Not in the log.
    pub(crate) seen_version: Option<i64>,
    /// The version that regular expressions were compared with, and when. Not in the log.
    pub(crate) regexes_seen: Option<(i64, i64)>,
}

/// That of a group in which nothing has changed yet.
const EPOCH_AT_FIRST: i32 = 1;

impl Default for ConsumerGroup {
    fn default() -> Self {
        Self {
            epoch: EPOCH_AT_FIRST,
            metadata_hash: 0,
            assignment_epoch: -1,
            assignment_timestamp: 0,
            members: BTreeMap::new(),
            instances: BTreeMap::new(),
            targets: BTreeMap::new(),
            regexes: BTreeMap::new(),
            owners: BTreeMap::new(),
            has_partition_metadata: false,
            seen_version: None,
            regexes_seen: None,
        }
    }
}

impl ConsumerGroup {
    /// Its state.
    pub fn state(&self) -> ConsumerGroupState {
        let is_reconciled = |member: &ConsumerMember| member.is_reconciled_to(self.assignment_epoch);
        match () {
            () if self.members.is_empty() => ConsumerGroupState::Empty,
            () if self.epoch > self.assignment_epoch => ConsumerGroupState::Assigning,
            () if self.members.values().all(is_reconciled) => ConsumerGroupState::Stable,
            () => ConsumerGroupState::Reconciling,
        }
    }

    /// A member.
    pub fn member(&self, member_id: &str) -> Option<&ConsumerMember> {
        self.members.get(member_id)
    }

    /// A member, with its id as it is shared.
    pub(crate) fn member_entry(&self, member_id: &str) -> Option<(&Arc<str>, &ConsumerMember)> {
        self.members.get_key_value(member_id)
    }

    /// All members in the order of their ids.
    pub fn members(&self) -> impl ExactSizeIterator<Item = (&Arc<str>, &ConsumerMember)> {
        self.members.iter()
    }

    /// Whether nobody is in it.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The member with an instance id.
    pub(crate) fn static_member(&self, instance_id: &str) -> Option<(&Arc<str>, &ConsumerMember)> {
        self.members.get_key_value(self.instances.get(instance_id)?)
    }

    /// What a member is to have.
    pub fn target(&self, member_id: &str) -> Option<&Partitions> {
        self.targets.get(member_id)
    }

    /// Whether a partition is with somebody.
    pub(crate) fn is_owned(&self, topic: TopicId, partition: i32) -> bool {
        self.owners.contains_key(&(topic, partition))
    }

    /// What a regular expression stands for, if that is known.
    pub(crate) fn resolved(&self, regex: &str) -> Option<&ResolvedRegex> {
        self.regexes.get(regex)
    }

    pub(crate) fn resolved_regexes(&self) -> impl Iterator<Item = (&String, &ResolvedRegex)> {
        self.regexes.iter()
    }

    /// How many members have a regular expression.
    pub(crate) fn subscribers_of(&self, regex: &str) -> usize {
        self.members.values().filter(|member| member.regex() == Some(regex)).count()
    }

    /// The names of the topics that a member wants, by name and by regular expression.
    pub(crate) fn topics_of<'a>(&'a self, member: &'a ConsumerMember) -> impl Iterator<Item = &'a Arc<str>> {
        let by_regex = member.regex().and_then(|regex| self.regexes.get(regex));
        member.topics.iter().chain(by_regex.into_iter().flat_map(|resolved| &resolved.topics))
    }

    /// The names of all topics that somebody wants.
    pub(crate) fn subscribed_topics(&self) -> BTreeSet<&Arc<str>> {
        self.members.values().flat_map(|member| self.topics_of(member)).collect()
    }

    /// Whether all members want the same.
    pub(crate) fn subscriptions(&self) -> Subscriptions {
        let everyone = self.members.len();
        let mut named: BTreeMap<&Arc<str>, usize> = BTreeMap::new();
        let mut expressions: BTreeMap<&str, usize> = BTreeMap::new();
        for member in self.members.values() {
            member.topics.iter().for_each(|name| *named.entry(name).or_default() += 1);
            member.regex().into_iter().for_each(|regex| *expressions.entry(regex).or_default() += 1);
        }
        let are_alike = match expressions.is_empty() {
            true => named.values().all(|members| *members == everyone),
            false => named.is_empty() && expressions.values().all(|members| *members == everyone),
        };
        if are_alike { Subscriptions::Alike } else { Subscriptions::Different }
    }

    /// Whether somebody wants a topic.
    pub(crate) fn is_subscribed_to(&self, topic: &str) -> bool {
        self.members.values().any(|member| self.topics_of(member).any(|name| &**name == topic))
    }

    /// The assignor that most members prefer.
    pub(crate) fn preferred_assignor(&self) -> Option<&str> {
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for assignor in self.members.values().filter_map(|member| member.assignor.as_deref()) {
            *votes.entry(assignor).or_default() += 1;
        }
        votes.into_iter().max_by_key(|(_, votes)| *votes).map(|(assignor, _)| assignor)
    }

    /// Whether nothing is known of it: then it is not there.
    pub(crate) fn is_gone(&self) -> bool {
        let Self { seen_version, regexes_seen, .. } = *self;
        *self == Self { seen_version, regexes_seen, ..Self::default() }
    }

    /// Applies a record of this group.
    pub(crate) fn replay(&mut self, kind: &ConsumerRecordKind) {
        match kind {
            ConsumerRecordKind::Group(value) => {
                let (epoch, hash) = value.unwrap_or((EPOCH_AT_FIRST, 0));
                (self.epoch, self.metadata_hash) = (epoch, hash);
            }
            ConsumerRecordKind::PartitionMetadata { is_there } => self.has_partition_metadata = *is_there,
            ConsumerRecordKind::Member { member_id, value } => self.replay_member(member_id, value.as_deref()),
            ConsumerRecordKind::Assignment(value) => {
                (self.assignment_epoch, self.assignment_timestamp) = value.unwrap_or((-1, 0));
            }
            ConsumerRecordKind::Target { member_id, value } => {
                match value {
                    Some(partitions) => self.targets.insert(member_id.clone(), partitions.clone()),
                    None => self.targets.remove(member_id),
                };
            }
            ConsumerRecordKind::Current { member_id, value } => {
                let is_known = self.members.contains_key(member_id);
                // Without a member there is nothing that a tombstone could take away.
                if value.is_none() && !is_known {
                    return;
                }
                let mut member = self.members.get(member_id).cloned().unwrap_or_else(ConsumerMember::new);
                match value {
                    Some(current) => {
                        (member.epoch, member.previous_epoch) = (current.epoch, current.previous_epoch);
                        member.state = current.state;
                        member.assigned = current.assigned.clone();
                        member.pending_revocation = current.pending_revocation.clone();
                    }
                    None => {
                        (member.epoch, member.previous_epoch) = (-1, -1);
                        member.assigned.clear();
                        member.pending_revocation.clear();
                    }
                }
                self.put_member(member_id, member);
            }
            ConsumerRecordKind::Regex { regex, value } => {
                match value {
                    Some(resolved) => self.regexes.insert(regex.clone(), resolved.clone()),
                    None => self.regexes.remove(regex),
                };
            }
        }
    }

    fn replay_member(&mut self, member_id: &Arc<str>, value: Option<&MemberMetadata>) {
        let Some(metadata) = value else { return self.remove_member(member_id) };
        let mut member = self.members.get(member_id).cloned().unwrap_or_else(ConsumerMember::new);
        metadata.put_into(&mut member);
        self.put_member(member_id, member);
    }

    fn put_member(&mut self, member_id: &Arc<str>, member: ConsumerMember) {
        self.forget_ownership(member_id);
        self.forget_instance(member_id);
        if let Some(instance_id) = &member.instance_id {
            self.instances.insert(instance_id.clone(), member_id.clone());
        }
        for partition in each(&member.assigned).chain(each(&member.pending_revocation)) {
            self.owners.insert(partition, member_id.clone());
        }
        self.members.insert(member_id.clone(), member);
    }

    fn remove_member(&mut self, member_id: &Arc<str>) {
        self.forget_ownership(member_id);
        self.forget_instance(member_id);
        self.members.remove(member_id);
    }

    fn forget_instance(&mut self, member_id: &Arc<str>) {
        let instance_id = self.members.get(member_id).and_then(|member| member.instance_id.as_ref());
        if let Some(instance_id) = instance_id
            && self.instances.get(instance_id) == Some(member_id)
        {
            self.instances.remove(instance_id);
        }
    }

    fn forget_ownership(&mut self, member_id: &Arc<str>) {
        let Some(member) = self.members.get(member_id) else { return };
        for partition in each(&member.assigned).chain(each(&member.pending_revocation)) {
            if self.owners.get(&partition) == Some(member_id) {
                self.owners.remove(&partition);
            }
        }
    }
}
