use std::time::Duration;

use crate::playground::{Seen, start};
use ottla_net::NetOptions;

#[test]
fn a_responder_dropped_without_an_answer_closes_the_connection_after_the_answers_before_it() {
    let running = start(NetOptions::default());
    let mut client = running.connect();
    for request in [&b"e1"[..], b"d2", b"e3"] {
        client.send(request);
    }
    assert_eq!(client.receive(), b"e1");
    client.expect_closed();
}

#[test]
fn a_request_to_close_is_followed_after_the_answers_before_it() {
    let running = start(NetOptions::default());
    let mut client = running.connect();
    client.send(b"p1");
    client.send(b"c2");
    running.next_arrival();
    running.next_arrival();
    running.playground.release();
    assert_eq!(client.receive(), b"p1");
    client.expect_closed();
}

#[test]
fn the_service_is_told_of_each_connection_once_when_it_comes_and_once_when_it_goes() {
    let running = start(NetOptions { loops: 2, ..NetOptions::default() });
    let mut first = running.connect();
    first.send(b"parked");
    assert_eq!(running.next_seen(), Seen::Connected(0));
    running.next_arrival();
    let second = running.connect();
    assert_eq!(running.next_seen(), Seen::Connected(1));
    drop(second);
    assert_eq!(running.next_seen(), Seen::Disconnected(1));
    // A reset: the client goes though an answer was sent that it has not read.
    drop(first);
    running.playground.release();
    assert_eq!(running.next_seen(), Seen::Disconnected(0));
}

#[test]
fn a_shutdown_waits_for_the_answers_to_requests_that_have_arrived() {
    let mut running = start(NetOptions { loops: 2, ..NetOptions::default() });
    let (mut waiting, mut idle) = (running.connect(), running.connect());
    idle.send(b"echo");
    assert_eq!(idle.receive(), b"echo");
    waiting.send(b"parked");
    while running.next_arrival() != "parked" {}
    let server = running.server.take().unwrap();
    server.begin_shutdown();
    idle.expect_closed();
    let stopping = std::thread::spawn(move || server.shutdown(Duration::from_secs(10)));
    running.playground.release();
    assert_eq!(waiting.receive(), b"parked");
    waiting.expect_closed();
    assert!(stopping.join().unwrap(), "everything was answered");
    assert!(std::net::TcpStream::connect(running.address).is_err(), "nobody listens any more");
    let seen: Vec<_> = running.seen.try_iter().collect();
    assert_eq!(seen.iter().filter(|seen| matches!(seen, Seen::Disconnected(_))).count(), 2);
}

#[test]
fn a_shutdown_ends_after_its_grace_though_a_request_is_never_answered() {
    let mut running = start(NetOptions::default());
    let mut waiting = running.connect();
    waiting.send(b"parked");
    running.next_arrival();
    assert!(!running.server.take().unwrap().shutdown(Duration::from_millis(50)));
    waiting.expect_closed();
    running.playground.release();
}
