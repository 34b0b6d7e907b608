use super::decode::AbortedTransaction;
use super::settings::ConsumerSettings;
use crate::cluster::ClusterMetadata;
use crate::error::{ClientError, Result, error_code};
use crate::network::{Answer, Connection};
use bytes::Bytes;
use ottla_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use ottla_protocol::messages::{FetchResponse, fetch_response};
use ottla_protocol::{ErrorCode, Message};
use ottla_types::{LeaderEpoch, NodeId, ProducerId, TopicId, TopicPartition};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One partition of a fetch.
#[derive(Clone, Debug)]
pub(super) struct FetchItem {
    pub(super) offset: i64,
    pub(super) leader_epoch: LeaderEpoch,
    pub(super) topic_id: TopicId,
    /// The state of the partition when the fetch began.
    pub(super) seeks: u64,
}

/// What is asked of one node.
pub(super) type FetchItems = BTreeMap<TopicPartition, FetchItem>;

/// What one node answered of one partition.
#[derive(Clone, Debug)]
pub(super) struct FetchedPartition {
    pub(super) error: ErrorCode,
    pub(super) high_watermark: i64,
    pub(super) preferred_replica: Option<NodeId>,
    pub(super) aborted: Vec<AbortedTransaction>,
    pub(super) records: Bytes,
}

/// The first version that names topics by their ids alone (KIP-516).
const TOPIC_IDS_SINCE: i16 = 13;

/// Fetches from one node. Sessions are not used: each request tells all its partitions.
pub(super) async fn fetch(
    connection: &Arc<Connection>,
    settings: &ConsumerSettings,
    items: &FetchItems,
) -> Result<BTreeMap<TopicPartition, FetchedPartition>> {
    let mut version = connection.version_of::<FetchRequest>()?;
    if items.values().any(|item| item.topic_id.is_zero()) {
        version = version.min(TOPIC_IDS_SINCE - 1);
    }
    let request = request(settings, items, version);
    // The node may let a fetch wait; that is no reason to give the connection up.
    let timeout = settings.client.request_timeout + settings.fetch_wait_max;
    let answer = connection.start_request(&request, version, true).await?.wait(timeout).await?;
    read(&answer, items, connection.address())
}

fn request(settings: &ConsumerSettings, items: &FetchItems, version: i16) -> FetchRequest {
    let mut topics = BTreeMap::<(&str, TopicId), Vec<FetchPartition>>::new();
    for (partition, item) in items {
        topics.entry((&partition.topic, item.topic_id)).or_default().push(FetchPartition {
            partition: partition.partition.value(),
            current_leader_epoch: item.leader_epoch.value(),
            fetch_offset: item.offset,
            partition_max_bytes: settings.partition_fetch_bytes_max,
            ..Default::default()
        });
    }
    let by_id = version >= TOPIC_IDS_SINCE;
    let topic = |((name, id), partitions): ((&str, TopicId), Vec<FetchPartition>)| FetchTopic {
        topic: if by_id { String::new() } else { name.to_owned() },
        topic_id: if by_id { id } else { TopicId::ZERO },
        partitions,
        ..Default::default()
    };
    FetchRequest {
        max_wait_ms: i32::try_from(settings.fetch_wait_max.as_millis()).unwrap_or(i32::MAX),
        min_bytes: settings.fetch_bytes_min,
        max_bytes: settings.fetch_bytes_max,
        isolation_level: settings.isolation.code(),
        topics: topics.into_iter().map(topic).collect(),
        rack_id: settings.client.rack.clone(),
        ..Default::default()
    }
}

/// Reads an answer; the records are slices of it.
fn read(answer: &Answer, items: &FetchItems, address: &str) -> Result<BTreeMap<TopicPartition, FetchedPartition>> {
    let malformed = |error: ottla_protocol::DecodeError| ClientError::Malformed {
        address: address.to_owned(),
        reason: error.to_string(),
    };
    let response = FetchResponse::view(&answer.body, answer.version).map_err(malformed)?;
    if let Some(error) = ClientError::of_code(response.error_code) {
        return Err(error);
    }
    let names: BTreeMap<TopicId, &Arc<str>> =
        items.iter().map(|(partition, item)| (item.topic_id, &partition.topic)).collect();
    let mut fetched = BTreeMap::new();
    for topic in response.responses {
        let name = if topic.topic_id.is_zero() {
            Some(topic.topic.into())
        } else {
            names.get(&topic.topic_id).map(|n| (*n).clone())
        };
        let Some(name): Option<Arc<str>> = name else { continue };
        for partition in topic.partitions {
            let key = TopicPartition::new(name.clone(), partition.partition_index);
            fetched.insert(key, read_partition(&answer.body, &partition));
        }
    }
    Ok(fetched)
}

fn read_partition(body: &Bytes, partition: &fetch_response::PartitionDataView<'_>) -> FetchedPartition {
    let aborted = |transaction: fetch_response::AbortedTransactionView<'_>| AbortedTransaction {
        producer_id: ProducerId(transaction.producer_id),
        first_offset: transaction.first_offset,
    };
    let preferred = partition.preferred_read_replica;
    FetchedPartition {
        error: error_code(partition.error_code),
        high_watermark: partition.high_watermark,
        preferred_replica: (preferred >= 0).then_some(NodeId(preferred)),
        aborted: partition.aborted_transactions.into_iter().flatten().map(aborted).collect(),
        records: partition.records.map_or_else(Bytes::new, |records| body.slice_ref(records)),
    }
}

/// What is to be fetched of a partition: its leader's epoch and its topic's id.
pub(super) fn item(
    metadata: &ClusterMetadata,
    partition: &TopicPartition,
    offset: i64,
    seeks: u64,
) -> Option<FetchItem> {
    let topic = metadata.topic(&partition.topic)?;
    let leader_epoch = topic.partition(partition.partition.value())?.leader_epoch;
    Some(FetchItem { offset, leader_epoch, topic_id: topic.id, seeks })
}
