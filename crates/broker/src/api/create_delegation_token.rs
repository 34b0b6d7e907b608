use crate::broker::Broker;
use crate::call::Call;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{CreateDelegationTokenRequest, CreateDelegationTokenResponse};
use std::sync::Arc;

/// The principal of a connection without authentication.
const ANONYMOUS: (&str, &str) = ("User", "ANONYMOUS");

/// CreateDelegationToken: refused, since whoever asks has not shown who they are.
pub(super) fn handle(_: &Arc<Broker>, call: Call) {
    let Some((request, caller, reply)) = call.decode::<CreateDelegationTokenRequest>() else { return };
    let named =
        |name: Option<String>, own: &str| name.filter(|name| !name.is_empty()).unwrap_or_else(|| own.to_owned());
    // Since version 3 an owner may be named who is not the one that asks.
    let requester = |name: &str| if caller.version() >= 3 { name.to_owned() } else { String::new() };
    reply.send(&CreateDelegationTokenResponse {
        error_code: ErrorCode::DelegationTokenRequestNotAllowed.code(),
        principal_type: named(request.owner_principal_type, ANONYMOUS.0),
        principal_name: named(request.owner_principal_name, ANONYMOUS.1),
        token_requester_principal_type: requester(ANONYMOUS.0),
        token_requester_principal_name: requester(ANONYMOUS.1),
        issue_timestamp_ms: -1,
        expiry_timestamp_ms: -1,
        max_timestamp_ms: -1,
        ..Default::default()
    });
}
