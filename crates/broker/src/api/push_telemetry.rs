use crate::broker::Broker;
use crate::call::Call;
use crate::telemetry::{Client, Push};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{PushTelemetryRequest, PushTelemetryResponse};
use std::sync::Arc;

/// PushTelemetry: the metrics of a client (KIP-714). They are checked, and let go unless they are shown with the
/// node's own.
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, caller, reply)) = call.decode::<PushTelemetryRequest>() else { return };
    let push = Push {
        instance: request.client_instance_id,
        subscription_id: request.subscription_id,
        is_terminating: request.terminating,
        compression_type: request.compression_type,
        bytes: request.metrics.len(),
        bytes_max: usize::try_from(broker.config().telemetry.telemetry_max_bytes).unwrap_or(0),
    };
    let client = Client::of(&caller);
    let pushed = broker.telemetry.push(&push, &client);
    let pushed = pushed.and_then(|()| broker.telemetry.export(&push, &client, &request.metrics));
    let error_code = pushed.err().unwrap_or(ErrorCode::None).code();
    reply.send(&PushTelemetryResponse { error_code, ..Default::default() });
}
