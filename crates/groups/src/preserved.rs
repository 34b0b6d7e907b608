//! Groups of kinds that are not run here: kept as they are.
//!
//! A log that Apache Kafka wrote can hold share groups (KIP-932) and streams groups (KIP-1071). Their records stay in the log as they are; here the latest value of each key is kept as its bytes. That
//! is enough to list such a group, to keep classic members and foreign commits out of a living one, to delete or take
//! over an empty one, and to keep its committed offsets as long as it lives.

use crate::GroupRecord;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The kind of a group that is not classic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PreservedKind {
    /// A share group.
    Share,
    /// A streams group.
    Streams,
}

impl PreservedKind {
    /// The kind as the ListGroups API spells it: the group's type, and its protocol type too.
    pub fn name(self) -> &'static str {
        match self {
            Self::Share => "share",
            Self::Streams => "streams",
        }
    }
}

/// The key of a preserved record. Orders as its bytes do, so that tombstones are written in one order everywhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PreservedKey {
    /// The whole key, with its type.
    pub bytes: Bytes,
    /// The group that it belongs to.
    pub group_id: Arc<str>,
    /// The record type.
    pub record_type: i16,
}

/// A key that does not begin with its group's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key of a record of type {record_type} does not begin with a group id")]
pub struct PreservedKeyError {
    /// The record's type.
    pub record_type: i16,
}

impl PreservedKey {
    /// Reads a key of the type `record_type`; `None` when no group of another kind has this type.
    pub fn parse(record_type: i16, key: &[u8]) -> Result<Option<Self>, PreservedKeyError> {
        if kind_of(record_type).is_none() {
            return Ok(None);
        }
        let group_id = group_id(key).ok_or(PreservedKeyError { record_type })?.into();
        Ok(Some(Self { bytes: Bytes::copy_from_slice(key), group_id, record_type }))
    }

    /// Whether the record tells of a member: a group without such records is empty.
    fn is_member(&self) -> bool {
        matches!(self.record_type, 10 | 19)
    }
}

/// The types of Kafka 4.4: 10 to 15 are of share groups, 17 to 23 of streams groups.
fn kind_of(record_type: i16) -> Option<PreservedKind> {
    match record_type {
        10..=15 => Some(PreservedKind::Share),
        17..=23 => Some(PreservedKind::Streams),
        _ => None,
    }
}

/// All these keys begin with their type and the group's id, whose length takes two bytes.
fn group_id(key: &[u8]) -> Option<&str> {
    let (length, rest) = key.get(2..)?.split_first_chunk::<2>()?;
    let length = usize::try_from(i16::from_be_bytes(*length)).ok()?;
    std::str::from_utf8(rest.get(..length)?).ok()
}

/// A group of another kind: its records as they are in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreservedGroup {
    /// Its kind.
    pub kind: PreservedKind,
    records: BTreeMap<PreservedKey, Bytes>,
}

impl PreservedGroup {
    /// Whether the group has no member.
    pub fn is_empty(&self) -> bool {
        !self.records.keys().any(PreservedKey::is_member)
    }

    /// The group's state as far as it is known: with or without members.
    pub fn state_name(&self) -> &'static str {
        if self.is_empty() { "Empty" } else { "Stable" }
    }

    /// The records that end the group.
    pub(crate) fn tombstones(&self) -> impl Iterator<Item = GroupRecord> + '_ {
        self.records.keys().map(|key| GroupRecord::Preserved { key: key.clone(), value: None })
    }
}

/// The preserved groups of one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PreservedGroups {
    groups: BTreeMap<Arc<str>, PreservedGroup>,
}

impl PreservedGroups {
    pub(crate) fn get(&self, group_id: &str) -> Option<&PreservedGroup> {
        self.groups.get(group_id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &PreservedGroup)> {
        self.groups.iter()
    }

    pub(crate) fn remove(&mut self, group_id: &str) -> Option<PreservedGroup> {
        self.groups.remove(group_id)
    }

    /// Keeps the record, or forgets it when it is a tombstone. A group without records is gone. Says whether the group
    /// is there now.
    pub(crate) fn replay(&mut self, key: PreservedKey, value: Option<Bytes>) -> bool {
        let Some(kind) = kind_of(key.record_type) else { return false };
        let group_id = key.group_id.clone();
        match value {
            Some(value) => {
                let group =
                    self.groups.entry(group_id).or_insert_with(|| PreservedGroup { kind, records: BTreeMap::new() });
                group.kind = kind;
                group.records.insert(key, value);
                true
            }
            None => {
                let Some(group) = self.groups.get_mut(&group_id) else { return false };
                group.records.remove(&key);
                if group.records.is_empty() {
                    self.groups.remove(&group_id);
                    return false;
                }
                true
            }
        }
    }
}
