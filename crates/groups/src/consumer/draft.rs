use super::record::{ConsumerRecord, ConsumerRecordKind, CurrentAssignment, MemberMetadata};
use super::{ConsumerGroup, ConsumerMember};
use crate::GroupRecord;
use std::borrow::Cow;
use std::sync::Arc;

/// A group as it will be when the records that are being written are in the log.
pub(crate) struct Draft<'a> {
    pub(crate) group_id: Arc<str>,
    pub(crate) group: Cow<'a, ConsumerGroup>,
    pub(crate) records: Vec<GroupRecord>,
}

/// What is left of a draft when it has been decided.
pub(crate) struct Written {
    pub(crate) group_id: Arc<str>,
    pub(crate) records: Vec<GroupRecord>,
    pub(crate) seen_version: Option<i64>,
    pub(crate) regexes_seen: Option<(i64, i64)>,
}

impl<'a> Draft<'a> {
    pub(crate) fn of(group_id: Arc<str>, group: &'a ConsumerGroup) -> Self {
        Self { group_id, group: Cow::Borrowed(group), records: Vec::new() }
    }

    /// Of a group that is not there yet, after what has to be written first.
    pub(crate) fn new(group_id: Arc<str>, records: Vec<GroupRecord>) -> Self {
        Self { group_id, group: Cow::Owned(ConsumerGroup::default()), records }
    }

    pub(crate) fn written(self) -> Written {
        let (seen_version, regexes_seen) = (self.group.seen_version, self.group.regexes_seen);
        Written { group_id: self.group_id, records: self.records, seen_version, regexes_seen }
    }

    pub(crate) fn write(&mut self, kind: ConsumerRecordKind) {
        self.group.to_mut().replay(&kind);
        self.records.push(ConsumerRecord { group_id: self.group_id.clone(), kind }.into());
    }

    /// Writes what a member says of itself.
    pub(crate) fn write_metadata(&mut self, member_id: &Arc<str>, member: &ConsumerMember) {
        let value = Some(Box::new(MemberMetadata::of(member)));
        self.write(ConsumerRecordKind::Member { member_id: member_id.clone(), value });
    }

    /// Writes what a member has.
    pub(crate) fn write_current(&mut self, member_id: &Arc<str>, member: &ConsumerMember) {
        let value = Some(Box::new(CurrentAssignment::of(member)));
        self.write(ConsumerRecordKind::Current { member_id: member_id.clone(), value });
    }

    /// Takes a member out, with all that is written of it.
    pub(crate) fn remove_member(&mut self, member_id: &Arc<str>) {
        self.write(ConsumerRecordKind::Current { member_id: member_id.clone(), value: None });
        self.write(ConsumerRecordKind::Target { member_id: member_id.clone(), value: None });
        self.write(ConsumerRecordKind::Member { member_id: member_id.clone(), value: None });
    }
}

/// The records that end a group, in the order that Apache Kafka asks for.
pub(crate) fn tombstones(group_id: &Arc<str>, group: &ConsumerGroup) -> Vec<GroupRecord> {
    tombstones_of(group_id, group, Arc::clone)
}

/// The same when a member bears another id by now.
pub(crate) fn tombstones_of(
    group_id: &Arc<str>,
    group: &ConsumerGroup,
    name_now: impl Fn(&Arc<str>) -> Arc<str>,
) -> Vec<GroupRecord> {
    let members = || group.members().map(|(member_id, _)| name_now(member_id));
    let mut kinds: Vec<ConsumerRecordKind> = Vec::new();
    kinds.extend(members().map(|member_id| ConsumerRecordKind::Current { member_id, value: None }));
    kinds.extend(members().map(|member_id| ConsumerRecordKind::Target { member_id, value: None }));
    kinds.push(ConsumerRecordKind::Assignment(None));
    kinds.extend(members().map(|member_id| ConsumerRecordKind::Member { member_id, value: None }));
    let regexes = group.resolved_regexes().map(|(regex, _)| regex.clone());
    kinds.extend(regexes.map(|regex| ConsumerRecordKind::Regex { regex, value: None }));
    kinds.push(ConsumerRecordKind::PartitionMetadata { is_there: false });
    kinds.push(ConsumerRecordKind::Group(None));
    kinds.into_iter().map(|kind| ConsumerRecord { group_id: group_id.clone(), kind }.into()).collect()
}
