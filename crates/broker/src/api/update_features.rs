use crate::broker::Broker;
use crate::call::Call;
use crate::forwarding::decide;
use crate::quorum::Decidable;
use ottla_controller::{Context, Controller, Outcome};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{UpdateFeaturesRequest, UpdateFeaturesResponse};
use std::sync::Arc;

/// UpdateFeatures: raises or lowers what the cluster may do (KIP-584).
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, caller, reply)) = call.decode::<UpdateFeaturesRequest>() else { return };
    decide(broker, &caller, request, move |response| reply.send(&response));
}

impl Decidable for UpdateFeaturesRequest {
    fn decide(&self, controller: &mut Controller, context: &Context) -> Outcome<UpdateFeaturesResponse> {
        // The quorum can't move its voters into the log yet.
        let mut upgrade_kraft_version = |_, _| Err("The quorum's voters are static.".to_owned());
        controller.update_features(context.version, self, &mut upgrade_kraft_version)
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> UpdateFeaturesResponse {
        UpdateFeaturesResponse {
            error_code: code.code(),
            error_message: Some(code.message().to_owned()),
            ..Default::default()
        }
    }
}
