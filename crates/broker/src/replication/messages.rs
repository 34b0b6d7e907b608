//! The machines' requests and answers as messages.

use crate::controller_channel::accepted;
use bytes::Bytes;
use ottla_protocol::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic, ReplicaState};
use ottla_protocol::messages::fetch_response::PartitionData;
use ottla_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use ottla_protocol::messages::{FetchRequest, FetchResponse, ListOffsetsRequest, ListOffsetsResponse};
use ottla_protocol::{ApiKey, ErrorCode, VersionRange};
use ottla_replication::{
    EpochEnd, FetchAnswer, FetchFault, FetchRequest as Wanted, FetchedData, ListedOffset, PartitionAnswer,
    SessionAnswer,
};
use ottla_types::{BrokerEpoch, LeaderEpoch, NodeId, Offset, PartitionIndex, TopicId, TopicIdPartition};
use std::collections::BTreeMap;

/// The timestamps of ListOffsets that ask for an end of the log.
const EARLIEST: i64 = -2;
const LATEST: i64 = -1;

/// The versions in which a follower says who it is with the epoch of its registration (KIP-903).
pub(super) fn fetch_versions() -> VersionRange {
    VersionRange { min: 15, ..ApiKey::Fetch.versions() }
}

/// A follower's Fetch. Topics are named by their ids.
pub(super) fn fetch_request(broker: NodeId, epoch: BrokerEpoch, wanted: &Wanted) -> FetchRequest {
    let none = |epoch: Option<LeaderEpoch>| epoch.unwrap_or(LeaderEpoch::NONE).value();
    let mut topics: Vec<FetchTopic> = Vec::new();
    for asked in &wanted.session.partitions {
        let partition = FetchPartition {
            partition: asked.partition.partition.value(),
            current_leader_epoch: none(asked.position.leader_epoch),
            fetch_offset: asked.position.offset.value(),
            last_fetched_epoch: none(asked.position.last_fetched_epoch),
            log_start_offset: asked.log_start.value(),
            partition_max_bytes: asked.bytes_max,
            ..Default::default()
        };
        // In the order in which they are to be read, so that a topic may come more than once.
        match topics.last_mut().filter(|topic| topic.topic_id == asked.partition.topic_id) {
            Some(topic) => topic.partitions.push(partition),
            None => topics.push(FetchTopic {
                topic_id: asked.partition.topic_id,
                partitions: vec![partition],
                ..Default::default()
            }),
        }
    }
    let mut forgotten: BTreeMap<TopicId, Vec<i32>> = BTreeMap::new();
    for partition in &wanted.session.forgotten {
        forgotten.entry(partition.topic_id).or_default().push(partition.partition.value());
    }
    let forgotten = forgotten.into_iter().map(|(topic_id, partitions)| ForgottenTopic {
        topic_id,
        partitions,
        ..Default::default()
    });
    FetchRequest {
        replica_state: ReplicaState { replica_id: broker.value(), replica_epoch: epoch.value(), ..Default::default() },
        max_wait_ms: i32::try_from(wanted.settings.wait_max.as_millis()).unwrap_or(i32::MAX),
        min_bytes: wanted.settings.bytes_min,
        max_bytes: wanted.settings.response_bytes_max,
        session_id: wanted.session.id,
        session_epoch: wanted.session.epoch,
        topics,
        forgotten_topics_data: forgotten.collect(),
        ..Default::default()
    }
}

/// What an answer says, and the records of each partition.
pub(super) fn fetch_answer(response: FetchResponse) -> (FetchAnswer, BTreeMap<TopicIdPartition, Bytes>) {
    let session = match accepted(response.error_code) {
        Ok(()) => SessionAnswer::Accepted { id: response.session_id },
        Err(ErrorCode::FetchSessionIdNotFound) => SessionAnswer::Unknown,
        Err(_) => SessionAnswer::Refused,
    };
    let (mut partitions, mut records) = (Vec::new(), BTreeMap::new());
    for topic in response.responses {
        for data in topic.partitions {
            let partition =
                TopicIdPartition { topic_id: topic.topic_id, partition: PartitionIndex::new(data.partition_index) };
            partitions.push((partition, partition_answer(&data)));
            if let Some(bytes) = data.records.as_bytes().filter(|bytes| !bytes.is_empty()) {
                records.insert(partition, bytes.clone());
            }
        }
    }
    (FetchAnswer { session, partitions }, records)
}

fn partition_answer(data: &PartitionData) -> PartitionAnswer {
    match fault(data.error_code) {
        Some(fault) => PartitionAnswer::Fault(fault),
        None if data.diverging_epoch.epoch >= 0 => PartitionAnswer::Diverging(EpochEnd {
            epoch: LeaderEpoch(data.diverging_epoch.epoch),
            end_offset: Offset(data.diverging_epoch.end_offset),
        }),
        None => PartitionAnswer::Data(FetchedData {
            bytes: data.records.len(),
            high_watermark: Offset(data.high_watermark),
            log_start: Offset(data.log_start_offset),
        }),
    }
}

fn fault(code: i16) -> Option<FetchFault> {
    match accepted(code).err()? {
        ErrorCode::OffsetOutOfRange => Some(FetchFault::OffsetOutOfRange),
        ErrorCode::FencedLeaderEpoch => Some(FetchFault::FencedLeaderEpoch),
        _ => Some(FetchFault::Retriable),
    }
}

/// A follower's question for an end of its leader's log.
pub(super) fn list_offsets_request(
    broker: NodeId,
    topic: &str,
    partition: PartitionIndex,
    epoch: LeaderEpoch,
    which: ListedOffset,
) -> ListOffsetsRequest {
    let partition = ListOffsetsPartition {
        partition_index: partition.value(),
        current_leader_epoch: epoch.value(),
        timestamp: match which {
            ListedOffset::Earliest => EARLIEST,
            ListedOffset::Latest => LATEST,
        },
        ..Default::default()
    };
    let topic = ListOffsetsTopic { name: topic.to_owned(), partitions: vec![partition], ..Default::default() };
    ListOffsetsRequest { replica_id: broker.value(), topics: vec![topic], ..Default::default() }
}

/// The offset that an answer brings.
pub(super) fn listed(response: &ListOffsetsResponse) -> Result<Offset, FetchFault> {
    let partition = response.topics.first().and_then(|topic| topic.partitions.first());
    let partition = partition.ok_or(FetchFault::Retriable)?;
    fault(partition.error_code).map_or(Ok(Offset(partition.offset)), Err)
}
