use std::io::Write;
use std::net::Shutdown;
use std::time::Duration;

use crate::playground::{Seen, framed, request, start};
use ottla_net::NetOptions;

#[test]
fn garbage_on_one_connection_does_not_disturb_another() {
    let running = start(NetOptions::default());
    let mut good = running.connect();
    for garbage in
        [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 64], b"\0\0\0\0", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"]
    {
        let mut bad = running.connect();
        bad.stream.write_all(garbage).unwrap();
        bad.expect_closed();
        good.send(b"echo");
        assert_eq!(good.receive(), b"echo");
    }
}

#[test]
fn an_oversized_request_closes_the_connection_after_the_answers_before_it() {
    let running = start(NetOptions { request_bytes_max: 1000, ..NetOptions::default() });
    let mut client = running.connect();
    let mut largest = vec![b'e'; 1000];
    largest[999] = b'!';
    client.send(&largest);
    assert_eq!(client.receive(), largest);
    client.stream.write_all(&[framed(b"e"), 1001u32.to_be_bytes().to_vec()].concat()).unwrap();
    assert_eq!(client.receive(), b"e");
    client.expect_closed();
}

#[test]
fn a_request_that_takes_too_long_to_arrive_closes_the_connection() {
    let options = NetOptions { assembly_max: Duration::from_millis(100), ..NetOptions::default() };
    let running = start(options);
    for part in [&b"\0\0"[..], b"\0\0\0\x05ab"] {
        let mut client = running.connect();
        client.stream.write_all(part).unwrap();
        client.expect_closed();
    }
}

#[test]
fn a_request_that_is_announced_as_long_has_no_more_time_than_a_short_one() {
    // The budget has room for one: whoever announces it and sends nothing must not keep it for long.
    let length = 50 << 20;
    let assembly_max = Duration::from_millis(100);
    let options = NetOptions { assembly_max, queued_request_bytes_max: length, ..NetOptions::default() };
    let running = start(options);
    let mut liar = running.connect();
    liar.stream.write_all(&(length as u32).to_be_bytes()).unwrap();
    liar.stream.write_all(&[0; 1000]).unwrap();
    liar.expect_closed();
    let mut client = running.connect();
    let mut request = vec![b'e'; 1 << 20];
    request[0] = b'e';
    client.send(&request);
    assert_eq!(client.receive().len(), request.len());
}

#[test]
fn half_requests_beyond_the_limit_close_who_holds_the_most_and_nobody_else() {
    let running = start(NetOptions { held_bytes_max: 1 << 20, ..NetOptions::default() });
    let mut small = running.connect();
    small.stream.write_all(b"\0\0\0\x04ec").unwrap();
    let half = [&(120u32 << 10).to_be_bytes()[..], &[0; 100 << 10]].concat();
    let mut clients: Vec<_> = (0..40).map(|_| running.connect()).collect();
    for client in &mut clients {
        client.stream.write_all(&half).unwrap();
    }
    // Each has all of its buffer: some have to go, and as many as there is room for may stay.
    let seconds = Duration::from_secs(10);
    let gone = |seen: &Seen| matches!(seen, Seen::Disconnected(_));
    let mut closed = 0;
    while closed < 33 {
        closed += usize::from(gone(&running.seen.recv_timeout(seconds).unwrap()));
    }
    small.stream.write_all(b"ho").unwrap();
    assert_eq!(small.receive(), b"echo");
}

#[test]
fn an_answer_larger_than_the_limit_arrives_when_it_is_the_only_one() {
    let running = start(NetOptions { held_bytes_max: 1 << 20, ..NetOptions::default() });
    let mut client = running.connect();
    client.send(&request(b'b', &[30 << 20]));
    assert_eq!(client.receive().len(), 30 << 20);
}

#[test]
fn connections_beyond_the_descriptors_are_closed_at_once_and_others_served() {
    let running = start(NetOptions { descriptors_max: 2, ..NetOptions::default() });
    let mut first = running.connect();
    let mut second = running.connect();
    for client in [&mut first, &mut second] {
        client.send(b"e");
        assert_eq!(client.receive(), b"e");
    }
    running.connect().expect_closed();
    drop(second);
    // Somebody has to find out that it is gone; until then others are refused.
    let is_served = |_| {
        let mut client = running.connect();
        client.stream.write_all(&framed(b"e")).is_ok() && client.try_receive().is_ok()
    };
    assert!((0..10_000).any(is_served), "there is room again");
    first.send(b"e");
    assert_eq!(first.receive(), b"e");
}

