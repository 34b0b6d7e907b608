use crate::classic::ClassicGroupState;
use crate::{GroupCoordinator, RequestContext};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::describe_groups_response::DescribedGroup;
use ottla_protocol::messages::{DescribeGroupsRequest, DescribeGroupsResponse};

/// First version that is told that a group does not exist; older ones are shown a dead group without an error.
const GROUP_ID_NOT_FOUND_VERSION: i16 = 6;

impl GroupCoordinator {
    /// The classic groups of these names. What the client may do with them is for the caller to fill in.
    pub(crate) fn describe_groups(
        &self,
        context: &RequestContext,
        request: DescribeGroupsRequest,
    ) -> DescribeGroupsResponse {
        let groups = request.groups.into_iter().map(|group_id| self.describe_group(context, group_id));
        DescribeGroupsResponse { groups: groups.collect(), ..Default::default() }
    }

    fn describe_group(&self, context: &RequestContext, group_id: String) -> DescribedGroup {
        let Some(group) = self.classic.get(group_id.as_str()) else {
            return self.describe_missing(context, group_id);
        };
        // Only a stable group has metadata that fits its protocol.
        let protocol_name = group.protocol_name().filter(|_| group.state() == ClassicGroupState::Stable);
        DescribedGroup {
            group_state: group.state().name().to_owned(),
            protocol_type: group.protocol_type().unwrap_or_default().to_owned(),
            protocol_data: protocol_name.unwrap_or_default().to_owned(),
            members: group.members_in_javas_order().into_iter().map(|member| member.describe(protocol_name)).collect(),
            group_id,
            ..Default::default()
        }
    }

    fn describe_missing(&self, context: &RequestContext, group_id: String) -> DescribedGroup {
        let group_state = ClassicGroupState::Dead.name().to_owned();
        if context.api_version < GROUP_ID_NOT_FOUND_VERSION {
            return DescribedGroup { group_id, group_state, ..Default::default() };
        }
        let is_other = self.consumer.contains_key(group_id.as_str()) || self.preserved.get(&group_id).is_some();
        let error_message = match is_other {
            true => format!("Group {group_id} is not a classic group."),
            false => format!("Group {group_id} not found."),
        };
        DescribedGroup {
            group_id,
            group_state,
            error_code: ErrorCode::GroupIdNotFound.code(),
            error_message: Some(error_message),
            ..Default::default()
        }
    }
}
