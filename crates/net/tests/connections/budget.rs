use std::io::Write;
use std::time::Duration;

use crate::playground::{framed, start};
use ottla_net::NetOptions;

const LARGE: usize = 300_000;

fn parked_request(size: usize) -> Vec<u8> {
    let mut request = vec![b'x'; size];
    request[0] = b'p';
    framed(&request)
}

#[test]
fn when_the_budget_is_spent_requests_wait_and_none_is_refused() {
    let running = start(NetOptions { queued_request_bytes_max: LARGE + 1, ..NetOptions::default() });
    let mut clients: Vec<_> = (0..5).map(|_| running.connect()).collect();
    let writers: Vec<_> = clients
        .iter()
        .map(|client| {
            let mut stream = client.stream.try_clone().unwrap();
            std::thread::spawn(move || stream.write_all(&parked_request(LARGE)).unwrap())
        })
        .collect();
    let mut answered = 0;
    while answered < 5 {
        let mut arrived = usize::from(!running.next_arrival().is_empty());
        while running.arrived.recv_timeout(Duration::from_millis(20)).is_ok() {
            arrived += 1;
        }
        assert!(arrived <= 2, "{arrived} requests of more than half of the budget at a time");
        answered += arrived;
        running.playground.release();
    }
    for writer in writers {
        writer.join().unwrap();
    }
    for client in &mut clients {
        assert_eq!(client.receive().len(), LARGE);
    }
}

#[test]
fn a_spent_budget_lets_every_connection_have_one_small_request_in_flight() {
    let running = start(NetOptions { queued_request_bytes_max: 1000, ..NetOptions::default() });
    let mut holding = running.connect();
    holding.stream.write_all(&parked_request(1000)).unwrap();
    running.next_arrival();
    let mut other = running.connect();
    for _ in 0..3 {
        other.send(b"echo");
        assert_eq!(other.receive(), b"echo");
    }
    other.send(b"p1");
    other.send(b"p2");
    for _ in 0..4 {
        running.next_arrival();
    }
    assert!(running.arrived.recv_timeout(Duration::from_millis(50)).is_err(), "a second one has to wait");
    running.playground.release();
    assert_eq!(other.receive(), b"p1");
    assert_eq!(running.next_arrival(), "p2");
    running.playground.release();
    assert_eq!(other.receive(), b"p2");
    assert_eq!(holding.receive().len(), 1000);
}

#[test]
fn a_connection_that_ends_gives_its_share_back() {
    let half_closed_max = Duration::from_millis(50);
    let running = start(NetOptions { queued_request_bytes_max: LARGE, half_closed_max, ..NetOptions::default() });
    for _ in 0..3 {
        // One ends with a request in flight, one in the middle of a request.
        let mut parked = running.connect();
        parked.stream.write_all(&parked_request(LARGE)).unwrap();
        running.next_arrival();
        let mut waiting = running.connect();
        waiting.stream.write_all(&parked_request(LARGE)[..LARGE / 2]).unwrap();
        drop(parked);
        drop(waiting);
    }
    let mut client = running.connect();
    let mut request = vec![b'e'; LARGE];
    request[0] = b'e';
    client.send(&request);
    assert_eq!(client.receive().len(), LARGE);
}
