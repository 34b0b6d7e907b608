use crate::broker::Broker;
use crate::call::Call;
use crate::groups::Gather;
use crate::internal_topics::is_internal;
use ottla_metadata::MetadataImage;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::add_partitions_to_txn_request::{AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction};
use ottla_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResult, AddPartitionsToTxnTopicResult,
};
use ottla_protocol::messages::{AddPartitionsToTxnRequest, AddPartitionsToTxnResponse};
use ottla_transactions::{AddPartitions, Request, Response, TransactionVersion, VerifyPartitions};
use ottla_types::{PartitionIndex, ProducerEpoch, ProducerId, TopicPartition};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// From this version on a client knows PRODUCER_FENCED.
const PRODUCER_FENCED: i16 = 2;
/// From this version on brokers send the request, for many transactions, and may only ask.
const FROM_BROKERS: i16 = 4;

/// AddPartitionsToTxn: partitions become part of transactions, or a broker asks whether they are.
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, caller, reply)) = call.decode::<AddPartitionsToTxnRequest>() else { return };
    let version = caller.version();
    if version < FROM_BROKERS {
        let then = Box::new(move |result: AddPartitionsToTxnResult| {
            let results_by_topic_v3_and_below = result.topic_results;
            reply.send(&AddPartitionsToTxnResponse { results_by_topic_v3_and_below, ..Default::default() });
        });
        return add(broker, from_client(request), version, then);
    }
    if request.transactions.is_empty() {
        return reply.send(&AddPartitionsToTxnResponse::default());
    }
    let finish = move |results_by_transaction| {
        reply.send(&AddPartitionsToTxnResponse { results_by_transaction, ..Default::default() });
    };
    let gather = Arc::new(Gather::new(request.transactions.len(), Box::new(finish)));
    for (index, transaction) in request.transactions.into_iter().enumerate() {
        let gather = gather.clone();
        add(broker, transaction, version, Box::new(move |result| gather.put(index, result)));
    }
}

fn from_client(request: AddPartitionsToTxnRequest) -> AddPartitionsToTxnTransaction {
    AddPartitionsToTxnTransaction {
        transactional_id: request.v3_and_below_transactional_id,
        producer_id: request.v3_and_below_producer_id,
        producer_epoch: request.v3_and_below_producer_epoch,
        verify_only: false,
        topics: request.v3_and_below_topics,
        ..Default::default()
    }
}

fn add(
    broker: &Arc<Broker>,
    transaction: AddPartitionsToTxnTransaction,
    version: i16,
    then: Box<dyn FnOnce(AddPartitionsToTxnResult) + Send>,
) {
    let topics = transaction.topics;
    let transactional_id: Arc<str> = transaction.transactional_id.into();
    let answer = Answer { transactional_id: transactional_id.clone(), topics };
    // A client has no business with the topics of coordinators: Apache Kafka says that it is not allowed to write there.
    let is_forbidden = |partition: &TopicPartition| version < FROM_BROKERS && is_internal(&partition.topic);
    let missing = answer.missing(&broker.metadata.image());
    if !missing.is_empty() || answer.partitions().any(|partition| is_forbidden(&partition)) {
        // What exists is not added either, since the transaction could not go on without the rest.
        return then(answer.result(|partition| match partition {
            partition if is_forbidden(partition) => ErrorCode::TopicAuthorizationFailed,
            partition if missing.contains(partition) => ErrorCode::UnknownTopicOrPartition,
            _ => ErrorCode::OperationNotAttempted,
        }));
    }
    let partitions = answer.partitions().collect();
    let producer_id = ProducerId::new(transaction.producer_id);
    let producer_epoch = ProducerEpoch(transaction.producer_epoch);
    let id = transactional_id.clone();
    let request = if transaction.verify_only {
        Request::VerifyPartitions(VerifyPartitions { transactional_id, producer_id, producer_epoch, partitions })
    } else {
        let client_version = if version >= FROM_BROKERS { TransactionVersion::V2 } else { TransactionVersion::V0 };
        let add = AddPartitions { transactional_id, producer_id, producer_epoch, partitions, client_version };
        Request::AddPartitions(add)
    };
    let reply_to = Box::new(move |response| {
        then(match response {
            Response::AddPartitions(ErrorCode::ProducerFenced) if version < PRODUCER_FENCED => {
                answer.result(|_| ErrorCode::InvalidProducerEpoch)
            }
            Response::AddPartitions(code) | Response::VerifyPartitions(Err(code)) => answer.result(|_| code),
            Response::VerifyPartitions(Ok(verified)) => {
                let verified: BTreeMap<TopicPartition, ErrorCode> = verified.into_iter().collect();
                answer.result(|partition| verified.get(partition).copied().unwrap_or(ErrorCode::UnknownServerError))
            }
            _ => answer.result(|_| ErrorCode::UnknownServerError),
        });
    });
    broker.transactions.submit(broker, &id, request, reply_to);
}

/// One transaction's part of the answer, for the partitions that were asked for.
struct Answer {
    transactional_id: Arc<str>,
    topics: Vec<AddPartitionsToTxnTopic>,
}

impl Answer {
    fn partitions(&self) -> impl Iterator<Item = TopicPartition> {
        self.topics.iter().flat_map(|topic| {
            let name: Arc<str> = topic.name.as_str().into();
            topic.partitions.iter().map(move |index| TopicPartition::new(name.clone(), *index))
        })
    }

    fn missing(&self, image: &MetadataImage) -> BTreeSet<TopicPartition> {
        let exists = |partition: &TopicPartition| {
            let topic = image.topics.topic_by_name(&partition.topic);
            topic.is_some_and(|topic| topic.partitions.get(&partition.partition).is_some())
        };
        self.partitions().filter(|partition| !exists(partition)).collect()
    }

    fn result(&self, code: impl Fn(&TopicPartition) -> ErrorCode) -> AddPartitionsToTxnResult {
        let topics = self.topics.iter().map(|topic| {
            let name: Arc<str> = topic.name.as_str().into();
            let results = topic.partitions.iter().map(|index| AddPartitionsToTxnPartitionResult {
                partition_index: *index,
                partition_error_code: code(&TopicPartition::new(name.clone(), PartitionIndex::new(*index))).code(),
                ..Default::default()
            });
            AddPartitionsToTxnTopicResult {
                name: topic.name.clone(),
                results_by_partition: results.collect(),
                ..Default::default()
            }
        });
        AddPartitionsToTxnResult {
            transactional_id: self.transactional_id.to_string(),
            topic_results: topics.collect(),
            ..Default::default()
        }
    }
}
