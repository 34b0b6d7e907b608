//! Transaction markers for partitions wherever they are led: here, or on other brokers.

use super::marker_queues::Marking;
use super::markers::{MarkerOrder, MarkerResults, write_markers};
use crate::broker::Broker;
use crate::groups::Gather;
use crate::peers::{Lane, PeerFailure};
use ottla_metadata::MetadataImage;
use ottla_protocol::messages::write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic};
use ottla_protocol::messages::{WriteTxnMarkersRequest, WriteTxnMarkersResponse};
use ottla_protocol::{ApiKey, ErrorCode};
use ottla_types::{BrokerId, PartitionIndex, ProducerId, TopicPartition};
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
        let then = Box::new(move |results| gather.put(index, results));
        broker.transactions.marker_queues.add(leader, Marking { order, partitions, then });
        ask_leader(broker, leader);
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

/// Sends a broker what waits for it, as far as it may be asked.
fn ask_leader(broker: &Arc<Broker>, leader: BrokerId) {
    let markings = broker.transactions.marker_queues.next(leader);
    if markings.is_empty() {
        return;
    }
    let Some(to) = broker.peer(&broker.metadata.image(), leader, Lane::Coordinator) else {
        return go_on(broker, leader, markings, |partitions, _| of_all(partitions, ErrorCode::LeaderNotAvailable));
    };
    let markers = markings.iter().map(|marking| marker(&marking.order, &marking.partitions)).collect();
    let request = WriteTxnMarkersRequest { markers, ..Default::default() };
    let versions = ApiKey::WriteTxnMarkers.versions();
    // In this time the markers are to be on all in-sync replicas.
    let within = broker.answer_max();
    let answering = broker.clone();
    broker.peers.ask(to, request, versions, within, move |answer: Result<WriteTxnMarkersResponse, PeerFailure>| {
        match answer {
            Ok(response) => {
                let told = Told::of(response);
                go_on(&answering, leader, markings, |partitions, producer| told.of_each(partitions, producer));
            }
            Err(failure) => {
                let count = markings.len();
                tracing::warn!(%leader, %failure, count, "a leader was not told how transactions have ended; it is told again");
                go_on(&answering, leader, markings, |partitions, _| of_all(partitions, ErrorCode::NetworkException));
            }
        }
    });
}

/// Hands each transaction what became of its markers, and asks the broker for what has come to wait meanwhile.
fn go_on(
    broker: &Arc<Broker>,
    leader: BrokerId,
    markings: Vec<Marking>,
    results: impl Fn(&BTreeSet<TopicPartition>, ProducerId) -> MarkerResults,
) {
    broker.transactions.marker_queues.answered(leader);
    ask_leader(broker, leader);
    for Marking { order, partitions, then } in markings {
        then(results(&partitions, order.producer_id));
    }
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

/// What a leader has told.
struct Told(BTreeMap<(ProducerId, TopicPartition), ErrorCode>);

impl Told {
    fn of(response: WriteTxnMarkersResponse) -> Self {
        let mut told = BTreeMap::new();
        for marker in response.markers {
            let producer_id = ProducerId::new(marker.producer_id);
            for topic in marker.topics {
                let name: Arc<str> = topic.name.into();
                for partition in topic.partitions {
                    let code = ErrorCode::from_code(partition.error_code).unwrap_or(ErrorCode::UnknownServerError);
                    told.insert((producer_id, TopicPartition::new(name.clone(), partition.partition_index)), code);
                }
            }
        }
        Self(told)
    }

    /// What became of a producer's markers. One that is not named was not written, as far as is known. A leader that knows no
    /// such partition has not heard of it yet, or no more: the next look at the metadata tells.
    fn of_each(&self, partitions: &BTreeSet<TopicPartition>, producer_id: ProducerId) -> MarkerResults {
        let code = |partition: &TopicPartition| {
            let told = self.0.get(&(producer_id, partition.clone()));
            (partition.clone(), told.copied().unwrap_or(ErrorCode::UnknownServerError))
        };
        partitions.iter().map(code).collect()
    }
}
