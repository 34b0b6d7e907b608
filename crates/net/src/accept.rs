use core::fmt;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::Arc;

use ottla_config::{Endpoint, SecurityProtocol};
use parking_lot::Mutex;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::NetOptions;
use crate::inbox::{Inbox, Notice};

/// Why a listener can't be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {endpoint}: {reason}")]
pub struct BindError {
    /// The entry of `listeners`.
    pub endpoint: String,
    /// What stands against it.
    pub reason: BindErrorReason,
}

/// What stands against opening a listener.
#[derive(Debug)]
pub enum BindErrorReason {
    /// The host has no address.
    UnknownHost(io::Error),
    /// The operating system refuses.
    System(io::Error),
    /// The listener asks for encryption or authentication, which is not there yet.
    UnsupportedProtocol(SecurityProtocol),
}

impl fmt::Display for BindErrorReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownHost(error) => write!(f, "the host has no address ({error})"),
            Self::System(error) if error.kind() == io::ErrorKind::AddrInUse => {
                f.write_str("the port is in use; is another broker running?")
            }
            Self::System(error) => error.fmt(f),
            Self::UnsupportedProtocol(protocol) => write!(f, "{} is not supported yet", protocol.name()),
        }
    }
}

/// An open listener.
pub(crate) struct Listener {
    pub(crate) name: Arc<str>,
    pub(crate) security_protocol: SecurityProtocol,
    pub(crate) address: SocketAddr,
    pub(crate) socket: TcpListener,
}

impl Listener {
    /// Opens the listener; clients can connect from now on, and wait until they are served.
    pub(crate) fn bind(endpoint: &Endpoint, options: &NetOptions) -> Result<Self, BindError> {
        let failed = |reason| BindError { endpoint: endpoint.to_string(), reason };
        if endpoint.security_protocol != SecurityProtocol::Plaintext {
            return Err(failed(BindErrorReason::UnsupportedProtocol(endpoint.security_protocol)));
        }
        let address = resolve(&endpoint.address.host, endpoint.address.port)
            .map_err(|error| failed(BindErrorReason::UnknownHost(error)))?;
        let socket = if address.ip().is_unspecified() {
            // As Java has it, all addresses are those of both families, in whichever one they are written; without IPv6 what
            // is left.
            let [six, four] = [IpAddr::from(Ipv6Addr::UNSPECIFIED), IpAddr::from(Ipv4Addr::UNSPECIFIED)]
                .map(|everywhere| SocketAddr::new(everywhere, address.port()));
            listen(six, options).or_else(|_| listen(four, options))
        } else {
            listen(address, options)
        };
        let socket = socket.map_err(|error| failed(BindErrorReason::System(error)))?;
        let address = socket.local_addr().map_err(|error| failed(BindErrorReason::System(error)))?;
        Ok(Self {
            name: endpoint.listener_name.as_str().into(),
            security_protocol: endpoint.security_protocol,
            address,
            socket,
        })
    }
}

/// The address of a host, an IPv4 one when it has both, as Java chooses; no host is all addresses.
fn resolve(host: &str, port: u16) -> io::Result<SocketAddr> {
    if host.is_empty() {
        return Ok(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)));
    }
    let addresses: Vec<_> = (host, port).to_socket_addrs()?.collect();
    let chosen = addresses.iter().find(|address| address.is_ipv4()).or_else(|| addresses.first());
    chosen.copied().ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))
}

fn listen(address: SocketAddr, options: &NetOptions) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    // Connections inherit the sizes; set later they would no longer take part in the window's scale.
    if let Some(bytes) = options.receive_buffer_bytes {
        socket.set_recv_buffer_size(bytes)?;
    }
    if let Some(bytes) = options.send_buffer_bytes {
        socket.set_send_buffer_size(bytes)?;
    }
    socket.bind(&address.into())?;
    socket.listen(options.backlog)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// A connection that was let in and is not served yet.
pub(crate) struct Accepted {
    pub(crate) socket: TcpStream,
    pub(crate) listener: Arc<str>,
    pub(crate) security_protocol: SecurityProtocol,
    pub(crate) peer: SocketAddr,
    pub(crate) local: SocketAddr,
    pub(crate) permit: Permit,
}

