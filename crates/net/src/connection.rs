use core::any::Any;
use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};
use std::net::SocketAddr;
use std::sync::Arc;

use ottla_config::SecurityProtocol;
use parking_lot::Mutex;

/// The number of a connection, unique in the life of the process and never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What is learned of a connection while it lives. Every request of the connection sees what earlier ones left here.
#[derive(Default)]
pub struct ConnectionState {
    /// The client's library, as it named itself in ApiVersions (KIP-511).
    pub client_software_name: Option<String>,
    /// The version of that library.
    pub client_software_version: Option<String>,
    /// Room for what the service wants to keep with the connection.
    pub extension: Option<Box<dyn Any + Send>>,
}

/// One connection, as the service sees it: what never changes, and a slot for what does.
pub struct ConnectionContext {
    /// Unique in this process.
    pub id: ConnectionId,
    /// The listener's name, as in `listeners`.
    pub listener: Arc<str>,
    /// The protocol of that listener.
    pub security_protocol: SecurityProtocol,
    /// The other end.
    pub peer: SocketAddr,
    /// This end.
    pub local: SocketAddr,
    /// Held for moments only, and never while a request is being answered.
    pub state: Mutex<ConnectionState>,
    disconnected: AtomicBool,
}

impl ConnectionContext {
    /// A connection with an empty state.
    pub fn new(
        id: ConnectionId,
        listener: Arc<str>,
        security_protocol: SecurityProtocol,
        peer: SocketAddr,
        local: SocketAddr,
    ) -> Self {
        let state = Mutex::new(ConnectionState::default());
        Self { id, listener, security_protocol, peer, local, state, disconnected: AtomicBool::new(false) }
    }

    /// Whether the connection is gone, so that nobody waits for an answer any more. Once true it stays true; it is true
    /// before `Service::disconnected` is called.
    pub fn is_disconnected(&self) -> bool {
        self.disconnected.load(Ordering::Acquire)
    }

    /// Says that the connection is gone. For the driver of the connection: it calls `Service::disconnected` next.
    pub fn set_disconnected(&self) {
        self.disconnected.store(true, Ordering::Release);
    }
}

impl fmt::Debug for ConnectionContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connection {} from {} on {}", self.id, self.peer, self.listener)
    }
}
