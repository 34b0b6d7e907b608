use crate::broker::Broker;
use crate::call::Call;
use crate::partition::Partition;
use indexmap::IndexMap;
use ottla_log::{ReadError, TimestampedOffset};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::list_offsets_request::ListOffsetsPartition;
use ottla_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use ottla_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse};
use ottla_types::{LeaderEpoch, Offset, PartitionIndex, Timestamp};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The end of the log, as far as the reader may see.
const LATEST: i64 = -1;
/// The first offset.
const EARLIEST: i64 = -2;
/// The record with the greatest timestamp (KIP-734).
const MAX_TIMESTAMP: i64 = -3;
/// The first offset on this broker's own disk.
const EARLIEST_LOCAL: i64 = -4;
/// The last offset in tiered storage.
const LATEST_TIERED: i64 = -5;
/// The first offset that waits for its upload to tiered storage.
const EARLIEST_PENDING_UPLOAD: i64 = -6;

/// The first version whose answers name leader epochs.
const LEADER_EPOCH_VERSION: i16 = 4;

/// The first version whose clients know OFFSET_NOT_AVAILABLE.
const OFFSET_NOT_AVAILABLE_VERSION: i16 = 5;

/// The replica id of a consumer.
const CONSUMER: i32 = -1;
/// The replica id of a tool that asks any replica.
const DEBUGGING_CONSUMER: i32 = -2;

/// ListOffsets: offsets by timestamp, or by one of the special timestamps.
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, caller, reply)) = call.decode::<ListOffsetsRequest>() else { return };
    let duplicates = duplicates(&request);
    let asking = Asking { broker, request: &request, version: caller.version() };
    let mut answered = BTreeSet::new();
    let mut topics: IndexMap<&str, ListOffsetsTopicResponse> = IndexMap::with_capacity(request.topics.len());
    for topic in &request.topics {
        let name = topic.name.as_str();
        let new = || ListOffsetsTopicResponse { name: name.to_owned(), ..Default::default() };
        let partitions = &mut topics.entry(name).or_insert_with(new).partitions;
        for partition in &topic.partitions {
            let key = (name, partition.partition_index);
            if !duplicates.contains(&key) || asking.is_of_no_level() {
                partitions.push(asking.answer(name, partition));
            } else if answered.insert(key) {
                // What is asked for twice is refused once.
                partitions.push(asking.refuse(partition, ErrorCode::InvalidRequest));
            }
        }
    }
    let topics = topics.into_values().collect();
    reply.send(&ListOffsetsResponse { topics, ..Default::default() });
}

fn duplicates(request: &ListOffsetsRequest) -> BTreeSet<(&str, i32)> {
    let mut seen = BTreeSet::new();
    let mut twice = BTreeSet::new();
    for topic in &request.topics {
        for partition in &topic.partitions {
            let key = (topic.name.as_str(), partition.partition_index);
            if !seen.insert(key) {
                twice.insert(key);
            }
        }
    }
    twice
}

struct Asking<'a> {
    broker: &'a Broker,
    request: &'a ListOffsetsRequest,
    version: i16,
}

