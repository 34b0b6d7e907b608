//! The way to the active controller, be it in this process or in another.

use crate::durations::milliseconds;
use crate::peers::{Lane, PeerFailure, Peers};
use crate::quorum::{Decidable, MetadataQuorum};
use core::time::Duration;
use ottla_config::NodeConfig;
use ottla_net::Destination;
use ottla_protocol::ErrorCode;
use std::sync::{Arc, Weak};
use thiserror::Error;

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
    answer_max: Duration,
    lifecycle_answer_max: Duration,
}

impl ControllerChannel {
    pub(crate) fn new(quorum: &Arc<MetadataQuorum>, peers: Peers, config: &NodeConfig) -> Self {
        let answer_max = milliseconds(config.peers.controller_socket_timeout_ms);
        // A heartbeat that is lost leaves time for another within the session.
        let half_a_session = milliseconds(config.lifecycle.broker_session_timeout_ms) / 2;
        let lifecycle_answer_max = answer_max.min(half_a_session);
        Self { quorum: Arc::downgrade(quorum), peers, answer_max, lifecycle_answer_max }
    }

    /// How long the active controller may take to answer.
    pub(crate) fn answer_max(&self, lane: Lane) -> Duration {
        if lane == Lane::Lifecycle { self.lifecycle_answer_max } else { self.answer_max }
    }

    /// Sends a request to the active controller; `done` gets its response, with whatever error code it bears. In a quorum of
    /// one it is called before this returns.
    pub(crate) fn ask<R: Decidable>(
        &self,
        lane: Lane,
        request: R,
        done: impl FnOnce(Result<R::Response, ChannelFailure>) + Send + 'static,
    ) {
        self.ask_within(lane, self.answer_max(lane), request, done);
    }

    /// The same with less time for the answer.
    pub(crate) fn ask_within<R: Decidable>(
        &self,
        lane: Lane,
        within: Duration,
        request: R,
        done: impl FnOnce(Result<R::Response, ChannelFailure>) + Send + 'static,
    ) {
        let within = within.min(self.answer_max(lane));
        let Some(quorum) = self.quorum.upgrade() else { return done(Err(ChannelFailure::Unknown)) };
        // A change of the metadata ends what waits, a coordinator that moves for example, and what waits may then want to ask.
        if quorum.is_held_here() {
            let channel = self.clone();
            return quorum.ask_afterwards(move || channel.ask_within(lane, within, request, done));
        }
        if quorum.is_active() {
            let version = R::API_KEY.versions().max;
            return quorum.decide(version, &request, |response| done(Ok(response)));
        }
        let Some(address) = quorum.leader_address() else { return done(Err(ChannelFailure::Unknown)) };
        let (host, port): (Arc<str>, u16) = (Arc::from(address.host), address.port);
        let to = Destination { host: host.clone(), port, lane: lane.number() };
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
