use super::handler;
use crate::broker::Broker;
use crate::call::{Call, Reply};
use crate::forwarding::PRINCIPAL_VERSION;
use crate::service::{ListenerKind, read_header};
use bytes::BytesMut;
use ottla_net::{Answer, AnswerSink, Responder, Segment};
use ottla_protocol::messages::{DefaultPrincipalData, EnvelopeRequest, EnvelopeResponse};
use ottla_protocol::{ApiKey, ErrorCode, Message as _, Reader};
use parking_lot::Mutex;
use std::sync::Arc;

/// Envelope: a client's request that a broker has passed on to the active controller (KIP-590). Its answer is put into the
/// envelope's as it would have left on this listener.
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let listener = call.listener;
    let Some((request, caller, reply)) = call.decode::<EnvelopeRequest>() else { return };
    let refuse = |reply: Reply, code: ErrorCode| {
        reply.send(&EnvelopeResponse { error_code: code.code(), ..Default::default() });
    };
    if !request.request_principal.as_deref().is_some_and(is_principal) {
        return refuse(reply, ErrorCode::PrincipalDeserializationFailure);
    }
    if !matches!(request.client_host_address.len(), 4 | 16) {
        return refuse(reply, ErrorCode::InvalidRequest);
    }
    let frame = BytesMut::from(&request.request_data[..]);
    let bytes = frame.len();
    let is_of_brokers = is_of_brokers(&frame);
    let Ok((header, body)) = read_header(frame, ListenerKind::Controller) else {
        return refuse(reply, if is_of_brokers { ErrorCode::InvalidRequest } else { ErrorCode::UnsupportedVersion });
    };
    // What is forwarded is what clients ask brokers; an envelope in an envelope is nothing that a broker sends.
    let inner = handler(header.api_key, listener).filter(|_| may_be_forwarded(header.api_key));
    let Some(inner) = inner else { return refuse(reply, ErrorCode::InvalidRequest) };
    if !broker.quorum.is_active() && header.api_key != ApiKey::ListPartitionReassignments {
        return refuse(reply, ErrorCode::NotController);
    }
    let start = broker.requests.begin(header.api_key, header.version, bytes);
    let responder = Responder::new(Arc::new(Unopened(Mutex::new(Some(reply)))), 0);
    let reply = Reply::new(&header, responder, broker.requests.clone(), start);
    let call = Call { connection: caller.connection, listener, header, body, reply };
    inner(broker, call);
    broker.requests.handled(start);
}

/// Whether a request is one that only brokers serve.
fn is_of_brokers(frame: &[u8]) -> bool {
    let Some((&[key_high, key_low, version_high, version_low], _)) = frame.split_first_chunk() else { return false };
    let version = i16::from_be_bytes([version_high, version_low]);
    let api_key = ApiKey::from_code(i16::from_be_bytes([key_high, key_low]));
    api_key.is_some_and(|key| !key.on_controller() && key.versions().contains(version))
}

/// Whether these bytes say on whose behalf a request is passed on.
fn is_principal(bytes: &[u8]) -> bool {
    bytes.split_first_chunk().is_some_and(|(version, principal)| {
        let version = i16::from_be_bytes(*version);
        version == PRINCIPAL_VERSION && DefaultPrincipalData::view_from(&mut Reader::new(principal), version).is_ok()
    })
}

/// Whether a broker's listener takes it too, and the controller decides it.
fn may_be_forwarded(api_key: ApiKey) -> bool {
    api_key.on_broker() && api_key.on_controller() && api_key != ApiKey::Fetch
}

/// Puts the answer of the request within into the envelope's.
struct Unopened(Mutex<Option<Reply>>);

impl AnswerSink for Unopened {
    fn answer(self: Arc<Self>, _sequence: u64, answer: Answer) {
        let Some(reply) = self.0.lock().take() else { return };
        match answer {
            Answer::Response(response) => {
                let mut data = BytesMut::from(&response.head[..]);
                for segment in &response.segments {
                    match segment {
                        Segment::Bytes(bytes) => data.extend_from_slice(bytes),
                        // No API of the controller answers with files.
                        Segment::File { .. } => return reply.close("an answer that can't be put into an envelope"),
                    }
                }
                reply.send(&EnvelopeResponse { response_data: Some(data.freeze()), ..Default::default() });
            }
            Answer::NoResponse => reply.close("a request without an answer in an envelope"),
            Answer::Close(_) | Answer::Dropped(_) => {
                let error_code = ErrorCode::InvalidRequest.code();
                reply.send(&EnvelopeResponse { error_code, ..Default::default() });
            }
        }
    }
}
