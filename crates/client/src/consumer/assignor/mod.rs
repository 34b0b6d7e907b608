//! How the leader of a classic group shares out the partitions. Pure.

mod cooperative_sticky;
mod range;
mod round_robin;

use ottla_types::TopicPartition;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// An assignor; members of a group that use Apache Kafka's own one of the same name can share the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assignor {
    /// Of each topic a range of partitions for each member.
    Range,
    /// One partition after the other to one member after the other.
    RoundRobin,
    /// Balanced, moving as few partitions as it can, and never one that its owner has not given up (KIP-429).
    CooperativeSticky,
}

impl Assignor {
    /// The name under which members agree on it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Range => "range",
            Self::RoundRobin => "roundrobin",
            Self::CooperativeSticky => "cooperative-sticky",
        }
    }

    /// Whether members keep what they own while they join.
    pub(crate) fn is_cooperative(self) -> bool {
        self == Self::CooperativeSticky
    }

    /// What Apache Kafka's assignor of this name puts into a member's subscription.
    pub(crate) fn user_data(self, generation: i32) -> Option<Vec<u8>> {
        self.is_cooperative().then(|| generation.to_be_bytes().to_vec())
    }

    /// Shares out the partitions of the topics, whose numbers of partitions are given.
    pub(crate) fn assign(self, members: &[Member], partitions: &BTreeMap<String, i32>) -> Assignment {
        match self {
            Self::Range => range::assign(members, partitions),
            Self::RoundRobin => round_robin::assign(members, partitions),
            Self::CooperativeSticky => cooperative_sticky::assign(members, partitions),
        }
    }
}

/// By member id what each member gets.
pub(crate) type Assignment = BTreeMap<String, BTreeSet<TopicPartition>>;

/// A member that wants partitions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Member {
    pub(crate) member_id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) topics: BTreeSet<String>,
    /// What it reads at the moment.
    pub(crate) owned: BTreeSet<TopicPartition>,
    /// The generation in which it got what it owns.
    pub(crate) generation: i32,
}

/// Kafka's order of members: static ones first, by their static ids, so that a restart changes nothing.
fn member_order(a: &Member, b: &Member) -> Ordering {
    match (&a.instance_id, &b.instance_id) {
        (Some(a), Some(b)) => a.cmp(b),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.member_id.cmp(&b.member_id),
    }
}

fn sorted(members: &[Member]) -> Vec<&Member> {
    let mut sorted: Vec<_> = members.iter().collect();
    sorted.sort_by(|a, b| member_order(a, b));
    sorted
}

/// Each member with nothing.
fn nothing(members: &[Member]) -> Assignment {
    members.iter().map(|member| (member.member_id.clone(), BTreeSet::new())).collect()
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    pub(crate) fn member(id: &str, topics: &[&str]) -> Member {
        let topics = topics.iter().map(|topic| (*topic).to_owned()).collect();
        Member { member_id: id.to_owned(), topics, generation: -1, ..Default::default() }
    }

    pub(crate) fn partitions(counts: &[(&str, i32)]) -> BTreeMap<String, i32> {
        counts.iter().map(|(topic, count)| ((*topic).to_owned(), *count)).collect()
    }

    /// `a: t0-0 t0-1, b: t0-2`.
    pub(crate) fn shown(assignment: &Assignment) -> String {
        let member = |(id, partitions): (&String, &BTreeSet<TopicPartition>)| {
            let names: Vec<_> = partitions.iter().map(ToString::to_string).collect();
            format!("{id}: {}", names.join(" "))
        };
        assignment.iter().map(member).collect::<Vec<_>>().join(", ")
    }
}
