use crate::broker::Broker;
use crate::call::Call;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{ExpireDelegationTokenRequest, ExpireDelegationTokenResponse};
use std::sync::Arc;

/// ExpireDelegationToken: refused, since whoever asks has not shown who they are.
pub(super) fn handle(_: &Arc<Broker>, call: Call) {
    let Some((_, _, reply)) = call.decode::<ExpireDelegationTokenRequest>() else { return };
    reply.send(&ExpireDelegationTokenResponse {
        error_code: ErrorCode::DelegationTokenRequestNotAllowed.code(),
        expiry_timestamp_ms: -1,
        ..Default::default()
    });
}
