//! The topics that the coordinators keep their state in.

/// Committed offsets and groups.
pub(crate) const CONSUMER_OFFSETS: &str = "__consumer_offsets";
/// Transactions.
pub(crate) const TRANSACTION_STATE: &str = "__transaction_state";
/// Share groups.
pub(crate) const SHARE_GROUP_STATE: &str = "__share_group_state";

/// Whether a topic is one of these.
pub(crate) fn is_internal(topic: &str) -> bool {
    [CONSUMER_OFFSETS, TRANSACTION_STATE, SHARE_GROUP_STATE].contains(&topic)
}
