use bytes::BytesMut;

/// How a new connection begins, before anything else is sent on it: the two sides find out what they understand and,
/// where that is asked for, who they are.
pub trait Greeting: Send + 'static {
    /// What is known of the other side afterwards.
    type Known: Send + 'static;

    /// The first request, without the length in front. Its correlation id is filled in when it is sent.
    fn begin(&self) -> BytesMut;

    /// Takes the answer, header and all, of the greeting's request number `round`, the first of which is 0.
    ///
    /// # Errors
    /// Why nothing can be said to the other side; the connection is closed.
    fn answered(&self, round: usize, answer: &[u8]) -> Result<Greeted<Self::Known>, String>;
}

/// What comes of an answer to a greeting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Greeted<K> {
    /// The greeting is over.
    Known(K),
    /// One more request has to be sent first.
    Again(BytesMut),
}
