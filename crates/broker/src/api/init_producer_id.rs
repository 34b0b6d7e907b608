use crate::broker::Broker;
use crate::call::Call;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse};
use std::sync::Arc;

/// InitProducerId: a new id for an idempotent producer, out of the block that the controller has given to this broker.
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, _, reply)) = call.decode::<InitProducerIdRequest>() else { return };
    if request.transactional_id.is_some() {
        // No coordinator was found for it either: a client that comes here regardless learns why.
        return reply.send(&refuse(ErrorCode::InvalidRequest));
    }
    // KIP-360: an id without an epoch, or the reverse, is nothing that a producer can have.
    if (request.producer_id == -1) != (request.producer_epoch == -1) {
        return reply.send(&refuse(ErrorCode::InvalidRequest));
    }
    let answer = match broker.producer_ids.next(&broker.quorum) {
        Ok(id) => InitProducerIdResponse { producer_id: id.value(), producer_epoch: 0, ..Default::default() },
        Err(code) => refuse(code),
    };
    reply.send(&answer);
}

fn refuse(code: ErrorCode) -> InitProducerIdResponse {
    InitProducerIdResponse { error_code: code.code(), producer_id: -1, producer_epoch: -1, ..Default::default() }
}
