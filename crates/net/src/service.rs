use std::sync::Arc;

use bytes::BytesMut;

use crate::{ConnectionContext, Responder};

/// What is behind the connections: it is given requests and answers them.
///
/// **Order.** For one connection `connected` comes first, then `call` once per request in the order of arrival, never
/// two at a time, then `disconnected` once, after the last `call` has returned. Different connections call at the same
/// time from different threads.
///
/// **Time.** All three run on the thread that serves the connection, and all connections of that thread wait: they
/// answer at once, or keep the responder and return.
pub trait Service: Send + Sync + 'static {
    /// A connection was accepted.
    fn connected(&self, connection: &Arc<ConnectionContext>);

    /// A request arrived: everything after the four bytes of length. It belongs to the service and may be changed in
    /// place. It is a part of a larger pooled buffer, which cannot be used again before the frame is dropped: what must
    /// live longer than this call should be copied out of it.
    fn call(&self, connection: &Arc<ConnectionContext>, frame: BytesMut, responder: Responder);

    /// The connection is gone. Responders of it that are still kept lead nowhere and may be dropped.
    fn disconnected(&self, connection: &Arc<ConnectionContext>);
}
