//! The next step of a member towards what it is to have: a decision on data.

use super::assignment::epoch_of;
use super::{ConsumerMember, HeldPartitions, MemberState, Partitions, Refusal};
use ottla_protocol::ErrorCode;
use ottla_types::TopicId;
use std::collections::{BTreeMap, BTreeSet};

/// What a step depends on.
pub(crate) struct Reconciliation<'a> {
    pub(crate) target_epoch: i32,
    pub(crate) target: &'a Partitions,
    /// What the member wants now.
    pub(crate) topics: BTreeSet<TopicId>,
    pub(crate) subscription_changed: bool,
    /// What the member says that it has, if it says so.
    pub(crate) owned: Option<&'a Partitions>,
    /// Whether a partition is with somebody.
    pub(crate) is_owned: &'a dyn Fn(TopicId, i32) -> bool,
}

impl Reconciliation<'_> {
    /// The member after the step.
    pub(crate) fn step(&self, member: &ConsumerMember) -> Result<ConsumerMember, Refusal> {
        match member.state {
            MemberState::Stable if member.epoch != self.target_epoch => Ok(self.next(member, member.epoch)),
            MemberState::Stable if self.subscription_changed => Ok(self.without_unwanted(member)),
            MemberState::Stable => Ok(member.clone()),
            MemberState::UnrevokedPartitions if self.still_has(&member.pending_revocation) => {
                Ok(if self.subscription_changed { self.without_unwanted(member) } else { member.clone() })
            }
            MemberState::UnrevokedPartitions | MemberState::UnreleasedPartitions => Ok(self.next(member, member.epoch)),
            MemberState::Unknown if self.owned.is_some_and(BTreeMap::is_empty) => {
                Ok(self.next(member, self.target_epoch))
            }
            MemberState::Unknown => Err(Refusal::new(
                ErrorCode::FencedMemberEpoch,
                "The state of the member is not known here: it must give up all its partitions and join again.",
            )),
        }
    }

    /// Whether the member still has some of these partitions. As long as it does not say what it has, it may.
    fn still_has(&self, partitions: &HeldPartitions) -> bool {
        let Some(owned) = self.owned else { return true };
        let mut all = owned.iter().flat_map(|(topic, indexes)| indexes.iter().map(|index| (*topic, *index)));
        all.any(|(topic, index)| epoch_of(partitions, topic, index).is_some())
    }

    /// Takes away at once what the member does not want any more.
    fn without_unwanted(&self, member: &ConsumerMember) -> ConsumerMember {
        let is_wanted = |(topic, _): &(&TopicId, &BTreeMap<i32, i32>)| self.topics.contains(topic);
        if member.assigned.iter().all(|topic| is_wanted(&topic)) {
            return member.clone();
        }
        let mut next = member.clone();
        let unwanted: HeldPartitions =
            member.assigned.iter().filter(|topic| !is_wanted(topic)).map(|(id, held)| (*id, held.clone())).collect();
        next.assigned.retain(|topic, _| self.topics.contains(topic));
        for (topic, held) in unwanted {
            next.pending_revocation.entry(topic).or_default().extend(held);
        }
        next.move_to(member.epoch);
        if self.still_has(&next.pending_revocation) {
            next.state = MemberState::UnrevokedPartitions;
        } else {
            next.pending_revocation = member.pending_revocation.clone();
        }
        next
    }

    /// From what the member has to what it is to have: first it gives up, then it gets what is free.
    fn next(&self, member: &ConsumerMember, epoch: i32) -> ConsumerMember {
        let none = BTreeSet::new();
        let target_of = |topic: &TopicId| match self.topics.contains(topic) {
            true => self.target.get(topic).unwrap_or(&none),
            false => &none,
        };
        let (mut keeps, mut revokes) = (HeldPartitions::new(), HeldPartitions::new());
        for (topic, held) in &member.assigned {
            for (index, since) in held {
                let place = if target_of(topic).contains(index) { &mut keeps } else { &mut revokes };
                place.entry(*topic).or_default().insert(*index, *since);
            }
        }
        let mut next = member.clone();
        if !revokes.is_empty() && self.still_has(&revokes) {
            next.state = MemberState::UnrevokedPartitions;
            next.move_to(epoch);
            (next.assigned, next.pending_revocation) = (keeps, revokes);
            return next;
        }
        let mut waits = false;
        for topic in self.target.keys() {
            for index in target_of(topic) {
                if epoch_of(&keeps, *topic, *index).is_some() {
                    continue;
                }
                let was_its_own = epoch_of(&member.pending_revocation, *topic, *index).is_some();
                if (self.is_owned)(*topic, *index) && !was_its_own {
                    waits = true;
                } else {
                    keeps.entry(*topic).or_default().insert(*index, self.target_epoch);
                }
            }
        }
        next.state = if waits { MemberState::UnreleasedPartitions } else { MemberState::Stable };
        next.move_to(self.target_epoch);
        next.assigned = keeps;
        next.pending_revocation.clear();
        next
    }
}
