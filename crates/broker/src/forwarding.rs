//! Requests of clients that only the active controller decides: decided here when it is here, else taken there in an
//! Envelope (KIP-590).

use crate::broker::Broker;
use crate::call::Caller;
use crate::peers::{Lane, PeerFailure, request_bytes};
use crate::quorum::{Decidable, MetadataQuorum};
use crate::service::ListenerKind;
use crate::timers::Expire;
use bytes::{BufMut as _, Bytes, BytesMut};
use core::time::Duration;
use ottla_env::Monotonic;
use ottla_net::Destination;
use ottla_protocol::messages::{DefaultPrincipalData, EnvelopeRequest, EnvelopeResponse, ResponseHeader};
use ottla_protocol::{ApiKey, EncodeError, ErrorCode, Message, Reader, Request};
use parking_lot::Mutex;
use std::net::IpAddr;
use std::sync::Arc;

/// For how long a request looks for an active controller. Kafka's figure.
const PATIENCE: Duration = Duration::from_secs(60);
/// How soon it looks again.
const RETRY: Duration = Duration::from_millis(50);
/// The version of [`DefaultPrincipalData`], in front of it.
pub(crate) const PRINCIPAL_VERSION: i16 = 0;

/// A request that only the node with the active controller can answer.
pub(crate) trait Forwardable: Request + Send {
    /// Answers on that node, or says there that it is not.
    fn answer_here(&self, quorum: &MetadataQuorum, version: i16, reply: Reply<Self::Response>);

    /// The response when nothing is done: there is no active controller, or it can't do it.
    fn refusal(&self, version: i16, code: ErrorCode) -> Self::Response;
}

impl<R: Decidable> Forwardable for R {
    fn answer_here(&self, quorum: &MetadataQuorum, version: i16, reply: Reply<R::Response>) {
        quorum.decide(version, self, reply);
    }

    fn refusal(&self, version: i16, code: ErrorCode) -> R::Response {
        self.refuse(version, code)
    }
}

/// Has the active controller answer a client's request, wherever it is. On a controller's listener it must be here.
pub(crate) fn decide<R: Forwardable>(
    broker: &Arc<Broker>,
    caller: &Caller,
    request: R,
    reply: impl FnOnce(R::Response) + Send + 'static,
) {
    let version = caller.version();
    if caller.listener == ListenerKind::Controller || broker.quorum.is_active() {
        return request.answer_here(&broker.quorum, version, Box::new(reply));
    }
    let envelope = match envelope(caller, &request) {
        Ok(envelope) => envelope,
        Err(error) => {
            tracing::error!(%error, api = R::API_KEY.name(), "a request can't be forwarded");
            return reply(request.refusal(version, ErrorCode::UnknownServerError));
        }
    };
    let forward = Forward {
        broker: broker.clone(),
        version,
        request,
        envelope,
        deadline: broker.clock.monotonic() + PATIENCE,
        reply: Mutex::new(Some(Box::new(reply))),
    };
    Arc::new(forward).go();
}

/// What is done with a response.
pub(crate) type Reply<T> = Box<dyn FnOnce(T) + Send>;

/// A request on its way to the active controller.
struct Forward<R: Forwardable> {
    broker: Arc<Broker>,
    version: i16,
    request: R,
    envelope: EnvelopeRequest,
    deadline: Monotonic,
    reply: Mutex<Option<Reply<R::Response>>>,
}

/// What came of an attempt.
enum Attempt<T> {
    Answered(T),
    /// It was not obeyed, and another attempt may be.
    NotYet,
    /// Nobody knows whether it was obeyed.
    Lost,
}

