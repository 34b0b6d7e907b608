use super::in_time;
use crate::broker::Broker;
use crate::call::Call;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::create_topics_response::CreatableTopicResult;
use ottla_protocol::messages::{CreateTopicsRequest, CreateTopicsResponse};
use std::sync::Arc;

/// CreateTopics: the controller decides; the answer leaves when the partitions serve.
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, caller, reply)) = call.decode::<CreateTopicsRequest>() else { return };
    if let Err(code) = in_time(request.timeout_ms) {
        return reply.send(&refuse(&request, code));
    }
    broker.quorum.decide(
        caller.version(),
        |controller, context| controller.create_topics(context, &request),
        |result| match result {
            Ok(response) => reply.send(&response),
            Err(code) => reply.send(&refuse(&request, code)),
        },
    );
}

fn refuse(request: &CreateTopicsRequest, code: ErrorCode) -> CreateTopicsResponse {
    let topics = request.topics.iter().map(|topic| CreatableTopicResult {
        name: topic.name.clone(),
        error_code: code.code(),
        error_message: None,
        ..Default::default()
    });
    CreateTopicsResponse { topics: topics.collect(), ..Default::default() }
}
