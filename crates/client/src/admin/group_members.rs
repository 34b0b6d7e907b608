use super::{Admin, item};
use crate::cluster::Coordinated;
use crate::error::{ClientError, Result, check};
use ottla_protocol::messages::leave_group_request::MemberIdentity;
use ottla_protocol::messages::{LeaveGroupRequest, LeaveGroupResponse};

/// A member that is to be removed from its group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MemberToRemove {
    /// A static one, by its `group.instance.id`.
    Static(String),
    /// Any other, by the id that the group gave it.
    Dynamic(String),
}

impl Admin {
    /// Removes members from a group. Each has a result of its own, in their order. A live member joins again by itself.
    ///
    /// # Errors
    /// No answer could be had, or the server refused the whole.
    pub async fn remove_group_members(
        &self,
        group: &str,
        members: &[MemberToRemove],
        reason: &str,
    ) -> Result<Vec<(MemberToRemove, Result<()>)>> {
        let identity = |member: &MemberToRemove| {
            let reason = Some(reason.to_owned());
            match member.clone() {
                MemberToRemove::Static(id) => {
                    MemberIdentity { group_instance_id: Some(id), reason, ..Default::default() }
                }
                MemberToRemove::Dynamic(member_id) => MemberIdentity { member_id, reason, ..Default::default() },
            }
        };
        let build = |_: i16| LeaveGroupRequest {
            group_id: group.to_owned(),
            members: members.iter().map(identity).collect(),
            ..Default::default()
        };
        let mut retry = self.cluster().retry();
        let to = Coordinated::by_group(group);
        let judge = |response: LeaveGroupResponse, _| check(response.error_code).map(|()| response.members);
        let answered = self.cluster().at_coordinator(&to, &mut retry, build, judge).await?;
        if answered.len() != members.len() {
            return Err(ClientError::State("not every member was answered"));
        }
        let results = answered.into_iter().map(|member| item(member.error_code, None));
        Ok(members.iter().cloned().zip(results).collect())
    }
}
