use super::in_time;
use crate::broker::Broker;
use crate::call::Call;
use crate::forwarding::decide;
use crate::quorum::{Decidable, words};
use ottla_controller::{Context, Controller, Outcome};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use ottla_protocol::messages::{CreatePartitionsRequest, CreatePartitionsResponse};
use std::sync::Arc;

/// CreatePartitions: topics grow; they never shrink.
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, caller, reply)) = call.decode::<CreatePartitionsRequest>() else { return };
    if let Err(code) = in_time(request.timeout_ms) {
        return reply.send(&request.refuse(caller.version(), code));
    }
    decide(broker, &caller, request, move |response| reply.send(&response));
}

impl Decidable for CreatePartitionsRequest {
    fn decide(&self, controller: &mut Controller, context: &Context) -> Outcome<CreatePartitionsResponse> {
        controller.create_partitions(context, self)
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> CreatePartitionsResponse {
        let results = self.topics.iter().map(|topic| CreatePartitionsTopicResult {
            name: topic.name.clone(),
            error_code: code.code(),
            error_message: words(code),
            ..Default::default()
        });
        CreatePartitionsResponse { results: results.collect(), ..Default::default() }
    }
}
