use core::time::Duration;
use std::collections::BTreeMap;
use std::net::{IpAddr, ToSocketAddrs};
use std::thread;

use ottla_config::SocketConfig;

/// The budget for requests when `queued.max.request.bytes` leaves it to us: room for the largest request that is allowed
/// by default and a few of ordinary size beside it.
const REQUEST_BYTES_DEFAULT: usize = 128 << 20;

/// The default of `ottla.connections.max.bytes`.
const HELD_BYTES_DEFAULT: usize = 256 << 20;

/// How connections are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetOptions {
    /// How many threads serve connections.
    pub loops: usize,
    /// `socket.request.max.bytes`: a connection that announces a larger request is closed.
    pub request_bytes_max: usize,
    /// How many bytes all requests together may take from their first byte to their answer; then no more are read.
    /// May be overdrawn by one request, and by one small request for each connection that has none in flight.
    pub queued_request_bytes_max: usize,
    /// `max.connections`: further ones wait until others are gone.
    pub connections_max: usize,
    /// `max.connections.per.ip`: further ones are closed at once.
    pub connections_per_ip_max: usize,
    /// Addresses with a limit of their own.
    pub connections_per_ip_overrides: BTreeMap<IpAddr, usize>,
    /// How many connections the process has descriptors for: further ones are closed at once.
    pub descriptors_max: usize,
    /// `ottla.connections.max.bytes`: how many bytes of half requests and of answers that are not taken may be in memory;
    /// beyond, the connections that hold the most are closed.
    pub held_bytes_max: usize,
    /// How many connections may wait to be accepted.
    pub backlog: i32,
    /// The send buffer of a connection in bytes; `None` leaves it to the operating system, which lets it grow as needed.
    pub send_buffer_bytes: Option<usize>,
    /// The receive buffer of a connection in bytes; `None` leaves it to the operating system.
    pub receive_buffer_bytes: Option<usize>,
    /// A connection without a request for so long is closed; `None` never.
    pub idle_max: Option<Duration>,
    /// In each such time a request that is not whole must become whole, or longer by a KiB for each second of it.
    pub assembly_max: Duration,
    /// A connection whose client takes nothing of its answers for so long is closed.
    pub write_stall_max: Duration,
    /// A client that has ended its side still gets the answers to its requests that are given so soon after.
    pub half_closed_max: Duration,
    /// How many requests of one connection may be between arrival and sent answer; then no more are read from it.
    pub in_flight_max: usize,
    /// How many bytes may wait to be sent on one connection before no more requests are read from it.
    pub output_bytes_max: u64,
}

impl Default for NetOptions {
    fn default() -> Self {
        Self {
            loops: 1,
            request_bytes_max: 100 << 20,
            queued_request_bytes_max: REQUEST_BYTES_DEFAULT,
            connections_max: usize::MAX,
            connections_per_ip_max: usize::MAX,
            connections_per_ip_overrides: BTreeMap::new(),
            descriptors_max: usize::MAX,
            held_bytes_max: HELD_BYTES_DEFAULT,
            backlog: 50,
            send_buffer_bytes: None,
            receive_buffer_bytes: None,
            idle_max: Some(Duration::from_secs(600)),
            assembly_max: Duration::from_secs(30),
            write_stall_max: Duration::from_secs(60),
            half_closed_max: Duration::from_secs(5),
            in_flight_max: 128,
            output_bytes_max: 1 << 20,
        }
    }
}

impl NetOptions {
    /// The options of a node's configuration. An override whose host name has no address is left out and returned, since
    /// a limit that can't be kept should be known.
    pub fn from_config(sockets: &SocketConfig, per_ip_overrides: &BTreeMap<String, i32>) -> (Self, Vec<String>) {
        let processors = thread::available_parallelism().map_or(1, |count| count.get());
        let mut options = Self {
            // More threads than processors only wake each other.
            loops: count(sockets.num_network_threads).clamp(1, processors),
            request_bytes_max: count(sockets.socket_request_max_bytes),
            queued_request_bytes_max: usize::try_from(sockets.queued_max_request_bytes)
                .unwrap_or_else(|_| REQUEST_BYTES_DEFAULT.max(count(sockets.socket_request_max_bytes))),
            connections_max: count(sockets.max_connections),
            connections_per_ip_max: count(sockets.max_connections_per_ip),
            held_bytes_max: usize::try_from(sockets.ottla_connections_max_bytes).unwrap_or(usize::MAX),
            backlog: sockets.socket_listen_backlog_size,
            send_buffer_bytes: usize::try_from(sockets.socket_send_buffer_bytes).ok(),
            receive_buffer_bytes: usize::try_from(sockets.socket_receive_buffer_bytes).ok(),
            idle_max: u64::try_from(sockets.connections_max_idle_ms).ok().map(Duration::from_millis),
            ..Self::default()
        };
        let mut unknown = Vec::new();
        for (host, limit) in per_ip_overrides {
            match (host.as_str(), 0).to_socket_addrs() {
                Ok(addresses) => {
                    let limits = addresses.map(|address| (address.ip().to_canonical(), count(*limit)));
                    options.connections_per_ip_overrides.extend(limits);
                }
                Err(_) => unknown.push(host.clone()),
            }
        }
        (options, unknown)
    }

    /// How many connections this address may hold.
    pub(crate) fn per_ip_max(&self, address: IpAddr) -> usize {
        self.connections_per_ip_overrides.get(&address).copied().unwrap_or(self.connections_per_ip_max)
    }
}

fn count(value: i32) -> usize {
    usize::try_from(value).unwrap_or(0)
}
