//! The server-side assignors: who is to have what. Decisions on data.

mod range;
mod uniform;

use super::Partitions;
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
    /// passed over.
    pub fn assign(
        self,
        members: &BTreeMap<Arc<str>, Subscriber>,
        partitions: &BTreeMap<TopicId, i32>,
    ) -> BTreeMap<Arc<str>, Partitions> {
        match self {
            Self::Uniform => uniform::assign(members, partitions),
            Self::Range => range::assign(members, partitions),
        }
    }
}

impl fmt::Display for Assignor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
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
