use super::in_time;
use crate::broker::Broker;
use crate::call::Call;
use crate::forwarding::decide;
use crate::quorum::{Decidable, words};
use ottla_controller::{Context, Controller, Outcome};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::create_topics_response::CreatableTopicResult;
use ottla_protocol::messages::{CreateTopicsRequest, CreateTopicsResponse};
use std::sync::Arc;

/// CreateTopics: the controller decides; the answer leaves when the partitions serve.
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, caller, reply)) = call.decode::<CreateTopicsRequest>() else { return };
    if let Err(code) = in_time(request.timeout_ms) {
        return reply.send(&request.refuse(caller.version(), code));
    }
    decide(broker, &caller, request, move |response| reply.send(&response));
}

impl Decidable for CreateTopicsRequest {
    fn decide(&self, controller: &mut Controller, context: &Context) -> Outcome<CreateTopicsResponse> {
        controller.create_topics(context, self)
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> CreateTopicsResponse {
        let topics = self.topics.iter().map(|topic| CreatableTopicResult {
            name: topic.name.clone(),
            error_code: code.code(),
            error_message: words(code),
            ..Default::default()
        });
        CreateTopicsResponse { topics: topics.collect(), ..Default::default() }
    }
}
