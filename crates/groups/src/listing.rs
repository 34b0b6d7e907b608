use crate::GroupCoordinator;
use ottla_protocol::messages::list_groups_response::ListedGroup;
use ottla_protocol::messages::{ListGroupsRequest, ListGroupsResponse};
use std::collections::BTreeMap;

/// What the filters of one request let through. Cases don't matter; no filter lets all through.
struct Filter {
    states: Vec<String>,
    types: Vec<String>,
}

impl Filter {
    fn new(request: &ListGroupsRequest) -> Self {
        let states = request.states_filter.iter().map(|state| state.to_lowercase().trim().to_owned());
        let types = request.types_filter.iter().map(|name| name.to_lowercase());
        Self { states: states.collect(), types: types.collect() }
    }

    fn lets_through(&self, group: &ListedGroup) -> bool {
        let one_of = |names: &[String], name: &str| names.is_empty() || names.contains(&name.to_lowercase());
        one_of(&self.states, &group.group_state) && one_of(&self.types, &group.group_type)
    }
}

/// How many groups there are of each protocol in each state, and how many committed offsets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupCensus {
    /// The groups, by the names of protocol and state.
    pub groups: BTreeMap<(&'static str, &'static str), usize>,
    /// Committed offsets.
    pub offsets: usize,
}

impl GroupCensus {
    /// Adds what another partition has counted.
    pub fn add(&mut self, other: &Self) {
        for (kind, count) in &other.groups {
            *self.groups.entry(*kind).or_default() += count;
        }
        self.offsets += other.offsets;
    }
}

impl GroupCoordinator {
    /// Counts the groups of this partition: for metrics. Looks at each, so not for every request.
    pub fn census(&self) -> GroupCensus {
        let classic = self.classic.values().map(|group| ("classic", group.state().name()));
        let consumer = self.consumer.values().map(|group| ("consumer", group.state().name()));
        let preserved = self.preserved.iter().map(|(_, group)| (group.kind.name(), group.state_name()));
        let mut census = GroupCensus { offsets: self.offsets.len(), ..GroupCensus::default() };
        for kind in classic.chain(consumer).chain(preserved) {
            *census.groups.entry(kind).or_default() += 1;
        }
        census
    }

    /// The groups of this partition. The answers of all partitions make the answer of the broker.
    pub(crate) fn list_groups(&self, request: &ListGroupsRequest) -> ListGroupsResponse {
        let filter = Filter::new(request);
        let classic = self.classic.iter().map(|(group_id, group)| ListedGroup {
            group_id: group_id.to_string(),
            protocol_type: group.protocol_type().unwrap_or_default().to_owned(),
            group_state: group.state().name().to_owned(),
            group_type: "classic".to_owned(),
            ..Default::default()
        });
        let preserved = self.preserved.iter().map(|(group_id, group)| ListedGroup {
            group_id: group_id.to_string(),
            protocol_type: group.kind.name().to_owned(),
            group_state: group.state_name().to_owned(),
            group_type: group.kind.name().to_owned(),
            ..Default::default()
        });
        let consumer = self.consumer.iter().map(|(group_id, group)| ListedGroup {
            group_id: group_id.to_string(),
            protocol_type: "consumer".to_owned(),
            group_state: group.state().name().to_owned(),
            group_type: "consumer".to_owned(),
            ..Default::default()
        });
        let groups = classic.chain(consumer).chain(preserved).filter(|group| filter.lets_through(group)).collect();
        ListGroupsResponse { groups, ..Default::default() }
    }
}
