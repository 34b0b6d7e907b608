use core::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::Response;

/// What became of a request.
#[derive(Debug)]
pub enum Answer {
    /// Send this.
    Response(Response),
    /// Send nothing and go on, as for a Produce with `acks=0`.
    NoResponse,
    /// Send what was answered before and close the connection, for this reason.
    Close(&'static str),
    /// The responder was dropped: a fault of the service. Closes the connection, since the client would wait for ever.
    Dropped(Option<RequestName>),
}

/// What a request is, for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestName {
    /// The name of the API.
    pub api: &'static str,
    /// The version of the API.
    pub version: i16,
}

impl fmt::Display for RequestName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of version {}", self.api, self.version)
    }
}

/// Where answers go: the connection, or whoever plays one.
pub trait AnswerSink: Send + Sync + 'static {
    /// Takes the answer to the request of this number. Called exactly once per responder, from any thread, possibly
    /// while the service's own locks are held: it must not block on anything, nor call the service.
    fn answer(self: Arc<Self>, sequence: u64, answer: Answer);
}

/// The right and the duty to answer one request exactly once. May be kept, moved to another thread and used there;
/// answers leave the connection in the order of the requests whatever the order in which they are given.
///
/// Dropping it without an answer closes the connection.
#[must_use = "a request that is not answered closes its connection"]
pub struct Responder {
    sink: Option<Arc<dyn AnswerSink>>,
    sequence: u64,
    name: Option<RequestName>,
}

impl Responder {
    /// A responder for the request of this number. For drivers of connections.
    pub fn new(sink: Arc<dyn AnswerSink>, sequence: u64) -> Self {
        Self { sink: Some(sink), sequence, name: None }
    }

    /// The same responder, which knows what it is to answer: should it be dropped, that is told.
    pub fn named(mut self, name: RequestName) -> Self {
        self.name = Some(name);
        self
    }

    /// A responder whose answer can be looked at: for tests of a service, and for simulation.
    pub fn captured() -> (Self, CapturedAnswer) {
        let captured = CapturedAnswer::default();
        (Self::new(captured.0.clone(), 0), captured)
    }

    /// Answers.
    pub fn send(self, response: impl Into<Response>) {
        self.finish(Answer::Response(response.into()));
    }

    /// The request gets no answer, and the connection goes on, as for a Produce with `acks=0`.
    pub fn no_response(self) {
        self.finish(Answer::NoResponse);
    }

    /// Closes the connection after the answers to earlier requests are sent. The reason goes to the log.
    pub fn close(self, reason: &'static str) {
        self.finish(Answer::Close(reason));
    }

    fn finish(mut self, answer: Answer) {
        if let Some(sink) = self.sink.take() {
            sink.answer(self.sequence, answer);
        }
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        if let Some(sink) = self.sink.take() {
            sink.answer(self.sequence, Answer::Dropped(self.name));
        }
    }
}

impl fmt::Debug for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "responder of request {}", self.sequence)
    }
}

#[derive(Default)]
struct Capture(Mutex<Option<Answer>>);

impl AnswerSink for Capture {
    fn answer(self: Arc<Self>, _sequence: u64, answer: Answer) {
        *self.0.lock() = Some(answer);
    }
}

/// The answer given to a responder made by `Responder::captured`.
#[derive(Clone, Default)]
pub struct CapturedAnswer(Arc<Capture>);

impl CapturedAnswer {
    /// Takes the answer, if it has been given.
    pub fn take(&self) -> Option<Answer> {
        self.0.0.lock().take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn an_answer_reaches_the_sink_once() {
        let (responder, captured) = Responder::captured();
        assert!(captured.take().is_none());
        responder.send(Bytes::from_static(b"yes"));
        assert!(matches!(captured.take(), Some(Answer::Response(response)) if response.head == "yes"));
        assert!(captured.take().is_none(), "dropping an answered responder says nothing more");
    }

    #[test]
    fn a_dropped_responder_is_told_apart_from_one_without_response() {
        let (responder, captured) = Responder::captured();
        drop(responder);
        assert!(matches!(captured.take(), Some(Answer::Dropped(None))));
        let (responder, captured) = Responder::captured();
        let name = RequestName { api: "Fetch", version: 18 };
        drop(responder.named(name));
        assert!(matches!(captured.take(), Some(Answer::Dropped(Some(told))) if told == name));
        let (responder, captured) = Responder::captured();
        responder.no_response();
        assert!(matches!(captured.take(), Some(Answer::NoResponse)));
    }
}
