use super::assignment::epoch_of;
use super::subscribe::unknown_member;
use super::{ConsumerGroup, ConsumerMember};
use crate::coordinator::Committer;
use ottla_protocol::ErrorCode;
use ottla_types::TopicId;

/// First version whose members of this protocol may commit.
const MEMBER_EPOCH_VERSION: i16 = 9;

impl ConsumerGroup {
    /// Whether a commit is by a member in its epoch, or by somebody outside of an empty group. One of an older epoch may still
    /// commit for partitions that it has had since (KIP-1251).
    pub(crate) fn validate_offset_commit(
        &self,
        committer: &Committer<'_>,
        api_version: i16,
        mut partitions: impl Iterator<Item = (TopicId, i32)>,
    ) -> Result<(), ErrorCode> {
        let epoch = committer.generation.value();
        let is_nameless = committer.member_id.is_empty() && committer.group_instance_id.is_none();
        if epoch < 0 && self.is_empty() || committer.is_transactional && epoch == -1 && is_nameless {
            return Ok(());
        }
        let member = self.member(committer.member_id).ok_or(ErrorCode::UnknownMemberId)?;
        let is_classic = member.classic.is_some();
        if !committer.is_transactional && !is_classic && api_version < MEMBER_EPOCH_VERSION {
            return Err(ErrorCode::UnsupportedVersion);
        }
        let stale = if is_classic { ErrorCode::IllegalGeneration } else { ErrorCode::StaleMemberEpoch };
        let is_held_since =
            |(topic, partition)| held_since(member, topic, partition).is_some_and(|since| epoch >= since);
        match epoch.cmp(&member.epoch) {
            core::cmp::Ordering::Equal => Ok(()),
            core::cmp::Ordering::Less if partitions.all(is_held_since) => Ok(()),
            _ => Err(stale),
        }
    }

    /// Whether somebody may read offsets: anybody who names no member, or a member in its epoch.
    pub(crate) fn validate_offset_fetch(&self, member_id: Option<&str>, epoch: i32) -> Result<(), ErrorCode> {
        let Some(member_id) = member_id else {
            return if epoch < 0 { Ok(()) } else { Err(ErrorCode::UnknownMemberId) };
        };
        let member = self.member(member_id).ok_or_else(|| unknown_member("", member_id).error)?;
        match () {
            () if member.epoch == epoch => Ok(()),
            () if member.classic.is_some() => Err(ErrorCode::IllegalGeneration),
            () => Err(ErrorCode::StaleMemberEpoch),
        }
    }
}

fn held_since(member: &ConsumerMember, topic: TopicId, partition: i32) -> Option<i32> {
    epoch_of(&member.assigned, topic, partition).or_else(|| epoch_of(&member.pending_revocation, topic, partition))
}
