use crate::OracleError;
use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

/// Outgoing connections take their ports from 32768 up on Linux; a listener there could find its port taken.
const FIRST: u16 = 21_000;
const LAST: u16 = 32_000;

/// A port of the loopback interface on which nobody listens. It is not reserved; different processes begin at different
/// ones, so that tests that run at once seldom meet.
///
/// # Errors
/// All are taken.
pub fn free_port() -> Result<u16, OracleError> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let count = LAST - FIRST;
    let start = (std::process::id() % u32::from(count)) as u16;
    for _ in 0..count {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        // Steps of 7 keep clear of a neighbour process whose id is only one higher.
        let port = FIRST + (u32::from(start) * 7 + u32::from(step)).rem_euclid(u32::from(count)) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() && TcpListener::bind(("::", port)).is_ok() {
            return Ok(port);
        }
    }
    Err(OracleError::NoPort)
}
