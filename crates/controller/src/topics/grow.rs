use super::create::PARTITIONS_MAX;
use crate::random::Sequence;
use crate::{ApiError, Context, Controller, Outcome};
use ottla_metadata::{Partition, Topic, VersionedRecord};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::create_partitions_request::{CreatePartitionsAssignment, CreatePartitionsTopic};
use ottla_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use ottla_protocol::messages::{CreatePartitionsRequest, CreatePartitionsResponse};
use ottla_types::{BrokerId, NodeId, PartitionIndex};
use std::collections::BTreeSet;

impl Controller {
    /// CreatePartitions: topics get more partitions. Each topic succeeds or fails by itself.
    pub fn create_partitions(
        &mut self,
        context: &Context,
        request: &CreatePartitionsRequest,
    ) -> Outcome<CreatePartitionsResponse> {
        let mut random = Sequence::new(context.seed);
        let mut records = Vec::new();
        let mut results = Vec::with_capacity(request.topics.len());
        let mut room = self.room_for_partitions();
        let is_excessive = self.additional_partitions(request) > PARTITIONS_MAX;
        let mut seen = BTreeSet::new();
        let names = request.topics.iter().map(|topic| topic.name.as_str());
        let duplicates: BTreeSet<_> = names.filter(|name| !seen.insert(*name)).collect();
        let mut reported = BTreeSet::new();
        for topic in &request.topics {
            let result = if is_excessive {
                let message = "Excessively large number of additional partitions per request.";
                Err(ApiError::new(ErrorCode::PolicyViolation, message))
            } else if !duplicates.contains(&*topic.name) {
                self.grow_topic(topic, &mut random, &mut room, &mut records)
            } else if reported.insert(&*topic.name) {
                Err(ApiError::new(ErrorCode::InvalidRequest, "Duplicate topic name."))
            } else {
                continue;
            };
            let (error_code, error_message) = ApiError::parts(result);
            let name = topic.name.clone();
            results.push(CreatePartitionsTopicResult { name, error_code, error_message, ..Default::default() });
        }
        if request.validate_only {
            records.clear();
        }
        Outcome::atomic(records, CreatePartitionsResponse { results, ..Default::default() })
    }

    fn additional_partitions(&self, request: &CreatePartitionsRequest) -> i64 {
        let additional = |asked: &CreatePartitionsTopic| -> i64 {
            let topic = self.image.topics.topic_by_name(&asked.name);
            topic.map_or(0, |topic| (i64::from(asked.count) - length(topic)).max(0))
        };
        request.topics.iter().map(additional).fold(0i64, i64::saturating_add)
    }

    fn grow_topic(
        &self,
        asked: &CreatePartitionsTopic,
        random: &mut Sequence,
        room: &mut usize,
        records: &mut Vec<VersionedRecord>,
    ) -> Result<(), ApiError> {
        let topic = self.image.topics.topic_by_name(&asked.name);
        let topic = topic.ok_or(ApiError::bare(ErrorCode::UnknownTopicOrPartition))?;
        let present = length(topic);
        let additional = check_count(asked, present)?;
        let factor = topic.partitions.values().next().map_or(0, |partition| partition.replicas.len());
        let first = i32::try_from(present).unwrap_or(i32::MAX);
        let new = match &asked.assignments {
            Some(assignments) => self.assigned_growth(assignments, additional, first, factor)?,
            None => self.placed_growth(additional, factor, random)?,
        };
        *room = room.checked_sub(new.len()).ok_or_else(|| self.no_room_for_partitions())?;
        let indexed = (first..).map(PartitionIndex).zip(&new);
        records.extend(indexed.map(|(index, partition)| self.partition_record(topic.id, index, partition)));
        Ok(())
    }

    fn assigned_growth(
        &self,
        assignments: &[CreatePartitionsAssignment],
        additional: i64,
        first: i32,
        factor: usize,
    ) -> Result<Vec<Partition>, ApiError> {
        if i64::try_from(assignments.len()) != Ok(additional) {
            let message = format!(
                "Attempted to add {additional} additional partition(s), but only {} assignment(s) were specified.",
                assignments.len()
            );
            return Err(ApiError::new(ErrorCode::InvalidReplicaAssignment, message));
        }
        let partition = |(index, assignment): (i32, &CreatePartitionsAssignment)| {
            let replicas: Vec<BrokerId> = assignment.broker_ids.iter().copied().map(NodeId).collect();
            self.check_assignment(&replicas, Some(factor))?;
            self.assigned_partition(replicas, index)
        };
        (first..).zip(assignments).map(partition).collect()
    }

    fn placed_growth(&self, additional: i64, factor: usize, random: &mut Sequence) -> Result<Vec<Partition>, ApiError> {
        let invalid = |message: String| ApiError::new(ErrorCode::InvalidReplicationFactor, message);
        let mut placer = self.placer(random);
        let count = placer.check(i16::try_from(factor).unwrap_or(i16::MAX)).map_err(invalid)?;
        let place = |_| {
            self.new_partition(placer.place(count)).ok_or_else(|| {
                let reason = "All brokers are currently fenced or in controlled shutdown.";
                invalid(format!("Unable to replicate the partition {factor} time(s): {reason}"))
            })
        };
        (0..additional).map(place).collect()
    }
}

fn length(topic: &Topic) -> i64 {
    i64::try_from(topic.partitions.len()).unwrap_or(i64::MAX)
}

/// How many partitions are to be added.
fn check_count(asked: &CreatePartitionsTopic, present: i64) -> Result<i64, ApiError> {
    let invalid = |message: String| Err(ApiError::new(ErrorCode::InvalidPartitions, message));
    match i64::from(asked.count) - present {
        0 => invalid(format!("Topic already has {present} partition(s).")),
        ..0 => invalid(format!(
            "The topic {} currently has {present} partition(s); {} would not be an increase.",
            asked.name, asked.count
        )),
        additional => Ok(additional),
    }
}
