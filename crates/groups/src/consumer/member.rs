use super::HeldPartitions;
use ottla_protocol::group_records::consumer_group_member_metadata_value::ClassicMemberMetadata;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The epoch of a static member that has left for a moment.
pub(crate) const LEFT_FOR_A_MOMENT: i32 = -2;

/// How far a member has come with its assignment. The numbers are those in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum MemberState {
    /// It has what it is to have in its epoch.
    #[default]
    Stable = 0,
    /// It has to give up partitions first.
    UnrevokedPartitions = 1,
    /// Partitions that it is to have are still with other members.
    UnreleasedPartitions = 2,
    /// Written by a later release.
    Unknown = 127,
}

impl MemberState {
    pub(crate) fn from_code(code: i8) -> Self {
        match code {
            0 => Self::Stable,
            1 => Self::UnrevokedPartitions,
            2 => Self::UnreleasedPartitions,
            _ => Self::Unknown,
        }
    }
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct ConsumerMember {
    /// The epoch of its assignment.
    pub epoch: i32,
    /// The one before, which a request that was lost may still name.
    pub previous_epoch: i32,
    /// How far it is.
    pub state: MemberState,
    /// `group.instance.id`.
    pub instance_id: Option<String>,
    /// `client.rack`.
    pub rack_id: Option<String>,
    /// `client.id`.
    pub client_id: String,
    /// Its address, as Java writes it.
    pub client_host: String,
    /// How long it may take to give up partitions.
    pub rebalance_timeout_ms: i32,
    /// The topics that it names.
    pub topics: BTreeSet<Arc<str>>,
    /// The regular expression that it names; empty like none.
    pub regex: Option<String>,
    /// The assignor that it prefers.
    pub assignor: Option<String>,
    /// What only a member of the classic protocol has.
    pub classic: Option<ClassicMemberMetadata>,
    /// What it has.
    pub assigned: HeldPartitions,
    /// What it has and is to give up.
    pub pending_revocation: HeldPartitions,
}

impl ConsumerMember {
    /// One that has just come.
    pub(crate) fn new() -> Self {
        Self { previous_epoch: -1, rebalance_timeout_ms: -1, regex: Some(String::new()), ..Self::default() }
    }

    /// Its regular expression, unless that is empty.
    pub(crate) fn regex(&self) -> Option<&str> {
        self.regex.as_deref().filter(|regex| !regex.is_empty())
    }

    /// Whether it has all that the target of this epoch gives it.
    pub(crate) fn is_reconciled_to(&self, epoch: i32) -> bool {
        self.state == MemberState::Stable && self.epoch == epoch
    }

    pub(crate) fn move_to(&mut self, epoch: i32) {
        self.previous_epoch = self.epoch;
        self.epoch = epoch;
    }
}
