use crate::broker::Broker;
use crate::call::Call;
use crate::groups::Gather;
use crate::transactions::{MarkerOrder, MarkerResults, write_markers};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::write_txn_markers_request::WritableTxnMarker;
use ottla_protocol::messages::write_txn_markers_response::{
    WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
};
use ottla_protocol::messages::{WriteTxnMarkersRequest, WriteTxnMarkersResponse};
use ottla_transactions::TransactionVersion;
use ottla_types::{ProducerEpoch, ProducerId, TopicPartition};
use std::sync::Arc;

/// WriteTxnMarkers: a coordinator on another broker, or an administrator, ends transactions in partitions that this broker
/// leads.
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, _, reply)) = call.decode::<WriteTxnMarkersRequest>() else { return };
    if request.markers.is_empty() {
        return reply.send(&WriteTxnMarkersResponse::default());
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

/// The answer has an entry for each producer.
fn by_producer(results: Vec<WritableTxnMarkerResult>) -> Vec<WritableTxnMarkerResult> {
    let mut markers: Vec<WritableTxnMarkerResult> = Vec::new();
    for result in results {
        match markers.iter_mut().find(|other| other.producer_id == result.producer_id) {
            Some(other) => other.topics.extend(result.topics),
            None => markers.push(result),
        }
    }
    markers
}
