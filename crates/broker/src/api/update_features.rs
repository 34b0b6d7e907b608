use crate::broker::Broker;
use crate::call::Call;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{UpdateFeaturesRequest, UpdateFeaturesResponse};
use std::sync::Arc;

/// UpdateFeatures: raises or lowers what the cluster may do (KIP-584).
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, caller, reply)) = call.decode::<UpdateFeaturesRequest>() else { return };
    broker.quorum.decide(
        caller.version(),
        |controller, _| controller.update_features(caller.version(), &request),
        |result| reply.send(&result.unwrap_or_else(refuse)),
    );
}

fn refuse(code: ErrorCode) -> UpdateFeaturesResponse {
    UpdateFeaturesResponse {
        error_code: code.code(),
        error_message: Some(code.message().to_owned()),
        ..Default::default()
    }
}
