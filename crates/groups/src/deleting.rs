use crate::classic::ClassicGroupState;
use crate::consumer::tombstones;
use crate::{Effects, GroupCoordinator, GroupRecord};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::delete_groups_response::DeletableGroupResult;
use ottla_protocol::messages::offset_delete_response::{OffsetDeleteResponsePartition, OffsetDeleteResponseTopic};
use ottla_protocol::messages::{DeleteGroupsRequest, DeleteGroupsResponse, OffsetDeleteRequest, OffsetDeleteResponse};
use std::collections::BTreeSet;
use std::sync::Arc;

impl GroupCoordinator {
    /// Deletes those of the groups that are empty, with their offsets.
    pub(crate) fn delete_groups(&self, request: DeleteGroupsRequest, effects: &mut Effects) -> DeleteGroupsResponse {
        let mut named = BTreeSet::new();
        let mut results = Vec::with_capacity(request.groups_names.len());
        for group_id in request.groups_names {
            let group_id: Arc<str> = group_id.into();
            if named.insert(group_id.clone()) {
                let error = self.delete_group(&group_id, effects).err().unwrap_or(ErrorCode::None);
                results.push(DeletableGroupResult {
                    group_id: group_id.to_string(),
                    error_code: error.code(),
                    ..Default::default()
                });
            }
        }
        DeleteGroupsResponse { results, ..Default::default() }
    }

    fn delete_group(&self, group_id: &Arc<str>, effects: &mut Effects) -> Result<(), ErrorCode> {
        if let Some(group) = self.consumer.get(group_id) {
            if !group.is_empty() {
                return Err(ErrorCode::NonEmptyGroup);
            }
            self.offsets.tombstones_of_group(group_id, &mut effects.records);
            effects.records.extend(tombstones(group_id, group));
            return Ok(());
        }
        if let Some(group) = self.preserved.get(group_id) {
            if !group.is_empty() {
                return Err(ErrorCode::NonEmptyGroup);
            }
            self.offsets.tombstones_of_group(group_id, &mut effects.records);
            effects.records.extend(group.tombstones());
            return Ok(());
        }
        let group = self.classic.get(group_id).ok_or(ErrorCode::GroupIdNotFound)?;
        match group.state() {
            ClassicGroupState::Dead => return Err(ErrorCode::GroupIdNotFound),
            ClassicGroupState::Empty => {}
            _ => return Err(ErrorCode::NonEmptyGroup),
        }
        self.offsets.tombstones_of_group(group_id, &mut effects.records);
        effects.records.push(GroupRecord::GroupMetadata { group_id: group_id.clone(), value: None });
        group.cancel_timers(effects);
        Ok(())
    }

    /// Deletes offsets of topics that the group does not read.
    pub(crate) fn offset_delete(&self, request: OffsetDeleteRequest, effects: &mut Effects) -> OffsetDeleteResponse {
        if let Err(error) = self.validate_offset_delete(&request.group_id) {
            return OffsetDeleteResponse { error_code: error.code(), ..Default::default() };
        }
        let topics = request.topics.into_iter().map(|topic| {
            let is_subscribed = self.is_subscribed_to(&request.group_id, &topic.name);
            let error = if is_subscribed { ErrorCode::GroupSubscribedToTopic } else { ErrorCode::None };
            let mut named = BTreeSet::new();
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for partition in topic.partitions {
                let partition_index = partition.partition_index;
                if !named.insert(partition_index) {
                    continue;
                }
                if !is_subscribed {
                    effects.records.extend(self.offsets.tombstone(&request.group_id, &topic.name, partition_index));
                }
                partitions.push(OffsetDeleteResponsePartition { partition_index, error_code: error.code() });
            }
            OffsetDeleteResponseTopic { name: topic.name, partitions }
        });
        OffsetDeleteResponse { topics: topics.collect(), ..Default::default() }
    }

    fn validate_offset_delete(&self, group_id: &str) -> Result<(), ErrorCode> {
        if group_id.is_empty() {
            return Err(ErrorCode::InvalidGroupId);
        }
        if self.consumer.contains_key(group_id) || self.preserved.get(group_id).is_some() {
            return Ok(());
        }
        let group = self.classic.get(group_id).ok_or(ErrorCode::GroupIdNotFound)?;
        match group.state() {
            ClassicGroupState::Dead => Err(ErrorCode::GroupIdNotFound),
            ClassicGroupState::Empty => Ok(()),
            // Only of consumers is it known what they read.
            _ if group.uses_consumer_protocol() => Ok(()),
            _ => Err(ErrorCode::NonEmptyGroup),
        }
    }

    fn is_subscribed_to(&self, group_id: &str, topic: &str) -> bool {
        if let Some(group) = self.consumer.get(group_id) {
            return group.is_subscribed_to(topic);
        }
        match self.preserved.get(group_id) {
            // What the members of another protocol read is not known here.
            Some(preserved) => !preserved.is_empty(),
            None => self.classic.get(group_id).is_some_and(|group| group.is_subscribed_to(topic)),
        }
    }
}