impl Asking<'_> {
    fn answer(&self, topic: &str, asked: &ListOffsetsPartition) -> ListOffsetsPartitionResponse {
        match self.find(topic, asked) {
            Ok(Some(found)) => ListOffsetsPartitionResponse {
                timestamp: found.timestamp.value(),
                offset: found.offset.value(),
                leader_epoch: self.leader_epoch(found.leader_epoch),
                ..self.refuse(asked, ErrorCode::None)
            },
            Ok(None) => self.refuse(asked, ErrorCode::None),
            Err(code) => self.refuse(asked, code),
        }
    }

    /// Apache Kafka's broker stumbles over an isolation level that is none, before it looks at anything else.
    fn is_of_no_level(&self) -> bool {
        !matches!(self.request.isolation_level, 0 | 1)
    }

    fn refuse(&self, asked: &ListOffsetsPartition, code: ErrorCode) -> ListOffsetsPartitionResponse {
        ListOffsetsPartitionResponse {
            partition_index: asked.partition_index,
            error_code: code.code(),
            timestamp: -1,
            offset: -1,
            leader_epoch: self.leader_epoch(LeaderEpoch::NONE),
            ..Default::default()
        }
    }

    /// Before version 4 an answer has no place for a leader epoch.
    fn leader_epoch(&self, epoch: LeaderEpoch) -> i32 {
        if self.version >= LEADER_EPOCH_VERSION { epoch.value() } else { LeaderEpoch::NONE.value() }
    }

    fn find(&self, topic: &str, asked: &ListOffsetsPartition) -> Result<Option<TimestampedOffset>, ErrorCode> {
        if self.is_of_no_level() {
            return Err(ErrorCode::UnknownServerError);
        }
        self.check_version(asked.timestamp)?;
        let partition = self.broker.partition(topic, PartitionIndex::new(asked.partition_index))?;
        let epoch = LeaderEpoch(asked.current_leader_epoch);
        match self.request.replica_id {
            DEBUGGING_CONSUMER => partition.leadership().check_epoch(epoch)?,
            _ => partition.check_leader(epoch)?,
        }
        self.offset(&partition, asked.timestamp)
    }

    /// Special timestamps came one by one; an older client can't have meant them.
    fn check_version(&self, timestamp: i64) -> Result<(), ErrorCode> {
        let since = match timestamp {
            LATEST | EARLIEST | 0.. => return Ok(()),
            MAX_TIMESTAMP => 7,
            EARLIEST_LOCAL => 8,
            LATEST_TIERED => 9,
            EARLIEST_PENDING_UPLOAD => 11,
            _ => return Err(ErrorCode::UnsupportedVersion),
        };
        if self.version >= since { Ok(()) } else { Err(ErrorCode::UnsupportedVersion) }
    }

    fn offset(&self, partition: &Partition, timestamp: i64) -> Result<Option<TimestampedOffset>, ErrorCode> {
        let offsets = partition.log.offsets();
        let found = |offset, leader_epoch| TimestampedOffset { timestamp: Timestamp::NONE, offset, leader_epoch };
        // Up to where this reader may see.
        let visible = match (self.request.replica_id, self.request.isolation_level) {
            (CONSUMER, 1) => offsets.last_stable,
            (CONSUMER, _) => offsets.high_watermark,
            _ => offsets.log_end,
        };
        match timestamp {
            LATEST if self.knows_too_little(partition) => Err(self.not_available()),
            LATEST => Ok(Some(found(visible, partition.leadership().leader_epoch))),
            EARLIEST | EARLIEST_LOCAL => {
                let epoch = partition.log.epoch_for_offset(offsets.log_start);
                Ok(Some(found(offsets.log_start, epoch.unwrap_or(LeaderEpoch::NONE))))
            }
            // Nothing is in tiered storage.
            LATEST_TIERED | EARLIEST_PENDING_UPLOAD => Ok(Some(found(Offset(-1), LeaderEpoch::NONE))),
            MAX_TIMESTAMP => self.by_content(partition, visible, None),
            timestamp => self.by_content(partition, visible, Some(Timestamp(timestamp))),
        }
    }

    /// Looks into records: for the first one at or after a timestamp, or for the one with the greatest.
    fn by_content(
        &self,
        partition: &Partition,
        visible: Offset,
        timestamp: Option<Timestamp>,
    ) -> Result<Option<TimestampedOffset>, ErrorCode> {
        let found = self.broker.codecs.with_decompressor(|decompressor| match timestamp {
            Some(timestamp) => partition.log.offset_for_timestamp(timestamp, decompressor),
            None => partition.log.offset_of_max_timestamp(decompressor),
        });
        let found = found.map_err(|error| read_error(&error))?;
        if found.is_some_and(|found| found.offset >= visible) && self.knows_too_little(partition) {
            return Err(self.not_available());
        }
        Ok(found.filter(|found| found.offset < visible))
    }

    /// A new leader may not know yet what the one before has committed: an offset that it told now would seem to take some of it
    /// back (KIP-207).
    fn knows_too_little(&self, partition: &Partition) -> bool {
        self.request.replica_id == CONSUMER && partition.is_latest_offset_unknown()
    }

    fn not_available(&self) -> ErrorCode {
        if self.version >= OFFSET_NOT_AVAILABLE_VERSION {
            ErrorCode::OffsetNotAvailable
        } else {
            ErrorCode::LeaderNotAvailable
        }
    }
}

fn read_error(error: &ReadError) -> ErrorCode {
    tracing::error!(%error, "offsets can't be looked up");
    ErrorCode::from_code(error.code()).unwrap_or(ErrorCode::UnknownServerError)
}
