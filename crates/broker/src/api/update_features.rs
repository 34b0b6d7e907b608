use crate::broker::Broker;
use crate::call::Call;
use crate::forwarding::{Forwardable, Reply, decide};
use crate::quorum::MetadataQuorum;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{UpdateFeaturesRequest, UpdateFeaturesResponse};
use std::sync::Arc;

/// UpdateFeatures: raises or lowers what the cluster may do (KIP-584).
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, caller, reply)) = call.decode::<UpdateFeaturesRequest>() else { return };
    decide(broker, &caller, request, move |response| reply.send(&response));
}

impl Forwardable for UpdateFeaturesRequest {
    fn answer_here(&self, quorum: &MetadataQuorum, version: i16, reply: Reply<UpdateFeaturesResponse>) {
        let request = self.clone();
        quorum.update_features(version, self.clone(), move |result| {
            reply(result.unwrap_or_else(|code| request.refusal(version, code)));
        });
    }

    fn refusal(&self, _: i16, code: ErrorCode) -> UpdateFeaturesResponse {
        UpdateFeaturesResponse {
            error_code: code.code(),
            error_message: Some(code.message().to_owned()),
            ..Default::default()
        }
    }
}
