//! One request on its way through the broker: its header, its bytes, and where its answer goes.

use crate::metrics::{RequestMetrics, RequestStart};
use crate::service::ListenerKind;
use bytes::{Bytes, BytesMut};
use ottla_net::{ConnectionContext, RequestName, Responder, Response, Segment};
use ottla_protocol::messages::ResponseHeader;
use ottla_protocol::{ApiKey, DecodeError, EncodeError, Hole, Message, Reader, Request, Writer};
use std::sync::Arc;

/// The header of a request, checked: the API is one that this listener serves, in a version of its range.
#[derive(Clone, Debug)]
pub(crate) struct CallHeader {
    pub(crate) api_key: ApiKey,
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
    pub(crate) client_id: Option<Arc<str>>,
}

/// A request that was read but not yet decoded.
pub(crate) struct Call {
    pub(crate) connection: Arc<ConnectionContext>,
    pub(crate) listener: ListenerKind,
    pub(crate) header: CallHeader,
    /// The request behind its header.
    pub(crate) body: BytesMut,
    pub(crate) reply: Reply,
}

impl Call {
    /// Decodes the body into its owned form. Trailing bytes are ignored, as Apache Kafka ignores them. `None` when it is
    /// malformed: the connection is then closed already.
    pub(crate) fn decode<R: Request>(self) -> Option<(R, Caller, Reply)> {
        match R::decode_from(&mut Reader::new(&self.body), self.header.version) {
            Ok(request) => {
                let caller = Caller { connection: self.connection, listener: self.listener, header: self.header };
                Some((request, caller, self.reply))
            }
            Err(error) => {
                self.reply.malformed(&error);
                None
            }
        }
    }
}

/// Who sent a request.
pub(crate) struct Caller {
    pub(crate) connection: Arc<ConnectionContext>,
    pub(crate) listener: ListenerKind,
    pub(crate) header: CallHeader,
}

impl Caller {
    pub(crate) fn version(&self) -> i16 {
        self.header.version
    }

    /// The client id, or the empty text when the request bears none.
    pub(crate) fn client_id(&self) -> &str {
        self.header.client_id.as_deref().unwrap_or_default()
    }
}

/// Where the answer of one request goes. Answered at most once; dropped without an answer, the connection closes.
pub(crate) struct Reply {
    api_key: ApiKey,
    version: i16,
    correlation_id: i32,
    responder: Responder,
    metrics: Arc<RequestMetrics>,
    start: RequestStart,
}

impl Reply {
    /// The reply to a request that has just begun.
    pub(crate) fn new(
        header: &CallHeader,
        responder: Responder,
        metrics: Arc<RequestMetrics>,
        start: RequestStart,
    ) -> Self {
        let CallHeader { api_key, version, correlation_id, .. } = *header;
        let responder = responder.named(RequestName { api: api_key.name(), version });
        Self { api_key, version, correlation_id, responder, metrics, start }
    }

    /// The request is that of a follower.
    pub(crate) fn set_follower(&mut self) {
        self.start.is_follower = true;
    }

    /// Answers in another version than that of the request: for ApiVersions, whose client may speak a later one.
    pub(crate) fn set_version(&mut self, version: i16) {
        self.version = version;
    }

    /// Sends a response that is all in one piece.
    pub(crate) fn send<M: Message>(self, response: &M) {
        match self.encode(response) {
            Ok(bytes) => {
                self.metrics.answered(self.start);
                self.responder.send(bytes);
            }
            Err(error) => self.unencodable(&error),
        }
    }

    /// The request wants no answer, as a Produce with `acks=0`.
    pub(crate) fn none(self) {
        self.metrics.answered(self.start);
        self.responder.no_response();
    }

    /// Closes the connection: the reason is for the log.
    pub(crate) fn close(self, reason: &'static str) {
        self.responder.close(reason);
    }

    /// Closes the connection of a request that can't be decoded, as Apache Kafka does.
    pub(crate) fn malformed(self, error: &DecodeError) {
        tracing::info!(api = self.api_key.name(), version = self.version, %error, "malformed request");
        self.responder.close("malformed request");
    }

    fn unencodable(self, error: &EncodeError) {
        tracing::error!(api = self.api_key.name(), version = self.version, %error, "a response can't be encoded");
        self.responder.close("the response can't be encoded in the request's version");
    }

    /// Sends a response whose deferred record sets are `segments`, as many as there are holes and in their order.
    pub(crate) fn send_with_segments<M: Message>(self, response: &M, segments: Vec<Segment>) {
        match self.write(response) {
            Ok((bytes, holes)) => {
                self.metrics.answered(self.start);
                self.responder.send(fill(bytes, &holes, segments));
            }
            Err(error) => self.unencodable(&error),
        }
    }

    fn encode<M: Message>(&self, response: &M) -> Result<Bytes, EncodeError> {
        self.write(response).map(|(bytes, _)| bytes)
    }

    fn write<M: Message>(&self, response: &M) -> Result<(Bytes, Vec<Hole>), EncodeError> {
        let header = ResponseHeader { correlation_id: self.correlation_id, ..Default::default() };
        let header_version = self.api_key.response_header_version(self.version);
        let size = header.encoded_size(header_version)? + response.encoded_size(self.version)?;
        let mut writer = Writer::with_capacity(size);
        header.encode(&mut writer, header_version)?;
        response.encode(&mut writer, self.version)?;
        let (buffer, holes) = writer.into_parts();
        Ok((buffer.freeze(), holes))
    }
}

/// Cuts the bytes at the holes and puts the segments there. A hole may be filled by several segments.
fn fill(mut bytes: Bytes, holes: &[Hole], segments: Vec<Segment>) -> Response {
    let mut segments = segments.into_iter();
    let mut response = Response::default();
    let mut cut = 0;
    for hole in holes {
        let before = bytes.split_to(hole.position - cut);
        cut = hole.position;
        push_bytes(&mut response, before);
        let mut missing = hole.length as u64;
        while missing > 0 {
            let Some(segment) = segments.next() else { break };
            missing = missing.saturating_sub(segment.length());
            response.segments.push(segment);
        }
    }
    push_bytes(&mut response, bytes);
    response
}

fn push_bytes(response: &mut Response, bytes: Bytes) {
    if response.head.is_empty() && response.segments.is_empty() {
        response.head = bytes;
    } else if !bytes.is_empty() {
        response.segments.push(Segment::Bytes(bytes));
    }
}
