use std::io::Write;

use crate::playground::{Seen, framed, start};
use ottla_net::NetOptions;

#[test]
fn a_request_is_answered() {
    let running = start(NetOptions::default());
    let mut client = running.connect();
    client.send(b"echo");
    assert_eq!(client.receive(), b"echo");
}

#[test]
fn requests_that_arrive_together_are_answered_in_order() {
    let running = start(NetOptions::default());
    let mut client = running.connect();
    let requests: Vec<Vec<u8>> = (0..500).map(|number| format!("e{number}").into_bytes()).collect();
    let sent: Vec<u8> = requests.iter().flat_map(|request| framed(request)).collect();
    client.stream.write_all(&sent).unwrap();
    for request in requests {
        assert_eq!(client.receive(), request);
    }
}

#[test]
fn requests_that_arrive_byte_by_byte_are_put_together() {
    let running = start(NetOptions::default());
    let mut client = running.connect();
    for byte in [framed(b"e1"), framed(b"e2")].concat() {
        client.stream.write_all(&[byte]).unwrap();
    }
    assert_eq!((client.receive(), client.receive()), (b"e1".to_vec(), b"e2".to_vec()));
}

#[test]
fn large_requests_between_small_ones_arrive_whole() {
    let running = start(NetOptions::default());
    let mut client = running.connect();
    let sizes = [1usize, 100_000, 3, 200_000, 1 << 20, 7, 5 << 20, 131_072, 131_068, 2];
    let requests: Vec<Vec<u8>> = sizes
        .iter()
        .enumerate()
        .map(|(number, size)| {
            let mut request: Vec<u8> = (0..*size).map(|index| (index / 7 + number) as u8).collect();
            request[0] = b'e';
            request
        })
        .collect();
    let mut writing = client.stream.try_clone().unwrap();
    let sent: Vec<u8> = requests.iter().flat_map(|request| framed(request)).collect();
    let writer = std::thread::spawn(move || writing.write_all(&sent).unwrap());
    for request in requests {
        assert!(client.receive() == request, "a request of {} bytes", request.len());
    }
    writer.join().unwrap();
}

#[test]
fn answers_keep_the_order_of_requests_when_later_ones_come_first() {
    let running = start(NetOptions::default());
    let mut client = running.connect();
    for request in [&b"p1"[..], b"p2", b"p3", b"e4", b"n5", b"r6", b"e7"] {
        client.send(request);
    }
    for expected in [&b"p1"[..], b"p2", b"p3", b"e4", b"r6", b"e7"] {
        assert_eq!(client.receive(), expected);
    }
}

#[test]
fn a_parked_request_does_not_hold_up_the_next_one() {
    let running = start(NetOptions::default());
    let mut client = running.connect();
    client.send(b"p1");
    client.send(b"e2");
    assert_eq!((running.next_arrival(), running.next_arrival()), ("p1".into(), "e2".into()));
}

#[test]
fn answers_may_be_given_by_other_connections_and_by_foreign_threads() {
    for loops in [1, 2] {
        let running = start(NetOptions { loops, ..NetOptions::default() });
        let (mut waiting, mut releasing) = (running.connect(), running.connect());
        for round in 0..200 {
            waiting.send(b"parked");
            while running.next_arrival() != "parked" {}
            if round % 2 == 0 {
                releasing.send(b"release");
                assert_eq!(releasing.receive(), b"release");
            } else {
                running.playground.release();
            }
            assert_eq!(waiting.receive(), b"parked");
        }
    }
}

#[test]
fn a_flood_on_one_connection_lets_another_one_in_between() {
    let running = start(NetOptions::default());
    let (mut flood, mut other) = (running.connect(), running.connect());
    let requests = [framed(b"hold"), framed(b"n").repeat(10_000), framed(b"echo")].concat();
    flood.stream.write_all(&requests).unwrap();
    other.send(b"echo");
    running.gate.send(()).unwrap();
    assert_eq!(other.receive(), b"echo");
    assert_eq!(flood.receive(), b"echo");
    let before_the_other = running.arrived.try_iter().take_while(|request| request != "echo").count();
    assert!(before_the_other < 1_000, "{before_the_other} requests of the flood came first");
}

#[test]
fn connections_of_all_servers_in_a_process_have_numbers_of_their_own() {
    // A node serves clients and controllers by a server each, and one service knows the connections of both.
    let servers = [start(NetOptions::default()), start(NetOptions::default())];
    for running in &servers {
        let _client = running.connect();
        assert!(matches!(running.next_seen(), Seen::Connected(_)));
    }
    let ids: Vec<_> = servers.iter().flat_map(|running| running.playground.ids()).collect();
    let unique: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!((ids.len(), unique.len()), (2, 2), "{ids:?}");
}
