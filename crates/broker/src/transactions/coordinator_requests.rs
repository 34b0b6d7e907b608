//! Questions to a transaction's coordinator on another broker (KIP-890).

use super::verification::{Answers, Confirmation, TransactionPart};
use crate::broker::Broker;
use crate::internal_topics::TRANSACTION_STATE;
use crate::peers::{Lane, PeerFailure};
use ottla_net::Destination;
use ottla_protocol::messages::add_partitions_to_txn_request::{AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction};
use ottla_protocol::messages::{AddPartitionsToTxnRequest, AddPartitionsToTxnResponse};
use ottla_protocol::{ApiKey, ErrorCode, VersionRange};
use ottla_types::{PartitionIndex, TopicPartition};
use std::collections::BTreeMap;
use std::sync::Arc;

/// From this version on the request is one of brokers, for many transactions.
const FROM_BROKERS: i16 = 4;

/// Where a transactional id is coordinated.
pub(super) enum CoordinatorAt {
    Here,
    Other(Destination),
    /// Its partition has no leader, or there is no such partition yet.
    Nowhere,
}

impl CoordinatorAt {
    pub(super) fn of(broker: &Broker, transactional_id: &str, lane: Lane) -> Self {
        let Some(partition) = broker.transactions.partition_for(transactional_id) else { return Self::Nowhere };
        let image = broker.metadata.image();
        let topic = image.topics.topic_by_name(TRANSACTION_STATE);
        let Some(state) = topic.and_then(|topic| topic.partitions.get(&partition)) else { return Self::Nowhere };
        if state.leader == broker.node_id {
            return Self::Here;
        }
        broker.peer(&image, state.leader, lane).map_or(Self::Nowhere, Self::Other)
    }
}

/// Has a coordinator on another broker confirm, and goes on with what it says of each partition.
pub(super) fn ask_coordinator(
    broker: &Broker,
    coordinator: Destination,
    part: &TransactionPart,
    confirmation: Confirmation,
    then: Box<dyn FnOnce(Answers) + Send>,
) {
    let unanswered = part.clone();
    let transaction = AddPartitionsToTxnTransaction {
        transactional_id: part.transactional_id.to_string(),
        producer_id: part.producer_id.value(),
        producer_epoch: part.producer_epoch.0,
        verify_only: confirmation != Confirmation::Add,
        topics: topics(part),
        ..Default::default()
    };
    let request = AddPartitionsToTxnRequest { transactions: vec![transaction], ..Default::default() };
    let versions = VersionRange { min: FROM_BROKERS, ..ApiKey::AddPartitionsToTxn.versions() };
    let done = move |answer: Result<AddPartitionsToTxnResponse, PeerFailure>| {
        then(match answer {
            Ok(response) => answers(&unanswered, response),
            Err(failure) => {
                tracing::warn!(%failure, "the coordinator of a transaction was not reached; its producer asks again");
                unanswered.of_all(ErrorCode::NetworkException)
            }
        });
    };
    broker.peers.ask(coordinator, request, versions, broker.answer_max(), done);
}

fn topics(part: &TransactionPart) -> Vec<AddPartitionsToTxnTopic> {
    let mut topics: BTreeMap<&str, Vec<PartitionIndex>> = BTreeMap::new();
    for partition in &part.partitions {
        topics.entry(&partition.topic).or_default().push(partition.partition);
    }
    let topic = |(name, partitions): (&str, Vec<PartitionIndex>)| AddPartitionsToTxnTopic {
        name: name.to_owned(),
        partitions: partitions.into_iter().map(PartitionIndex::value).collect(),
        ..Default::default()
    };
    topics.into_iter().map(topic).collect()
}

/// What was said of each partition. An error of the whole is one of each; of what is not named nothing is known.
fn answers(part: &TransactionPart, response: AddPartitionsToTxnResponse) -> Answers {
    let code_of = |code| ErrorCode::from_code(code).unwrap_or(ErrorCode::UnknownServerError);
    if response.error_code != 0 {
        return part.of_all(code_of(response.error_code));
    }
    let mut answers = part.of_all(ErrorCode::UnknownServerError);
    for topic in response.results_by_transaction.into_iter().flat_map(|transaction| transaction.topic_results) {
        let name: Arc<str> = topic.name.into();
        for partition in topic.results_by_partition {
            let partition_name = TopicPartition::new(name.clone(), partition.partition_index);
            if let Some(answer) = answers.get_mut(&partition_name) {
                *answer = code_of(partition.partition_error_code);
            }
        }
    }
    answers
}
