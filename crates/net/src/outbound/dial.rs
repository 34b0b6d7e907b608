//! Making a connection without waiting for it.

use core::time::Duration;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs as _};

/// See [`user_timeout`].
const BEFORE_FIRST_REPETITION: Duration = Duration::from_millis(425);

/// The address, when the host is one and no name has to be looked up.
pub(super) fn numeric(host: &str, port: u16) -> Option<SocketAddr> {
    host.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, port))
}

/// Looks a name up. Blocks for as long as the system's resolver does.
pub(super) fn look_up(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let found: Vec<_> = (host, port).to_socket_addrs()?.collect();
    if found.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    }
    Ok(found)
}

/// Begins to connect. Whether it has come about is told when the socket can be written to. The receive buffer has to have its
/// size before, for the other side learns then how much it may send. The connection ends when something that was sent is not
/// acknowledged by the other host within `unacknowledged_max`.
pub(super) fn begin(
    address: SocketAddr,
    receive_buffer: Option<usize>,
    unacknowledged_max: Option<Duration>,
) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if let Some(bytes) = receive_buffer {
        socket.set_recv_buffer_size(bytes)?;
    }
    if let Some(longest) = unacknowledged_max {
        let longest = u32::try_from(user_timeout(longest).as_millis()).unwrap_or(u32::MAX);
        rustix::net::sockopt::set_tcp_user_timeout(&socket, longest)?;
    }
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    match socket.connect(&address.into()) {
        Ok(()) => Ok(socket.into()),
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => Ok(socket.into()),
        Err(error) => Err(error),
    }
}

/// What the system has to be told so that a connection ends after `longest`: Linux counts from its first repetition that is no
/// probe of the tail, so long after the bytes were first sent where a round trip is short (measured: 440 ms).
fn user_timeout(longest: Duration) -> Duration {
    longest.saturating_sub(BEFORE_FIRST_REPETITION).max(longest / 5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_both_kinds_need_no_look_up() {
        assert_eq!(numeric("127.0.0.1", 1), Some(SocketAddr::from(([127, 0, 0, 1], 1))));
        assert_eq!(numeric("::1", 2), Some(SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 2))));
        assert_eq!(numeric("localhost", 3), None);
        assert!(look_up("localhost", 3).unwrap().iter().all(|address| address.ip().is_loopback()));
    }

    #[test]
    fn the_system_is_told_the_time_behind_its_first_repetition() {
        let told = [0, 525, 2_000].map(|longest| user_timeout(Duration::from_millis(longest)).as_millis());
        assert_eq!(told, [0, 105, 1_575]);
    }

    #[test]
    fn a_receive_buffer_has_the_size_that_was_asked_for() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let size = |bytes| Socket::from(begin(address, bytes, None).unwrap()).recv_buffer_size().unwrap();
        // The system takes as much again for its own ends.
        assert_eq!(size(Some(20_000)), 40_000);
        assert_ne!(size(None), 40_000);
    }
}
