use crate::broker::Broker;
use crate::call::Call;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{SaslAuthenticateRequest, SaslAuthenticateResponse};
use std::sync::Arc;

/// SaslAuthenticate: this listener authenticates nobody, so nobody is to go on with it.
pub(super) fn handle(_: &Arc<Broker>, call: Call) {
    let Some((_, _, reply)) = call.decode::<SaslAuthenticateRequest>() else { return };
    reply.send(&SaslAuthenticateResponse {
        error_code: ErrorCode::IllegalSaslState.code(),
        error_message: Some(
            "This listener does not authenticate; connect with security.protocol=PLAINTEXT.".to_owned(),
        ),
        ..Default::default()
    });
}
