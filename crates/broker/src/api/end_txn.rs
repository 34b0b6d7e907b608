use crate::broker::Broker;
use crate::call::Call;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{EndTxnRequest, EndTxnResponse};
use ottla_transactions::{EndTransaction, Request, Response, TransactionVersion};
use ottla_types::{ProducerEpoch, ProducerId};
use std::sync::Arc;

/// From this version on a client knows PRODUCER_FENCED.
const PRODUCER_FENCED: i16 = 2;
/// From this version on the end of a transaction bumps the producer's epoch (KIP-890).
const EPOCH_BUMP: i16 = 5;

/// EndTxn: commits or aborts a transaction.
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, caller, reply)) = call.decode::<EndTxnRequest>() else { return };
    let version = caller.version();
    let transactional_id: Arc<str> = request.transactional_id.into();
    let end = EndTransaction {
        transactional_id: transactional_id.clone(),
        producer_id: ProducerId::new(request.producer_id),
        producer_epoch: ProducerEpoch(request.producer_epoch),
        commit: request.committed,
        client_version: if version >= EPOCH_BUMP { TransactionVersion::V2 } else { TransactionVersion::V0 },
        spare_producer_id: None,
    };
    let reply_to = Box::new(move |response| match response {
        Response::EndTransaction(Ok((producer_id, producer_epoch))) => reply.send(&EndTxnResponse {
            producer_id: producer_id.value(),
            producer_epoch: producer_epoch.value(),
            ..Default::default()
        }),
        Response::EndTransaction(Err(ErrorCode::ProducerFenced)) if version < PRODUCER_FENCED => {
            reply.send(&refuse(ErrorCode::InvalidProducerEpoch));
        }
        Response::EndTransaction(Err(code)) => reply.send(&refuse(code)),
        _ => reply.close("a transaction coordinator answered another question"),
    });
    broker.transactions.submit(broker, &transactional_id, Request::EndTransaction(end), reply_to);
}

fn refuse(code: ErrorCode) -> EndTxnResponse {
    EndTxnResponse { error_code: code.code(), ..Default::default() }
}
