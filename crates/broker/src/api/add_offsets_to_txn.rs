use crate::broker::Broker;
use crate::call::Call;
use crate::internal_topics::CONSUMER_OFFSETS;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};
use ottla_transactions::{AddPartitions, Request, Response, TransactionVersion};
use ottla_types::{ProducerEpoch, ProducerId, TopicPartition};
use std::sync::Arc;

/// From this version on a client knows PRODUCER_FENCED.
const PRODUCER_FENCED: i16 = 2;

/// AddOffsetsToTxn: the partition with the group's offsets becomes part of the transaction.
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, caller, reply)) = call.decode::<AddOffsetsToTxnRequest>() else { return };
    let version = caller.version();
    let offsets = TopicPartition::new(CONSUMER_OFFSETS, broker.groups.partition_or_future(&request.group_id));
    let transactional_id: Arc<str> = request.transactional_id.into();
    let add = AddPartitions {
        transactional_id: transactional_id.clone(),
        producer_id: ProducerId::new(request.producer_id),
        producer_epoch: ProducerEpoch(request.producer_epoch),
        partitions: [offsets].into(),
        client_version: TransactionVersion::V0,
    };
    let reply_to = Box::new(move |response| {
        let Response::AddPartitions(code) = response else {
            return reply.close("a transaction coordinator answered another question");
        };
        let code = match code {
            ErrorCode::ProducerFenced if version < PRODUCER_FENCED => ErrorCode::InvalidProducerEpoch,
            code => code,
        };
        reply.send(&AddOffsetsToTxnResponse { error_code: code.code(), ..Default::default() });
    });
    broker.transactions.submit(broker, &transactional_id, Request::AddPartitions(add), reply_to);
}
