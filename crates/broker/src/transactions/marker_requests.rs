//! Transaction markers for partitions wherever they are led: here, or on other brokers.

use super::markers::{MarkerOrder, MarkerResults, write_markers};
use crate::broker::Broker;
use crate::groups::Gather;
use crate::peers::{Lane, PeerFailure};
use ottla_metadata::MetadataImage;
use ottla_protocol::messages::write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic};
use ottla_protocol::messages::{WriteTxnMarkersRequest, WriteTxnMarkersResponse};
use ottla_protocol::{ApiKey, ErrorCode};
use ottla_types::{BrokerId, PartitionIndex, TopicPartition};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Has each partition's leader write the marker, and goes on with what became of each. A partition that is no more is as good
/// as marked; one whose leader is not known or does not answer is to be tried again.
pub(super) fn write_everywhere(
    broker: &Arc<Broker>,
    order: MarkerOrder,
    partitions: BTreeSet<TopicPartition>,
    then: Box<dyn FnOnce(MarkerResults) + Send>,
) {
    let image = broker.metadata.image();
    let Places { mut by_leader, decided } = Places::of(&image, partitions);
    let here = by_leader.remove(&broker.node_id).unwrap_or_default();
    if by_leader.is_empty() {
        return write_markers(broker, &order, here, Box::new(move |results| then(joined([decided, results]))));
    }
    let finish = move |results: Vec<MarkerResults>| then(joined(results.into_iter().chain([decided])));
    let gather = Arc::new(Gather::new(by_leader.len() + 1, Box::new(finish)));
    for (index, (leader, partitions)) in (1..).zip(by_leader) {
        let gather = gather.clone();
        ask_leader(broker, &image, leader, &order, partitions, Box::new(move |results| gather.put(index, results)));
    }
    write_markers(broker, &order, here, Box::new(move |results| gather.put(0, results)));
}

fn joined(results: impl IntoIterator<Item = MarkerResults>) -> MarkerResults {
    results.into_iter().flatten().collect()
}

/// Where markers are to be written.
#[derive(Debug, Default, PartialEq, Eq)]
struct Places {
    by_leader: BTreeMap<BrokerId, BTreeSet<TopicPartition>>,
    /// Those of which it is known already what becomes of them.
    decided: MarkerResults,
}

impl Places {
    fn of(image: &MetadataImage, partitions: BTreeSet<TopicPartition>) -> Self {
        let mut places = Self::default();
        for partition in partitions {
            let topic = image.topics.topic_by_name(&partition.topic);
            match topic.and_then(|topic| topic.partitions.get(&partition.partition)) {
                None => {
                    places.decided.insert(partition, ErrorCode::None);
                }
                Some(state) if state.leader == BrokerId::NONE => {
                    places.decided.insert(partition, ErrorCode::LeaderNotAvailable);
                }
                Some(state) => {
                    places.by_leader.entry(state.leader).or_default().insert(partition);
                }
            }
        }
        places
    }
}

fn ask_leader(
    broker: &Arc<Broker>,
    image: &MetadataImage,
    leader: BrokerId,
    order: &MarkerOrder,
    partitions: BTreeSet<TopicPartition>,
    then: Box<dyn FnOnce(MarkerResults) + Send>,
) {
    let Some(to) = broker.peer(image, leader, Lane::Coordinator) else {
        return then(of_all(&partitions, ErrorCode::LeaderNotAvailable));
    };
    let request = WriteTxnMarkersRequest { markers: vec![marker(order, &partitions)], ..Default::default() };
    let versions = ApiKey::WriteTxnMarkers.versions();
    // In this time the markers are to be on all in-sync replicas.
    let within = broker.answer_max();
    broker.peers.ask(to, request, versions, within, move |answer: Result<WriteTxnMarkersResponse, PeerFailure>| {
        then(match answer {
            Ok(response) => told(&partitions, response),
            Err(failure) => {
                tracing::warn!(%leader, %failure, "a leader was not told how a transaction has ended; it is told again");
                of_all(&partitions, ErrorCode::NetworkException)
            }
        });
    });
}

fn of_all(partitions: &BTreeSet<TopicPartition>, code: ErrorCode) -> MarkerResults {
    partitions.iter().map(|partition| (partition.clone(), code)).collect()
}

fn marker(order: &MarkerOrder, partitions: &BTreeSet<TopicPartition>) -> WritableTxnMarker {
    let mut topics: BTreeMap<&str, Vec<PartitionIndex>> = BTreeMap::new();
    for partition in partitions {
        topics.entry(&partition.topic).or_default().push(partition.partition);
    }
    let topic = |(name, partitions): (&str, Vec<PartitionIndex>)| WritableTxnMarkerTopic {
        name: name.to_owned(),
        partition_indexes: partitions.into_iter().map(PartitionIndex::value).collect(),
        ..Default::default()
    };
    WritableTxnMarker {
        producer_id: order.producer_id.value(),
        producer_epoch: order.producer_epoch.0,
        transaction_result: order.commit,
        topics: topics.into_iter().map(topic).collect(),
        coordinator_epoch: order.coordinator_epoch,
        transaction_version: i8::try_from(order.version.level()).unwrap_or(i8::MAX),
        ..Default::default()
    }
}

/// What a leader has told of each partition. One that it does not name was not marked, as far as is known. A leader that knows no
/// such partition has not heard of it yet, or no more: the next look at the metadata tells.
fn told(partitions: &BTreeSet<TopicPartition>, response: WriteTxnMarkersResponse) -> MarkerResults {
    let mut results = of_all(partitions, ErrorCode::UnknownServerError);
    for topic in response.markers.into_iter().flat_map(|marker| marker.topics) {
        let name: Arc<str> = topic.name.into();
        for partition in topic.partitions {
            let code = ErrorCode::from_code(partition.error_code).unwrap_or(ErrorCode::UnknownServerError);
            if let Some(result) = results.get_mut(&TopicPartition::new(name.clone(), partition.partition_index)) {
                *result = code;
            }
        }
    }
    results
}