impl<R: Forwardable> Forward<R> {
    fn go(self: Arc<Self>) {
        let quorum = &self.broker.quorum;
        if quorum.is_active() {
            let this = self.clone();
            return self.request.answer_here(quorum, self.version, Box::new(move |response| this.answer(response)));
        }
        let Some(address) = quorum.leader_address() else { return self.later() };
        let to = Destination { host: Arc::from(address.host), port: address.port, lane: Lane::Controller.number() };
        let left = self.deadline.since(self.broker.clock.monotonic());
        let left = left.min(self.broker.controller.answer_max(Lane::Controller));
        let (peers, this) = (self.broker.peers.clone(), self.clone());
        peers.ask(to, self.envelope.clone(), ApiKey::Envelope.versions(), left, move |answer| {
            match this.understand(answer) {
                Attempt::Answered(response) => this.answer(response),
                Attempt::NotYet => this.later(),
                Attempt::Lost => this.refuse(ErrorCode::RequestTimedOut),
            }
        });
    }

    fn understand(&self, answer: Result<EnvelopeResponse, PeerFailure>) -> Attempt<R::Response> {
        let response = match answer {
            Ok(response) => response,
            Err(PeerFailure::Ask(failure)) if failure.says_nothing_was_sent() => return Attempt::NotYet,
            Err(failure) => {
                tracing::warn!(%failure, api = R::API_KEY.name(), "the active controller has not answered");
                return Attempt::Lost;
            }
        };
        match (ErrorCode::from_code(response.error_code), response.response_data) {
            (Some(ErrorCode::None), Some(data)) => match self.open(&data) {
                Some(response) => Attempt::Answered(response),
                None => Attempt::Answered(self.request.refusal(self.version, ErrorCode::UnknownServerError)),
            },
            (Some(ErrorCode::NotController), _) => Attempt::NotYet,
            (code, _) => {
                let code = code.filter(|code| *code != ErrorCode::None).unwrap_or(ErrorCode::UnknownServerError);
                Attempt::Answered(self.request.refusal(self.version, code))
            }
        }
    }

    /// The response that an envelope brings.
    fn open(&self, data: &[u8]) -> Option<R::Response> {
        let mut reader = Reader::new(data);
        ResponseHeader::view_from(&mut reader, R::API_KEY.response_header_version(self.version)).ok()?;
        R::Response::decode_from(&mut reader, self.version).ok()
    }

    fn later(self: Arc<Self>) {
        let next = self.broker.clock.monotonic() + RETRY;
        if next >= self.deadline {
            return self.refuse(ErrorCode::RequestTimedOut);
        }
        let timers = self.broker.timers.clone();
        timers.set(next, self);
    }

    fn refuse(&self, code: ErrorCode) {
        self.answer(self.request.refusal(self.version, code));
    }

    fn answer(&self, response: R::Response) {
        let reply = self.reply.lock().take();
        if let Some(reply) = reply {
            reply(response);
        }
    }
}

impl<R: Forwardable> Expire for Forward<R> {
    fn expire(self: Arc<Self>, _now: Monotonic) {
        self.go();
    }
}

fn envelope<R: Request>(caller: &Caller, request: &R) -> Result<EnvelopeRequest, EncodeError> {
    let client_id = caller.header.client_id.as_deref();
    Ok(EnvelopeRequest {
        request_data: request_bytes(request, caller.version(), client_id)?.freeze(),
        request_principal: Some(principal()?),
        client_host_address: address_bytes(caller.connection.peer.ip()),
        ..Default::default()
    })
}

/// Who has sent the request. Nobody is known by name yet.
fn principal() -> Result<Bytes, EncodeError> {
    let principal = DefaultPrincipalData {
        type_: "User".to_owned(),
        name: "ANONYMOUS".to_owned(),
        token_authenticated: false,
        ..Default::default()
    };
    let mut bytes = BytesMut::new();
    bytes.put_i16(PRINCIPAL_VERSION);
    bytes.extend_from_slice(&principal.to_bytes(PRINCIPAL_VERSION)?);
    Ok(bytes.freeze())
}

fn address_bytes(address: IpAddr) -> Bytes {
    match address {
        IpAddr::V4(address) => Bytes::copy_from_slice(&address.octets()),
        IpAddr::V6(address) => Bytes::copy_from_slice(&address.octets()),
    }
}
