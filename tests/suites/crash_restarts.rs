//! Nothing that was acknowledged is lost when the server is killed again and again under load.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on ends")]

use ottla_tests::{Load, Server, java_client};
use std::thread::sleep;
use std::time::Duration;

/// How often the server is killed.
const KILLS: u64 = 100;

/// Idempotent producers and two groups work while the server is killed a hundred times. Afterwards every acknowledged
/// record is at its offset, once, in its producer's order, and no group's commit has gone back.
#[test]
fn a_hundred_kills_lose_nothing_that_was_acknowledged() {
    let mut server = Server::start(&[("log.segment.bytes", "1048576")]).unwrap();
    let mut clients = java_client("CrashLoad").unwrap();
    clients.arg(server.bootstrap());
    let mut load = Load::start(clients).unwrap();
    load.expect("loaded").unwrap();
    for kill in 0..KILLS {
        // Different moments of the clients' reconnecting and working are hit.
        sleep(Duration::from_millis(100 + kill * 37 % 300));
        server.kill().unwrap();
        server.launch().unwrap();
    }
    sleep(Duration::from_secs(1));
    let said = load.finish().unwrap_or_else(|error| panic!("{error}\n{}", server.log()));
    println!("{KILLS} kills: {said}");
}
