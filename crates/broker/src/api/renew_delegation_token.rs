use crate::broker::Broker;
use crate::call::Call;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{RenewDelegationTokenRequest, RenewDelegationTokenResponse};
use std::sync::Arc;

/// RenewDelegationToken: refused, since whoever asks has not shown who they are.
pub(super) fn handle(_: &Arc<Broker>, call: Call) {
    let Some((_, _, reply)) = call.decode::<RenewDelegationTokenRequest>() else { return };
    reply.send(&RenewDelegationTokenResponse {
        error_code: ErrorCode::DelegationTokenRequestNotAllowed.code(),
        expiry_timestamp_ms: -1,
        ..Default::default()
    });
}