impl Accepted {
    /// Prepares an accepted socket for being served.
    pub(crate) fn new(socket: TcpStream, listener: &Listener, peer: SocketAddr, permit: Permit) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        // An answer is written in one piece; waiting for more to fill a packet would only delay it.
        socket.set_nodelay(true)?;
        SockRef::from(&socket).set_keepalive(true)?;
        let local = socket.local_addr()?;
        let (listener, security_protocol) = (Arc::clone(&listener.name), listener.security_protocol);
        Ok(Self { socket, listener, security_protocol, peer, local, permit })
    }
}

#[derive(Default)]
struct Counts {
    all: usize,
    per_ip: HashMap<IpAddr, usize>,
    /// The listeners are closed to further connections until one goes.
    full: bool,
}

/// How many connections there are, in all and from each address.
pub(crate) struct Admission {
    options: Arc<NetOptions>,
    /// The loop that accepts.
    acceptor: Arc<Inbox>,
    counts: Mutex<Counts>,
}

/// Why a connection is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// There is no room for anyone; the acceptor is told when there is.
    Full,
    /// Its address holds as many as it may.
    TooManyFromAddress,
    /// The process has no descriptors for it: those that are left are for files.
    OutOfDescriptors,
}

impl Admission {
    pub(crate) fn new(options: Arc<NetOptions>, acceptor: Arc<Inbox>) -> Self {
        Self { options, acceptor, counts: Mutex::new(Counts::default()) }
    }

    /// Whether there is room for a connection from anywhere. If not, the acceptor is told when there is.
    pub(crate) fn has_room(&self) -> bool {
        let mut counts = self.counts.lock();
        counts.full = counts.all >= self.options.connections_max;
        !counts.full
    }

    /// Lets a connection in, for as long as the permit lives.
    pub(crate) fn admit(self: &Arc<Self>, peer: IpAddr) -> Result<Permit, Refusal> {
        let peer = peer.to_canonical();
        let mut counts = self.counts.lock();
        if counts.all >= self.options.connections_max {
            counts.full = true;
            return Err(Refusal::Full);
        }
        if counts.all >= self.options.descriptors_max {
            return Err(Refusal::OutOfDescriptors);
        }
        let from_peer = counts.per_ip.entry(peer).or_default();
        if *from_peer >= self.options.per_ip_max(peer) {
            if *from_peer == 0 {
                counts.per_ip.remove(&peer);
            }
            return Err(Refusal::TooManyFromAddress);
        }
        *from_peer += 1;
        counts.all += 1;
        Ok(Permit { admission: Arc::clone(self), peer })
    }

    /// How many connections there are.
    pub(crate) fn connections(&self) -> usize {
        self.counts.lock().all
    }
}

/// The right of one connection to be.
pub(crate) struct Permit {
    admission: Arc<Admission>,
    peer: IpAddr,
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = self.admission.counts.lock();
        counts.all -= 1;
        if let Some(from_peer) = counts.per_ip.get_mut(&self.peer) {
            *from_peer -= 1;
            if *from_peer == 0 {
                counts.per_ip.remove(&self.peer);
            }
        }
        if core::mem::take(&mut counts.full) {
            drop(counts);
            self.admission.acceptor.send(Notice::Accept);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_config::HostPort;

    #[test]
    fn a_listener_of_all_addresses_is_reached_by_both_families_however_it_is_written() {
        let has_six = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
        for host in ["", "0.0.0.0", "::"] {
            let endpoint = Endpoint {
                listener_name: "PLAINTEXT".to_owned(),
                address: HostPort { host: host.to_owned(), port: 0 },
                security_protocol: SecurityProtocol::Plaintext,
            };
            let listener = Listener::bind(&endpoint, &NetOptions::default()).unwrap();
            let port = listener.address.port();
            assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok(), "{host:?}");
            assert_eq!(TcpStream::connect((Ipv6Addr::LOCALHOST, port)).is_ok(), has_six, "{host:?}");
        }
    }
}
