use crate::broker::Broker;
use crate::call::Call;
use crate::telemetry::Client;
use ottla_protocol::messages::{GetTelemetrySubscriptionsRequest, GetTelemetrySubscriptionsResponse};
use ottla_records::Compression;
use std::sync::Arc;

/// What metrics may be compressed with, the best first.
const COMPRESSION_TYPES: [Compression; 4] =
    [Compression::Zstd, Compression::Lz4, Compression::Gzip, Compression::Snappy];

/// GetTelemetrySubscriptions: which metrics a client is to push, and how often (KIP-714).
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, caller, reply)) = call.decode::<GetTelemetrySubscriptionsRequest>() else { return };
    let answer = broker.telemetry.subscription(request.client_instance_id, &Client::of(&caller));
    reply.send(&match answer {
        Ok(subscription) => GetTelemetrySubscriptionsResponse {
            client_instance_id: subscription.instance,
            subscription_id: subscription.id,
            accepted_compression_types: COMPRESSION_TYPES.map(|compression| compression.id().cast_signed()).to_vec(),
            push_interval_ms: subscription.push_interval_ms,
            telemetry_max_bytes: broker.config().telemetry.telemetry_max_bytes,
            delta_temporality: true,
            requested_metrics: subscription.metrics,
            ..Default::default()
        },
        Err(code) => GetTelemetrySubscriptionsResponse { error_code: code.code(), ..Default::default() },
    });
}
