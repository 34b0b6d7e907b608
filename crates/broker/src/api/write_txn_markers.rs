use crate::broker::Broker;
use crate::call::{Call, Reply};
use crate::groups::Gather;
use crate::internal_topics::CONSUMER_OFFSETS;
use crate::transactions::{MarkerOrder, MarkerResults, write_markers};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::write_txn_markers_request::WritableTxnMarker;
use ottla_protocol::messages::write_txn_markers_response::{
    WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
};
use ottla_protocol::messages::{WriteTxnMarkersRequest, WriteTxnMarkersResponse};
use ottla_transactions::TransactionVersion;
use ottla_types::{ProducerEpoch, ProducerId, TopicPartition};
use std::collections::BTreeMap;
use std::sync::Arc;

/// WriteTxnMarkers: a coordinator on another broker, or an administrator, ends transactions in partitions that this broker
/// leads.
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, _, reply)) = call.decode::<WriteTxnMarkersRequest>() else { return };
    if request.markers.is_empty() {
        return reply.send(&WriteTxnMarkersResponse::default());
    }
    if let Some(index) = request.markers.iter().position(has_no_marker) {
        return refuse_from(broker, request.markers, index, reply);
    }
    let finish = move |results| {
        reply.send(&WriteTxnMarkersResponse { markers: by_producer(results), ..Default::default() });
    };
    let gather = Arc::new(Gather::new(request.markers.len(), Box::new(finish)));
    for (index, marker) in request.markers.into_iter().enumerate() {
        let gather = gather.clone();
        write(broker, marker, Box::new(move |result| gather.put(index, result)));
    }
}

/// Whether no record can be made of it: a marker is of a producer in an epoch.
fn has_no_marker(marker: &WritableTxnMarker) -> bool {
    let is_named = marker.topics.iter().any(|topic| topic.name != CONSUMER_OFFSETS);
    let is_of_nobody = marker.producer_id == ProducerId::NONE.value();
    is_named && (is_of_nobody || marker.producer_epoch == ProducerEpoch::NONE.value())
}

/// Apache Kafka stumbles over it for the whole request, when it has written what comes before.
fn refuse_from(broker: &Broker, mut markers: Vec<WritableTxnMarker>, index: usize, reply: Reply) {
    let refused = markers.iter().map(|marker| answer(marker, &MarkerResults::new())).collect();
    for marker in markers.drain(..index) {
        write(broker, marker, Box::new(|_| ()));
    }
    reply.send(&WriteTxnMarkersResponse { markers: by_producer(refused), ..Default::default() });
}

fn write(broker: &Broker, marker: WritableTxnMarker, then: Box<dyn FnOnce(WritableTxnMarkerResult) + Send>) {
    let order = MarkerOrder {
        producer_id: ProducerId::new(marker.producer_id),
        producer_epoch: ProducerEpoch(marker.producer_epoch),
        commit: marker.transaction_result,
        coordinator_epoch: marker.coordinator_epoch,
        version: TransactionVersion::from_level(i16::from(marker.transaction_version)),
    };
    let partitions: Vec<TopicPartition> = marker
        .topics
        .iter()
        .flat_map(|topic| {
            let name: Arc<str> = topic.name.as_str().into();
            topic.partition_indexes.iter().map(move |index| TopicPartition::new(name.clone(), *index))
        })
        .collect();
    write_markers(broker, &order, partitions, Box::new(move |results| then(answer(&marker, &results))));
}

fn answer(marker: &WritableTxnMarker, results: &MarkerResults) -> WritableTxnMarkerResult {
    let topics = marker.topics.iter().map(|topic| {
        let name: Arc<str> = topic.name.as_str().into();
        let code = |index: i32| {
            let result = results.get(&TopicPartition::new(name.clone(), index));
            result.copied().unwrap_or(ErrorCode::UnknownServerError).code()
        };
        let partitions = topic.partition_indexes.iter().map(|index| WritableTxnMarkerPartitionResult {
            partition_index: *index,
            error_code: code(*index),
            ..Default::default()
        });
        WritableTxnMarkerTopicResult {
            name: topic.name.clone(),
            partitions: partitions.collect(),
            ..Default::default()
        }
    });
    WritableTxnMarkerResult { producer_id: marker.producer_id, topics: topics.collect(), ..Default::default() }
}

/// The answer has an entry for each producer, and in it one for each partition: what was said of it last.
fn by_producer(results: Vec<WritableTxnMarkerResult>) -> Vec<WritableTxnMarkerResult> {
    let mut producers: BTreeMap<i64, BTreeMap<String, Partitions>> = BTreeMap::new();
    for result in results {
        let topics = producers.entry(result.producer_id).or_default();
        for topic in result.topics {
            let partitions = topic.partitions.into_iter().map(|partition| (partition.partition_index, partition));
            topics.entry(topic.name).or_default().extend(partitions);
        }
    }
    let named = |(name, partitions): (String, Partitions)| WritableTxnMarkerTopicResult {
        name,
        partitions: partitions.into_values().collect(),
        ..Default::default()
    };
    let of_producer = |(producer_id, topics): (i64, BTreeMap<String, Partitions>)| WritableTxnMarkerResult {
        producer_id,
        topics: topics.into_iter().map(named).collect(),
        ..Default::default()
    };
    producers.into_iter().map(of_producer).collect()
}

/// What became of a topic's partitions.
type Partitions = BTreeMap<i32, WritableTxnMarkerPartitionResult>;
