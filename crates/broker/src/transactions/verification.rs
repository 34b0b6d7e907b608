//! Before a transactional batch is appended, the coordinator must know that the partition is part of the transaction
//! (KIP-890): else a batch that comes late would open a transaction that nobody ends.

use crate::broker::Broker;
use crate::partition::Partition;
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
pub(crate) struct TransactionPart {
    pub(crate) transactional_id: Arc<str>,
    pub(crate) producer_id: ProducerId,
    pub(crate) producer_epoch: ProducerEpoch,
    pub(crate) partitions: BTreeSet<TopicPartition>,
}

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
    let TransactionPart { transactional_id, producer_id, producer_epoch, partitions } = part;
    if confirmation == Confirmation::Add {
        let asked = partitions.clone();
        let request = Request::AddPartitions(AddPartitions {
            transactional_id: transactional_id.clone(),
            producer_id,
            producer_epoch,
            partitions,
            client_version: TransactionVersion::V2,
        });
        let reply_to = Box::new(move |response| {
            let code = match response {
                Response::AddPartitions(code) => code,
                _ => ErrorCode::UnknownServerError,
            };
            then(refused(asked.into_iter().map(|partition| (partition, code)), confirmation));
        });
        return broker.transactions.submit(broker, &transactional_id, request, reply_to);
    }
    let asked = partitions.clone();
    let request = Request::VerifyPartitions(VerifyPartitions {
        transactional_id: transactional_id.clone(),
        producer_id,
        producer_epoch,
        partitions,
    });
    let reply_to = Box::new(move |response| {
        then(match response {
            Response::VerifyPartitions(Ok(verified)) => refused(verified.into_iter(), confirmation),
            Response::VerifyPartitions(Err(code)) => {
                refused(asked.into_iter().map(|partition| (partition, code)), confirmation)
            }
            _ => refused(asked.into_iter().map(|partition| (partition, ErrorCode::UnknownServerError)), confirmation),
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
