use super::in_time;
use crate::broker::Broker;
use crate::call::Call;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use ottla_protocol::messages::{CreatePartitionsRequest, CreatePartitionsResponse};
use std::sync::Arc;

/// CreatePartitions: topics grow; they never shrink.
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, caller, reply)) = call.decode::<CreatePartitionsRequest>() else { return };
    if let Err(code) = in_time(request.timeout_ms) {
        return reply.send(&refuse(&request, code));
    }
    broker.quorum.decide(
        caller.version(),
        |controller, context| controller.create_partitions(context, &request),
        |result| match result {
            Ok(response) => reply.send(&response),
            Err(code) => reply.send(&refuse(&request, code)),
        },
    );
}

fn refuse(request: &CreatePartitionsRequest, code: ErrorCode) -> CreatePartitionsResponse {
    let results = request.topics.iter().map(|topic| CreatePartitionsTopicResult {
        name: topic.name.clone(),
        error_code: code.code(),
        ..Default::default()
    });
    CreatePartitionsResponse { results: results.collect(), ..Default::default() }
}
