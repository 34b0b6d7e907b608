use crate::broker::Broker;
use crate::call::Call;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{SaslHandshakeRequest, SaslHandshakeResponse};
use std::sync::Arc;

/// SaslHandshake: this listener authenticates nobody, so nobody is to begin with it.
pub(super) fn handle(_: &Arc<Broker>, call: Call) {
    let Some((_, _, reply)) = call.decode::<SaslHandshakeRequest>() else { return };
    reply.send(&SaslHandshakeResponse { error_code: ErrorCode::IllegalSaslState.code(), ..Default::default() });
}
