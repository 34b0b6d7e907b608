//! The way to the active controller, be it in this process or in another.

use crate::peers::{Lane, PeerFailure, Peers};
use crate::quorum::{Decidable, MetadataQuorum};
use core::time::Duration;
use ottla_net::Destination;
use ottla_protocol::ErrorCode;
use std::sync::{Arc, Weak};
use thiserror::Error;

/// How long the active controller may take to answer: the time in which a decision is committed, with much to spare.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// The same for registrations and heartbeats: half of Kafka's default of `broker.session.timeout.ms`, so that a controller that
/// does not answer, but does not end its connection either, costs no broker its session with the next one.
const LIFECYCLE_ANSWER_MAX: Duration = Duration::from_millis(4_500);

/// Why the active controller has not answered.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum ChannelFailure {
    /// Nobody knows where it is, at the moment.
    #[error("no active controller is known")]
    Unknown,
    /// It was asked, or tried to be.
    #[error("the active controller at {host}:{port} {failure}")]
    Peer { host: Arc<str>, port: u16, failure: PeerFailure },
}

/// Asks the active controller on this node's own account.
#[derive(Clone)]
pub(crate) struct ControllerChannel {
    /// Not owned: the quorum publishes to those who ask the controller.
    quorum: Weak<MetadataQuorum>,
    peers: Peers,
}

impl ControllerChannel {
    pub(crate) fn new(quorum: &Arc<MetadataQuorum>, peers: Peers) -> Self {
        Self { quorum: Arc::downgrade(quorum), peers }
    }

    /// Sends a request to the active controller; `done` gets its response, with whatever error code it bears. In a quorum of
    /// one it is called before this returns.
    pub(crate) fn ask<R: Decidable>(
        &self,
        lane: Lane,
        request: R,
        done: impl FnOnce(Result<R::Response, ChannelFailure>) + Send + 'static,
    ) {
        let Some(quorum) = self.quorum.upgrade() else { return done(Err(ChannelFailure::Unknown)) };
        if quorum.is_active() {
            let version = R::API_KEY.versions().max;
            return quorum.decide(version, &request, |response| done(Ok(response)));
        }
        let Some(address) = quorum.leader_address() else { return done(Err(ChannelFailure::Unknown)) };
        let (host, port): (Arc<str>, u16) = (Arc::from(address.host), address.port);
        let to = Destination { host: host.clone(), port, lane: lane.number() };
        let within = if lane == Lane::Lifecycle { LIFECYCLE_ANSWER_MAX } else { ANSWER_MAX };
        self.peers.ask(to, request, R::API_KEY.versions(), within, move |answer| {
            done(answer.map_err(|failure| ChannelFailure::Peer { host, port, failure }));
        });
    }
}

/// The error code of a response, as an error unless there is none.
pub(crate) fn accepted(code: i16) -> Result<(), ErrorCode> {
    match ErrorCode::from_code(code) {
        Some(ErrorCode::None) => Ok(()),
        other => Err(other.unwrap_or(ErrorCode::UnknownServerError)),
    }
}
