use crate::broker::Broker;
use crate::call::Call;
use crate::service::ListenerKind;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{DescribeDelegationTokenRequest, DescribeDelegationTokenResponse};
use std::sync::Arc;

/// DescribeDelegationToken: refused, since whoever asks has not shown who they are. A controller of Apache Kafka advertises
/// this and can't answer it.
pub(super) fn handle(_: &Arc<Broker>, call: Call) {
    let Some((_, caller, reply)) = call.decode::<DescribeDelegationTokenRequest>() else { return };
    let code = match caller.listener {
        ListenerKind::Broker => ErrorCode::DelegationTokenRequestNotAllowed,
        ListenerKind::Controller => ErrorCode::UnknownServerError,
    };
    reply.send(&DescribeDelegationTokenResponse { error_code: code.code(), ..Default::default() });
}
