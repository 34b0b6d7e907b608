//! The server-side assignors: who is to have what. Decisions on data.
//!
//! Both give what Kafka gives, member by member. Where it walks a Java hash table, so that the outcome hangs on hashes,
//! the same order is taken here: by bucket, and among what falls into one bucket by name or id.

mod balancer;
mod range;
mod uniform;
mod uniform_mixed;

use super::Partitions;
use crate::java::{Table, sort_as_hash_table, string_hash};
use core::fmt;
use ottla_types::TopicId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// An assignor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assignor {
    /// Members get equally much, and keep what they have.
    Uniform,
    /// Each topic is divided among its members in the order of their names.
    Range,
}

impl Assignor {
    /// The one of a name.
    pub fn of_name(name: &str) -> Option<Self> {
        match name {
            "uniform" => Some(Self::Uniform),
            "range" => Some(Self::Range),
            _ => None,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Range => "range",
        }
    }

    /// What each member is to have. `partitions` has the number of each topic's partitions; a topic that is not in it is
    /// passed over. Members whose subscriptions are alike want the same of the topics that there are.
    pub fn assign(
        self,
        members: &BTreeMap<Arc<str>, Subscriber>,
        partitions: &BTreeMap<TopicId, i32>,
        subscriptions: Subscriptions,
    ) -> BTreeMap<Arc<str>, Partitions> {
        match (self, subscriptions) {
            (Self::Uniform, Subscriptions::Alike) => uniform::assign(members, partitions),
            (Self::Uniform, Subscriptions::Different) => uniform_mixed::assign(members, partitions),
            (Self::Range, _) => range::assign(members, partitions),
        }
    }
}

impl fmt::Display for Assignor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether all members of a group want the same, by what they say: topics count that are not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subscriptions {
    /// All name the same topics, or all have the same regular expression and name none.
    Alike,
    /// They don't.
    Different,
}

/// A member, as an assignor sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subscriber {
    /// Its instance id.
    pub instance_id: Option<String>,
    /// What it wants.
    pub topics: BTreeSet<TopicId>,
    /// What it was to have before.
    pub target: Partitions,
}

type Members = BTreeMap<Arc<str>, Subscriber>;
type Assigned = BTreeMap<Arc<str>, Partitions>;
type PartitionCounts = BTreeMap<TopicId, i32>;

fn partition_count(counts: &PartitionCounts, topic_id: TopicId) -> usize {
    counts.get(&topic_id).and_then(|count| usize::try_from(*count).ok()).unwrap_or(0)
}

/// The members as the `HashMap` lists them that Kafka's coordinator puts them in for its assignors.
fn in_javas_order(members: &Members) -> Vec<(&Arc<str>, &Subscriber)> {
    let mut members: Vec<_> = members.iter().collect();
    sort_as_hash_table(&mut members, Table::Grown, |(member_id, _)| string_hash(member_id));
    members
}
