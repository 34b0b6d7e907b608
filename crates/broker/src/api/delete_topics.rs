use super::in_time;
use crate::broker::Broker;
use crate::call::Call;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::delete_topics_response::DeletableTopicResult;
use ottla_protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse};
use ottla_types::TopicId;
use std::sync::Arc;

/// DeleteTopics: topics go with their records, and can't be had back.
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, caller, reply)) = call.decode::<DeleteTopicsRequest>() else { return };
    if let Err(code) = in_time(request.timeout_ms) {
        return reply.send(&refuse(&request, code));
    }
    broker.quorum.decide(
        caller.version(),
        |controller, context| controller.delete_topics(context, &request),
        |result| match result {
            Ok(response) => reply.send(&response),
            Err(code) => reply.send(&refuse(&request, code)),
        },
    );
}

fn refuse(request: &DeleteTopicsRequest, code: ErrorCode) -> DeleteTopicsResponse {
    let by_id = request.topics.iter().map(|topic| (topic.name.clone(), topic.topic_id));
    let by_name = request.topic_names.iter().map(|name| (Some(name.clone()), TopicId::ZERO));
    let responses = by_id.chain(by_name).map(|(name, topic_id)| DeletableTopicResult {
        name,
        topic_id,
        error_code: code.code(),
        ..Default::default()
    });
    DeleteTopicsResponse { responses: responses.collect(), ..Default::default() }
}
