use crate::broker::Broker;
use crate::call::{Call, Caller, Reply};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse};
use ottla_transactions::{InitProducerId, Request, Response};
use ottla_types::{ProducerEpoch, ProducerId};
use std::sync::Arc;

/// From this version on a client knows PRODUCER_FENCED.
const PRODUCER_FENCED: i16 = 4;

/// InitProducerId: for an idempotent producer a new id, out of the block that the controller has given to this broker; for
/// a transactional one what its coordinator decides.
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, caller, reply)) = call.decode::<InitProducerIdRequest>() else { return };
    // KIP-360: an id without an epoch, or the reverse, is nothing that a producer can have.
    if (request.producer_id == -1) != (request.producer_epoch == -1) {
        return reply.send(&refuse(ErrorCode::InvalidRequest));
    }
    if let Some(transactional_id) = &request.transactional_id {
        let transactional_id = transactional_id.as_str().into();
        return initialize(broker, transactional_id, &request, &caller, reply);
    }
    broker.producer_ids.next(&broker.controller, move |given| {
        reply.send(&match given {
            Ok(id) => InitProducerIdResponse { producer_id: id.value(), producer_epoch: 0, ..Default::default() },
            Err(code) => refuse(code),
        });
    });
}

fn initialize(
    broker: &Arc<Broker>,
    transactional_id: Arc<str>,
    request: &InitProducerIdRequest,
    caller: &Caller,
    reply: Reply,
) {
    let version = caller.version();
    let has_producer = request.producer_id != -1;
    let init = InitProducerId {
        transactional_id: transactional_id.clone(),
        timeout_ms: request.transaction_timeout_ms,
        expected: has_producer.then_some((ProducerId::new(request.producer_id), ProducerEpoch(request.producer_epoch))),
        enable_two_phase_commit: request.enable2_pc,
        keep_prepared: request.keep_prepared_txn,
        spare_producer_id: None,
    };
    let reply_to = Box::new(move |response| match response {
        Response::InitProducerId(Ok((producer_id, producer_epoch))) => reply.send(&InitProducerIdResponse {
            producer_id: producer_id.value(),
            producer_epoch: producer_epoch.value(),
            ..Default::default()
        }),
        Response::InitProducerId(Err(ErrorCode::ProducerFenced)) if version < PRODUCER_FENCED => {
            reply.send(&refuse(ErrorCode::InvalidProducerEpoch));
        }
        Response::InitProducerId(Err(code)) => reply.send(&refuse(code)),
        _ => reply.close("a transaction coordinator answered another question"),
    });
    broker.transactions.submit(broker, &transactional_id, Request::InitProducerId(init), reply_to);
}

fn refuse(code: ErrorCode) -> InitProducerIdResponse {
    InitProducerIdResponse { error_code: code.code(), producer_id: -1, producer_epoch: -1, ..Default::default() }
}