#[test]
fn a_silent_connection_is_closed_and_one_that_waits_for_an_answer_is_not() {
    let running = start(NetOptions { idle_max: Some(Duration::from_millis(100)), ..NetOptions::default() });
    let mut waiting = running.connect();
    waiting.send(b"parked");
    assert_eq!(running.next_arrival(), "parked");
    let mut silent = running.connect();
    silent.expect_closed();
    let mut active = running.connect();
    active.send(b"echo");
    assert_eq!(active.receive(), b"echo");
    active.expect_closed();
    running.playground.release();
    assert_eq!(waiting.receive(), b"parked");
}

#[test]
fn requests_are_answered_after_the_client_has_ended_its_side() {
    let running = start(NetOptions::default());
    let mut client = running.connect();
    client.send(b"p1");
    client.send(b"e2");
    client.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!((running.next_arrival(), running.next_arrival()), ("p1".into(), "e2".into()));
    running.playground.release();
    assert_eq!((client.receive(), client.receive()), (b"p1".to_vec(), b"e2".to_vec()));
    client.expect_closed();
}

#[test]
fn a_client_that_pipelines_without_reading_is_read_no_further_than_the_limits_and_served_when_it_reads() {
    let options = NetOptions { output_bytes_max: 100_000, in_flight_max: 1000, ..NetOptions::default() };
    let running = start(options);
    let mut slow = running.connect();
    let mut writing = slow.stream.try_clone().unwrap();
    let (count, size) = (2000, 20_000);
    let writer = std::thread::spawn(move || {
        let asked = framed(&request(b'b', &[size]));
        for _ in 0..count {
            writing.write_all(&asked).unwrap();
        }
    });
    writer.join().unwrap();
    let mut other = running.connect();
    other.send(b"echo");
    assert_eq!(other.receive(), b"echo", "another connection is served meanwhile");
    // What the sockets' buffers hold has left the server; all else must not have been made.
    let mut handled = 0;
    while running.arrived.recv_timeout(Duration::from_millis(200)).is_ok() {
        handled += 1;
    }
    assert!(handled < count, "all {handled} requests handled though the client took no answer");
    for _ in 0..count {
        assert_eq!(slow.receive(), vec![b'b'; size as usize]);
    }
}

#[test]
fn a_client_that_takes_no_answers_is_closed() {
    let running = start(NetOptions { write_stall_max: Duration::from_millis(100), ..NetOptions::default() });
    let mut client = running.connect();
    client.send(&request(b'b', &[50 << 20]));
    assert_eq!(running.next_seen(), Seen::Connected(0));
    assert_eq!(running.next_seen(), Seen::Disconnected(0));
}

#[test]
fn no_more_requests_than_allowed_are_in_flight() {
    let running = start(NetOptions { in_flight_max: 3, ..NetOptions::default() });
    let mut client = running.connect();
    let sent: Vec<u8> = (0..10).flat_map(|number| framed(format!("p{number}").as_bytes())).collect();
    client.stream.write_all(&sent).unwrap();
    let mut answered = 0;
    while answered < 10 {
        let expected = (10 - answered).min(3);
        for _ in 0..expected {
            running.next_arrival();
        }
        assert!(running.arrived.recv_timeout(Duration::from_millis(20)).is_err(), "one too many");
        assert_eq!(running.playground.parked(), expected);
        running.playground.release();
        for _ in 0..expected {
            assert_eq!(client.receive(), format!("p{answered}").into_bytes());
            answered += 1;
        }
    }
}

#[test]
fn connections_over_the_limit_of_an_address_are_closed_at_once() {
    let running = start(NetOptions { connections_per_ip_max: 2, ..NetOptions::default() });
    let (mut first, mut second) = (running.connect(), running.connect());
    for client in [&mut first, &mut second] {
        client.send(b"echo");
        assert_eq!(client.receive(), b"echo");
    }
    running.connect().expect_closed();
    drop(first);
    while running.next_seen() != Seen::Disconnected(0) {}
    let mut third = running.connect();
    third.send(b"echo");
    assert_eq!(third.receive(), b"echo");
}

#[test]
fn connections_over_the_limit_of_the_server_wait_until_others_have_gone() {
    let running = start(NetOptions { connections_max: 1, ..NetOptions::default() });
    let mut first = running.connect();
    first.send(b"echo");
    assert_eq!(first.receive(), b"echo");
    let mut second = running.connect();
    second.send(b"e2");
    assert_eq!(running.next_arrival(), "echo");
    assert!(running.arrived.recv_timeout(Duration::from_millis(50)).is_err(), "there is no room yet");
    drop(first);
    assert_eq!(second.receive(), b"e2");
}
