//! Connections: accept, frame, order, budget, zero-copy responses.
//!
//! `Service` and the types around it know nothing of sockets, so that a simulator can play the connections.

mod connection;
mod responder;
mod response;
mod service;

pub use connection::{ConnectionContext, ConnectionId, ConnectionState, SecurityProtocol};
pub use responder::{Answer, AnswerSink, CapturedAnswer, Responder};
pub use response::{Response, Segment};
pub use service::Service;
