//! Before a transactional batch is appended, the coordinator must know that the partition is part of the transaction
//! (KIP-890): else a batch that comes late would open a transaction that nobody ends.

use super::coordinator_requests::{CoordinatorAt, ask_coordinator};
use crate::broker::Broker;
use crate::partition::Partition;
use crate::peers::Lane;
use ottla_protocol::ErrorCode;
use ottla_transactions::{AddPartitions, Request, Response, TransactionVersion, VerifyPartitions};
use ottla_types::{ProducerEpoch, ProducerId, TopicPartition};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a client's version of an API lets the broker do, and lets the client understand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Confirmation {
    /// Ask the coordinator; the client knows only the errors of old.
    Verify,
    /// Ask the coordinator; the client knows TRANSACTION_ABORTABLE.
    VerifyAbortable,
    /// Have the partition added: the client does not do so itself.
    Add,
}

/// What is to be confirmed, for one producer.
#[derive(Clone)]
pub(crate) struct TransactionPart {
    pub(crate) transactional_id: Arc<str>,
    pub(crate) producer_id: ProducerId,
    pub(crate) producer_epoch: ProducerEpoch,
    pub(crate) partitions: BTreeSet<TopicPartition>,
}

impl TransactionPart {
    fn request(&self, confirmation: Confirmation) -> Request {
        let Self { transactional_id, producer_id, producer_epoch, partitions } = self.clone();
        match confirmation {
            Confirmation::Add => {
                let client_version = TransactionVersion::V2;
                let add = AddPartitions { transactional_id, producer_id, producer_epoch, partitions, client_version };
                Request::AddPartitions(add)
            }
            Confirmation::Verify | Confirmation::VerifyAbortable => Request::VerifyPartitions(VerifyPartitions {
                transactional_id,
                producer_id,
                producer_epoch,
                partitions,
            }),
        }
    }

    /// The same answer for all of it.
    pub(super) fn of_all(&self, code: ErrorCode) -> Answers {
        self.partitions.iter().map(|partition| (partition.clone(), code)).collect()
    }
}

/// What a coordinator says of each partition.
pub(super) type Answers = BTreeMap<TopicPartition, ErrorCode>;

/// The partitions that may not be written to, and why.
pub(crate) type Refused = BTreeMap<TopicPartition, ErrorCode>;

/// Whether the coordinator has to be asked: not when the transaction is open in the partition. Refused when the partition
/// knows a later epoch of the producer.
pub(crate) fn needs_confirmation(
    partition: &Partition,
    producer_id: ProducerId,
    producer_epoch: ProducerEpoch,
) -> Result<bool, ErrorCode> {
    partition.log.with_producers(|producers| {
        if producers.get(producer_id).is_some_and(|state| state.epoch > producer_epoch) {
            return Err(ErrorCode::InvalidProducerEpoch);
        }
        Ok(!producers.has_ongoing_transaction(producer_id, producer_epoch))
    })
}

/// Has the coordinator confirm what is to be written, and goes on with what it refuses.
pub(crate) fn confirm(
    broker: &Arc<Broker>,
    part: TransactionPart,
    confirmation: Confirmation,
    then: Box<dyn FnOnce(Refused) + Send>,
) {
    let then: Box<dyn FnOnce(Answers) + Send> =
        Box::new(move |answers| then(refused(answers.into_iter(), confirmation)));
    match CoordinatorAt::of(broker, &part.transactional_id, Lane::Coordinator) {
        CoordinatorAt::Here => confirm_here(broker, part, confirmation, then),
        CoordinatorAt::Other(address) => ask_coordinator(broker, address, &part, confirmation, then),
        CoordinatorAt::Nowhere => then(part.of_all(ErrorCode::CoordinatorNotAvailable)),
    }
}

fn confirm_here(
    broker: &Arc<Broker>,
    part: TransactionPart,
    confirmation: Confirmation,
    then: Box<dyn FnOnce(Answers) + Send>,
) {
    let transactional_id = part.transactional_id.clone();
    let request = part.request(confirmation);
    let reply_to = Box::new(move |response| {
        then(match response {
            Response::VerifyPartitions(Ok(verified)) => verified.into_iter().collect(),
            Response::AddPartitions(code) | Response::VerifyPartitions(Err(code)) => part.of_all(code),
            _ => part.of_all(ErrorCode::UnknownServerError),
        });
    });
    broker.transactions.submit(broker, &transactional_id, request, reply_to);
}

fn refused(answers: impl Iterator<Item = (TopicPartition, ErrorCode)>, confirmation: Confirmation) -> Refused {
    let told = |code: ErrorCode| match code {
        // What producers expect of a partition.
        ErrorCode::ProducerFenced => ErrorCode::InvalidProducerEpoch,
        ErrorCode::TransactionAbortable if confirmation == Confirmation::Verify => ErrorCode::InvalidTxnState,
        other => other,
    };
    answers.filter(|(_, code)| *code != ErrorCode::None).map(|(partition, code)| (partition, told(code))).collect()
}
