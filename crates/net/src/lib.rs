//! Connections: accept, frame, order, budget, zero-copy responses.
//!
//! `Service` and the types around it know nothing of sockets, so that a simulator can play the connections. Behind
//! `Listeners` and `Server` are a few threads, each with an epoll of its own and the connections it owns; a request is
//! handled on the thread that read it, and an answer is sent by the thread that gave it.
//!
//! [`Outbound`] is the other direction: requests of this node to others.

mod accept;
mod budget;
mod buffers;
mod channel;
mod closing;
mod cold_read;
mod connection;
mod event_loop;
mod frame;
mod holdings;
mod http;
mod inbox;
mod incoming;
mod measures;
mod options;
mod outbound;
mod output;
mod pending;
mod responder;
mod response;
mod server;
mod service;
mod stream;

pub use accept::{BindError, BindErrorReason};
pub use connection::{ConnectionContext, ConnectionId, ConnectionState};
pub use http::{HttpListener, HttpServer, Page, Pages};
pub use measures::{ListenerReading, ServerReading};
pub use options::NetOptions;
pub use ottla_config::SecurityProtocol;
pub use outbound::{
    Answered, Ask, AskFailure, Destination, Done, Encode, Ended, Framed, Greeted, Greeting, Outbound, OutboundOptions,
    ReceiveBuffer, Silence,
};
pub use responder::{Answer, AnswerSink, CapturedAnswer, RequestName, Responder};
pub use response::{Response, Segment};
pub use server::{Listeners, Server, ServerReader};
pub use service::Service;
