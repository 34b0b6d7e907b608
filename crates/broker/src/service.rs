//! The broker as a `Service`: reads the header of a request and hands it to its API.

use crate::api;
use crate::broker::Broker;
use crate::call::{Call, CallHeader, Reply};
use bytes::{Buf, BytesMut};
use ottla_net::{ConnectionContext, Responder, Service};
use ottla_protocol::messages::RequestHeader;
use ottla_protocol::{ApiKey, Message, Reader};
use std::sync::Arc;

/// The requests of one kind of listener.
pub(crate) struct BrokerService {
    broker: Arc<Broker>,
    listener: ListenerKind,
}

/// What a listener serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListenerKind {
    /// Clients and other brokers.
    Broker,
    /// Other nodes of the metadata quorum, and admin clients that ask the controller directly.
    Controller,
}

impl BrokerService {
    pub(crate) fn new(broker: Arc<Broker>, listener: ListenerKind) -> Self {
        Self { broker, listener }
    }
}

impl Service for BrokerService {
    fn connected(&self, _connection: &Arc<ConnectionContext>) {}

    fn call(&self, connection: &Arc<ConnectionContext>, frame: BytesMut, responder: Responder) {
        let bytes = frame.len();
        match read_header(frame, self.listener) {
            Ok((header, body)) => {
                let metrics = &self.broker.requests;
                let start = metrics.begin(header.api_key, header.version, bytes);
                let reply = Reply::new(&header, responder, metrics.clone(), start);
                let call = Call { connection: connection.clone(), listener: self.listener, header, body, reply };
                api::dispatch(&self.broker, call);
                metrics.handled(start);
            }
            Err(reason) => {
                responder.close(reason);
            }
        }
    }

    fn disconnected(&self, connection: &Arc<ConnectionContext>) {
        self.broker.fetches.disconnected(connection);
    }
}

/// Reads the header in front of a request. The reason for an error is the same as Apache Kafka's: whoever sends such a
/// header can't be answered in a way that it would understand.
pub(crate) fn read_header(mut frame: BytesMut, listener: ListenerKind) -> Result<(CallHeader, BytesMut), &'static str> {
    let Some((&[key_high, key_low, version_high, version_low], _)) = frame.split_first_chunk::<4>() else {
        return Err("a request is shorter than its header");
    };
    let api_key = ApiKey::from_code(i16::from_be_bytes([key_high, key_low])).ok_or("unknown API key")?;
    let version = i16::from_be_bytes([version_high, version_low]);
    let supported = api::supported_versions(api_key, listener).ok_or("an API that this listener does not serve")?;
    // A client may ask for a later ApiVersions than there is, and is told so (KIP-511).
    if !supported.contains(version) && api_key != ApiKey::ApiVersions {
        return Err("an unsupported version of an API");
    }
    let mut reader = Reader::new(&frame);
    let header_version = api_key.request_header_version(version);
    let header = RequestHeader::view_from(&mut reader, header_version).map_err(|_| "a malformed request header")?;
    let call = CallHeader {
        api_key,
        version,
        correlation_id: header.correlation_id,
        client_id: header.client_id.map(Arc::from),
    };
    let header_bytes = frame.len() - reader.remaining();
    frame.advance(header_bytes);
    Ok((call, frame))
}
