use crate::GroupCoordinator;
use ottla_protocol::messages::list_groups_response::ListedGroup;
use ottla_protocol::messages::{ListGroupsRequest, ListGroupsResponse};

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

impl GroupCoordinator {
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
