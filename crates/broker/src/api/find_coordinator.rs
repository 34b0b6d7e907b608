use crate::broker::Broker;
use crate::call::{Call, Caller, Reply};
use crate::internal_topics::{CONSUMER_OFFSETS, TRANSACTION_STATE};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::find_coordinator_response::Coordinator;
use ottla_protocol::messages::{FindCoordinatorRequest, FindCoordinatorResponse};
use std::sync::Arc;

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
const SHARE: i8 = 2;
/// From this version on a request asks for many keys.
const MANY_KEYS: i16 = 4;

/// FindCoordinator: which broker coordinates a group or a transactional id. The topic that it is kept in is made when it is
/// first needed, and the answer waits for it, so that a client need not ask twice.
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((request, caller, reply)) = call.decode::<FindCoordinatorRequest>() else { return };
    let missing = topic_of(request.key_type).filter(|topic| {
        let image = broker.metadata.image();
        image.topics.topic_by_name(topic).is_none()
    });
    if let Some(topic) = missing {
        let answering = broker.clone();
        return broker.create_internal_topic(topic, Box::new(move || answer(&answering, &request, &caller, reply)));
    }
    answer(broker, &request, &caller, reply);
}

/// The topic that a kind of coordinator keeps its state in.
fn topic_of(key_type: i8) -> Option<&'static str> {
    match key_type {
        GROUP => Some(CONSUMER_OFFSETS),
        TRANSACTION => Some(TRANSACTION_STATE),
        _ => None,
    }
}

fn answer(broker: &Broker, request: &FindCoordinatorRequest, caller: &Caller, reply: Reply) {
    let find = |key: &String| coordinator(broker, caller, request.key_type, key);
    if caller.version() >= MANY_KEYS {
        let coordinators = request.coordinator_keys.iter().map(find).collect();
        return reply.send(&FindCoordinatorResponse { coordinators, ..Default::default() });
    }
    let found = find(&request.key);
    reply.send(&FindCoordinatorResponse {
        error_code: found.error_code,
        // Apache Kafka names the code of success here.
        error_message: if found.error_code == 0 {
            Some(ErrorCode::None.name().to_owned())
        } else {
            let code = ErrorCode::from_code(found.error_code).unwrap_or(ErrorCode::UnknownServerError);
            found.error_message.filter(|message| !message.is_empty()).or_else(|| Some(code.message().to_owned()))
        },
        node_id: found.node_id,
        host: found.host,
        port: found.port,
        ..Default::default()
    });
}

fn coordinator(broker: &Broker, caller: &Caller, key_type: i8, key: &str) -> Coordinator {
    let none = |code: ErrorCode, message: Option<String>| Coordinator {
        key: key.to_owned(),
        node_id: -1,
        port: -1,
        error_code: code.code(),
        error_message: message,
        ..Default::default()
    };
    let partition = match key_type {
        GROUP => broker.groups.partition_for(key),
        TRANSACTION => broker.transactions.partition_for(key),
        // Share groups are not served by this version of Ottla.
        SHARE => return none(ErrorCode::InvalidRequest, Some(String::new())),
        _ => return none(ErrorCode::InvalidRequest, Some(format!("there is no coordinator of type {key_type}"))),
    };
    let image = broker.metadata.image();
    let leader = partition.and_then(|partition| {
        let topic = image.topics.topic_by_name(topic_of(key_type)?)?;
        topic.partitions.get(&partition).map(|partition| partition.leader)
    });
    let endpoint = leader.and_then(|leader| broker.endpoint_of(&image, leader, &caller.connection.listener));
    match (leader, endpoint) {
        (Some(leader), Some((host, port))) => {
            Coordinator { key: key.to_owned(), node_id: leader.value(), host, port, ..Default::default() }
        }
        _ => none(ErrorCode::CoordinatorNotAvailable, None),
    }
}
