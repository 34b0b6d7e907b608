use super::in_time;
use crate::broker::Broker;
use crate::call::Call;
use crate::forwarding::decide;
use crate::quorum::{Decidable, words};
use ottla_controller::{Context, Controller, Outcome};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::delete_topics_request::DeleteTopicState;
use ottla_protocol::messages::delete_topics_response::DeletableTopicResult;
use ottla_protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse};
use ottla_types::TopicId;
use std::sync::Arc;

/// DeleteTopics: topics go with their records, and can't be had back.
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, caller, reply)) = call.decode::<DeleteTopicsRequest>() else { return };
    // What is named twice over or not at all is refused at once, without a look at the clock.
    let is_named_wrongly = |topic: &DeleteTopicState| topic.name.is_some() == (topic.topic_id != TopicId::ZERO);
    let is_all_refused = !request.topics.is_empty() && request.topics.iter().all(is_named_wrongly);
    if let Err(code) = in_time(request.timeout_ms)
        && !is_all_refused
    {
        return reply.send(&request.refuse(caller.version(), code));
    }
    decide(broker, &caller, request, move |response| reply.send(&response));
}

impl Decidable for DeleteTopicsRequest {
    fn decide(&self, controller: &mut Controller, context: &Context) -> Outcome<DeleteTopicsResponse> {
        controller.delete_topics(context, self)
    }

    /// Of what there is not, it can be said anywhere.
    fn read(&self, controller: &mut Controller, context: &Context) -> Option<DeleteTopicsResponse> {
        let mut response = controller.delete_topics(context, self).response;
        for result in response.responses.iter_mut().filter(|result| result.error_code == 0) {
            result.error_code = ErrorCode::NotController.code();
            result.error_message = words(ErrorCode::NotController);
        }
        Some(response)
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> DeleteTopicsResponse {
        let by_id = self.topics.iter().map(|topic| (topic.name.clone(), topic.topic_id));
        let by_name = self.topic_names.iter().map(|name| (Some(name.clone()), TopicId::ZERO));
        let responses = by_id.chain(by_name).map(|(name, topic_id)| DeletableTopicResult {
            name,
            topic_id,
            error_code: code.code(),
            error_message: words(code),
            ..Default::default()
        });
        DeleteTopicsResponse { responses: responses.collect(), ..Default::default() }
    }
}
