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
    let own = (ANONYMOUS.0.to_owned(), ANONYMOUS.1.to_owned());
    // Apache Kafka's broker stumbles over an owner of no type.
    let has_no_type =
        request.owner_principal_type.is_none() && request.owner_principal_name.as_ref().is_some_and(|n| !n.is_empty());
    let code = if has_no_type { ErrorCode::UnknownServerError } else { ErrorCode::DelegationTokenRequestNotAllowed };
    let named = request.owner_principal_type.zip(request.owner_principal_name);
    let owner = named.filter(|(_, name)| !name.is_empty()).unwrap_or(own);
    // Since version 3 an owner may be named who is not the one that asks.
    let requester = |name: &str| if caller.version() >= 3 { name.to_owned() } else { String::new() };
    reply.send(&CreateDelegationTokenResponse {
        error_code: code.code(),
        principal_type: owner.0,
        principal_name: owner.1,
        token_requester_principal_type: requester(ANONYMOUS.0),
        token_requester_principal_name: requester(ANONYMOUS.1),
        issue_timestamp_ms: -1,
        expiry_timestamp_ms: -1,
        max_timestamp_ms: -1,
        ..Default::default()
    });
}
