//! Which way of assigning the group takes, and what is known of its members' subscriptions.

use super::{ClassicGroup, ClassicGroupState, Protocol};
use crate::java;
use crate::migration::subscription_of;
use std::collections::{BTreeMap, BTreeSet};

/// The protocol type of consumers.
pub(crate) const CONSUMER: &str = "consumer";

/// Adds `change` to the count of each of the protocols.
pub(super) fn count(supported: &mut BTreeMap<String, usize>, protocols: &[Protocol], change: isize) {
    for protocol in protocols {
        let count = supported.get(&protocol.name).copied().unwrap_or(0);
        match count.saturating_add_signed(change) {
            0 => supported.remove(&protocol.name),
            count => supported.insert(protocol.name.clone(), count),
        };
    }
}

impl ClassicGroup {
    /// Whether a member with this protocol type and these protocols can be in the group: an empty group takes any, an
    /// inhabited one asks for its own type and one protocol that all its members support.
    pub(super) fn supports_protocols(&self, protocol_type: &str, protocols: &[Protocol]) -> bool {
        if self.state == ClassicGroupState::Empty {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        let supported_by_all = |protocol: &Protocol| {
            self.supported_protocols.get(&protocol.name).copied().unwrap_or(0) == self.members.len()
        };
        self.protocol_type.as_deref() == Some(protocol_type) && protocols.iter().any(supported_by_all)
    }

    /// The protocol of the next generation: of those that every member supports, the one that most members want most.
    pub(super) fn select_protocol(&self) -> Option<String> {
        let everyone = self.members.len();
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        let mut voted_order = Vec::new();
        for member in self.members.values() {
            let supported_by_all =
                |protocol: &&Protocol| self.supported_protocols.get(&protocol.name).copied() == Some(everyone);
            if let Some(vote) = member.protocols.iter().find(supported_by_all) {
                let count = votes.entry(&vote.name).or_insert(0);
                if *count == 0 {
                    voted_order.push(vote.name.as_str());
                }
                *count += 1;
            }
        }
        let most = votes.values().copied().max()?;
        java::hash_map_order(voted_order).into_iter().find(|name| votes.get(name) == Some(&most)).map(str::to_owned)
    }

    /// Whether the members are consumers.
    pub(crate) fn uses_consumer_protocol(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER)
    }

    /// Whether a member reads the topic. Consumers whose subscriptions can't be read count as subscribed to all.
    pub(crate) fn is_subscribed_to(&self, topic: &str) -> bool {
        match &self.subscribed_topics {
            Some(topics) => topics.contains(topic),
            None => self.uses_consumer_protocol(),
        }
    }

    pub(super) fn compute_subscribed_topics(&mut self) {
        self.subscribed_topics = self.read_subscribed_topics();
    }

    fn read_subscribed_topics(&self) -> Option<BTreeSet<String>> {
        if !self.uses_consumer_protocol() {
            return None;
        }
        if self.members.is_empty() {
            return Some(BTreeSet::new());
        }
        let protocol_name = self.protocol_name.as_deref()?;
        let mut topics = BTreeSet::new();
        for member in self.members.values() {
            topics.extend(subscription_of(&member.metadata(protocol_name)).ok()?.topics);
        }
        Some(topics)
    }
}
