//! Requests to other nodes of the cluster, as messages.

mod greeting;
mod options;
mod silent_hosts;

pub use greeting::{ApiVersionsGreeting, PeerVersions};
pub(crate) use greeting::{api_versions_request, request_bytes};
pub use options::outbound_options;
pub(crate) use options::silence;
pub(crate) use silent_hosts::SilentHosts;

use core::time::Duration;
use ottla_metadata::MetadataImage;
use ottla_net::{Answered, Ask, AskFailure, Destination, Framed, Outbound};
use ottla_protocol::messages::ResponseHeader;
use ottla_protocol::{Message, Reader, Request, VersionRange};
use ottla_types::BrokerId;
use std::sync::Arc;
use thiserror::Error;

/// The connections to another node, by what must not wait for what (`docs/internals/cluster.md`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Elections and changes of voters.
    Quorum,
    /// Fetching the metadata log.
    Metadata,
    /// Registrations and heartbeats.
    Lifecycle,
    /// Everything else that is asked of the active controller.
    Controller,
    /// Markers of transactions, and questions to their coordinators.
    Coordinator,
    /// Signs of life of brokers, for the active controller.
    Watch,
    /// One of the fetchers of a leader's partitions.
    Fetcher(u32),
}

impl Lane {
    /// Its number in a destination.
    pub(crate) fn number(self) -> u16 {
        match self {
            Self::Quorum => 0,
            Self::Metadata => 1,
            Self::Lifecycle => 2,
            Self::Controller => 3,
            Self::Coordinator => 4,
            Self::Watch => 5,
            Self::Fetcher(number) => 16 + u16::try_from(number).unwrap_or(u16::MAX - 16),
        }
    }
}

/// Where a broker of this image is reached by brokers, whose listener has this name.
pub(crate) fn broker_at(image: &MetadataImage, broker: BrokerId, listener: &str, lane: Lane) -> Option<Destination> {
    let endpoint = image.cluster.broker(broker)?.endpoint(listener)?;
    Some(Destination { host: Arc::from(endpoint.host.as_str()), port: endpoint.port, lane: lane.number() })
}

/// How requests reach other nodes: by sockets, or by whoever plays them.
pub trait PeerNetwork: Send + Sync {
    /// Sends a request; what is done with its answer is in it. Never blocks.
    fn ask(&self, to: Destination, ask: Ask<PeerVersions>);

    /// Nobody is expected at this address any more.
    fn forget(&self, host: &str, port: u16);
}

impl PeerNetwork for Outbound<ApiVersionsGreeting> {
    fn ask(&self, to: Destination, ask: Ask<PeerVersions>) {
        self.ask(to, ask);
    }

    fn forget(&self, host: &str, port: u16) {
        self.forget(host, port);
    }
}

/// No other nodes: for a node that is alone.
#[derive(Debug, Default)]
pub struct NoPeers;

impl PeerNetwork for NoPeers {
    fn ask(&self, _to: Destination, ask: Ask<PeerVersions>) {
        (ask.done)(Err(AskFailure::Unreachable("there is no network".to_owned())));
    }

    fn forget(&self, _host: &str, _port: u16) {}
}

/// Why a request to another node has no response.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum PeerFailure {
    /// It was not sent, or not answered.
    #[error(transparent)]
    Ask(#[from] AskFailure),
    /// The answer can't be read.
    #[error("its answer can't be read: {0}")]
    Unreadable(String),
}

/// Sends requests to other nodes.
#[derive(Clone)]
pub(crate) struct Peers {
    network: Arc<dyn PeerNetwork>,
    client_id: Arc<str>,
    silent: Arc<SilentHosts>,
}

impl Peers {
    /// The requests of the node that calls itself `client_id`.
    pub(crate) fn new(network: Arc<dyn PeerNetwork>, client_id: &str) -> Self {
        Self { network, client_id: Arc::from(client_id), silent: Arc::default() }
    }

    /// Which hosts say nothing.
    pub(crate) fn silent(&self) -> &SilentHosts {
        &self.silent
    }

    /// Sends a request in the highest of `versions` that the other node has too, and passes on its response.
    pub(crate) fn ask<R: Request + Send>(
        &self,
        to: Destination,
        request: R,
        versions: VersionRange,
        within: Duration,
        done: impl FnOnce(Result<R::Response, PeerFailure>) + Send + 'static,
    ) {
        self.ask_for_bytes(to, request, versions, within, |answered| {
            done(answered.map_err(PeerFailure::from).and_then(|answered| response::<R>(&answered)));
        });
    }

    /// The same for a response that is not to be copied out of its bytes; [`body`] is where it begins.
    pub(crate) fn ask_for_bytes<R: Request + Send>(
        &self,
        to: Destination,
        request: R,
        versions: VersionRange,
        within: Duration,
        done: impl FnOnce(Result<Answered, AskFailure>) + Send + 'static,
    ) {
        let client_id = self.client_id.clone();
        let encode = move |known: &PeerVersions| {
            let version = known.common(R::API_KEY, versions);
            let version = version.ok_or_else(|| format!("there is no common version of {}", R::API_KEY.name()))?;
            let bytes = request_bytes(&request, version, Some(&client_id)).map_err(|error| error.to_string())?;
            Ok(Framed { bytes, version })
        };
        let (silent, host) = (self.silent.clone(), to.host.clone());
        let done = move |answered: Result<Answered, AskFailure>| {
            silent.note(&host, answered.as_ref().err());
            done(answered);
        };
        self.network.ask(to, Ask { encode: Box::new(encode), within, done: Box::new(done) });
    }
}

/// The response behind its header.
pub(crate) fn body<R: Request>(answered: &Answered) -> Result<Reader<'_>, PeerFailure> {
    let mut reader = Reader::new(&answered.bytes);
    let header_version = R::API_KEY.response_header_version(answered.version);
    ResponseHeader::view_from(&mut reader, header_version)
        .map_err(|error| PeerFailure::Unreadable(error.to_string()))?;
    Ok(reader)
}

fn response<R: Request>(answered: &Answered) -> Result<R::Response, PeerFailure> {
    let mut reader = body::<R>(answered)?;
    R::Response::decode_from(&mut reader, answered.version).map_err(|error| PeerFailure::Unreadable(error.to_string()))
}
