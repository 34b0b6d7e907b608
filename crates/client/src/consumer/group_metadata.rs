/// Who commits offsets of a group: a member of a generation, or nobody of the group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerGroupMetadata {
    /// `group.id`.
    pub group_id: String,
    /// The generation that the member is of, in the consumer protocol its member epoch; -1 without membership.
    pub generation: i32,
    /// The member's id; empty without membership.
    pub member_id: String,
    /// `group.instance.id`, where the member is static.
    pub instance_id: Option<String>,
}

impl ConsumerGroupMetadata {
    /// One that stands outside of the group's membership: it may commit while the group has no members.
    pub fn outsider(group_id: impl Into<String>) -> Self {
        Self { group_id: group_id.into(), generation: -1, member_id: String::new(), instance_id: None }
    }
}
