//! A client: its requests go over the same bad network as those of nodes.

use super::harness::frame;
use super::harness::network::{Network, Wire};
use core::time::Duration;
use ottla_broker::PeerNetwork as _;
use ottla_net::{Answered, Ask, AskFailure, Destination, Framed};
use ottla_protocol::messages::ResponseHeader;
use ottla_protocol::{Message as _, Reader, Request};
use parking_lot::Mutex;
use std::marker::PhantomData;
use std::sync::Arc;

/// How long a client waits for an answer.
const WITHIN: Duration = Duration::from_millis(1_500);

/// Numbers of clients begin here; nodes have smaller ones.
pub(crate) const CLIENTS: i32 = 1_001;

/// One client with a connection to each node.
pub(crate) struct Client {
    wire: Wire,
}

/// What came of a request.
pub(crate) enum Outcome<R> {
    Waiting,
    Answered(R),
    /// Nobody knows whether it was obeyed.
    Lost,
}

type Slot = Arc<Mutex<Option<Result<Answered, AskFailure>>>>;

/// An answer that may not be there yet.
pub(crate) struct Answer<R> {
    slot: Slot,
    request: PhantomData<R>,
}

impl Client {
    pub(crate) fn new(number: i32, network: &Arc<Network>) -> Self {
        Self { wire: Wire { network: network.clone(), from: CLIENTS + number } }
    }

    /// Asks a broker in the latest version.
    pub(crate) fn ask<R: Request>(&self, node: i32, request: &R) -> Answer<R> {
        self.ask_version(node, request, R::API_KEY.versions().max)
    }

    pub(crate) fn ask_version<R: Request>(&self, node: i32, request: &R, version: i16) -> Answer<R> {
        let slot = Slot::default();
        let bytes = frame(request, version);
        let to = Destination { host: format!("node{node}").into(), port: 19092, lane: 0 };
        let filled = slot.clone();
        self.wire.ask(
            to,
            Ask {
                encode: Box::new(move |_| Ok(Framed { bytes, version })),
                within: WITHIN,
                done: Box::new(move |answer| *filled.lock() = Some(answer)),
            },
        );
        Answer { slot, request: PhantomData }
    }
}

impl<R: Request> Answer<R> {
    /// What has come of it; an answer is given once.
    pub(crate) fn take(&self) -> Outcome<R::Response> {
        match self.slot.lock().take() {
            None => Outcome::Waiting,
            Some(Err(_)) => Outcome::Lost,
            Some(Ok(answered)) => {
                let mut reader = Reader::new(&answered.bytes);
                let header_version = R::API_KEY.response_header_version(answered.version);
                ResponseHeader::decode_from(&mut reader, header_version).unwrap();
                Outcome::Answered(R::Response::decode_from(&mut reader, answered.version).unwrap())
            }
        }
    }
}
