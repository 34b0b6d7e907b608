//! Clients that connect, and take, and give, as slowly and as often as they like.

use ottla_protocol::ApiKey;
use ottla_tests::Besieged;
use ottla_tests::besieged::{frame, request};
use serde_json::json;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// Sends as much as the other side takes without waiting.
fn stuff(stream: &mut TcpStream, bytes: &[u8]) {
    stream.set_nonblocking(true).unwrap();
    let mut rest = bytes;
    while !rest.is_empty() {
        match stream.write(rest) {
            Ok(written) => rest = &rest[written..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            // Closed meanwhile.
            Err(_) => break,
        }
    }
    stream.set_nonblocking(false).unwrap();
}

/// Whether the server has closed the connection; what it sent before is passed over.
fn is_over(stream: &mut TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let mut bytes = [0; 1 << 16];
    loop {
        match stream.read(&mut bytes) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() != ErrorKind::WouldBlock,
        }
    }
}

#[test]
fn requests_by_the_thousand_without_reading_do_not_disturb_others() {
    let besieged = Besieged::start(&[]).unwrap();
    let one = request(3, 1, b"x", false, &[0, 0, 0, 0]);
    let many = one.repeat(2_000);
    let mut streams: Vec<TcpStream> = (0..20).map(|_| besieged.connect().unwrap()).collect();
    for stream in &mut streams {
        stream.set_nonblocking(true).unwrap();
        // As much as the server takes while nobody reads what it answers.
        for _ in 0..50 {
            match stream.write(&many) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
    }
    thread::sleep(Duration::from_secs(1));
    drop(streams);
    besieged.stand("pipelines").unwrap();
}

#[test]
fn connections_by_the_thousand_and_halves_of_requests_are_borne() {
    let besieged = Besieged::start(&[]).unwrap();
    let whole = request(18, 0, b"x", false, &[]);
    let streams: Vec<TcpStream> = (0..1_500)
        .map(|number| {
            let mut stream = besieged.connect().unwrap();
            // A part of a request, a different one for each.
            stream.write_all(&whole[..number % whole.len()]).unwrap();
            stream
        })
        .collect();
    // One that ends its side after a whole request still gets the answer.
    let mut half_open = besieged.connect().unwrap();
    half_open.write_all(&whole).unwrap();
    half_open.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    half_open.read_to_end(&mut answer).unwrap();
    assert_eq!(answer.get(4..10), Some(&[0, 0, 0, 7, 0, 0][..]));
    drop(streams);
    besieged.stand("connections").unwrap();
}

#[test]
fn who_connects_and_resets_at_once_thousands_of_times_disturbs_nobody() {
    let besieged = Besieged::start(&[]).unwrap();
    for _ in 0..5_000 {
        let stream = besieged.connect().unwrap();
        // With this, closing resets.
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    }
    besieged.stand("resets").unwrap();
}

#[test]
fn halves_of_requests_beyond_the_limit_close_those_who_hold_the_most() {
    let besieged = Besieged::start(&[("ottla.connections.max.bytes", "16777216")]).unwrap();
    let before = besieged.peak_kib().unwrap();
    // Each announces what is read without asking the budget for requests, and sends all but the last byte.
    let half = &frame(&vec![0; 120 << 10])[..120 << 10];
    let mut streams: Vec<TcpStream> = (0..600).map(|_| besieged.connect().unwrap()).collect();
    streams.iter_mut().for_each(|stream| stuff(stream, half));
    let since = Instant::now();
    // 16 MiB are 139 of them; the others have to go, and those who are small stay.
    while streams.iter_mut().map(|stream| usize::from(!is_over(stream))).sum::<usize>() > 140 {
        assert!(since.elapsed() < Duration::from_secs(30), "halves of requests are kept beyond the limit");
        thread::sleep(Duration::from_millis(5));
    }
    let grown = besieged.peak_kib().unwrap() - before;
    println!("600 halves of requests took {grown} KiB");
    assert!(grown < 48 << 10, "600 halves of requests took {grown} KiB");
    assert!(besieged.server().log().contains("ottla.connections.max.bytes"), "{}", besieged.server().log());
    besieged.stand("halves of requests").unwrap();
}

#[test]
fn answers_that_nobody_takes_beyond_the_limit_close_those_who_hold_the_most() {
    let besieged = Besieged::start(&[("ottla.connections.max.bytes", "16777216")]).unwrap();
    let mut connection = besieged.raw().unwrap();
    // A large answer for a small request.
    let topics: Vec<_> = (0..50)
        .map(|number| json!({"name": format!("{number:0>240}"), "numPartitions": 10, "replicationFactor": 1}))
        .collect();
    let created = connection.ask(ApiKey::CreateTopics, 7, &json!({"topics": topics, "timeoutMs": 30_000})).unwrap();
    assert!(created["topics"].as_array().unwrap().iter().all(|topic| topic["errorCode"] == 0), "{created}");
    let before = besieged.peak_kib().unwrap();
    // Metadata 1 of all topics.
    let ask = request(3, 1, b"x", false, &(-1i32).to_be_bytes()).repeat(200);
    let mut streams: Vec<TcpStream> = (0..200).map(|_| besieged.connect().unwrap()).collect();
    streams.iter_mut().for_each(|stream| stuff(stream, &ask));
    let since = Instant::now();
    while !besieged.server().log().contains("ottla.connections.max.bytes") {
        assert!(since.elapsed() < Duration::from_secs(30), "nobody is closed: {}", besieged.server().log());
        thread::sleep(Duration::from_millis(5));
    }
    besieged.serves_another_record().unwrap();
    let grown = besieged.peak_kib().unwrap() - before;
    println!("200 clients that take nothing took {grown} KiB");
    assert!(grown < 64 << 10, "200 clients that take nothing took {grown} KiB");
    drop(streams);
    besieged.stand("answers").unwrap();
}

#[test]
fn slow_readers_and_slow_writers_get_their_answers_while_others_are_served() {
    let besieged = Besieged::start(&[]).unwrap();
    let ask = request(18, 0, b"x", false, &[]);
    let mut streams: Vec<TcpStream> = (0..100).map(|_| besieged.connect().unwrap()).collect();
    // A byte of a request at a time, in turns; then a byte of an answer at a time.
    for at in 0..ask.len() {
        streams.iter_mut().for_each(|stream| stream.write_all(&ask[at..=at]).unwrap());
    }
    let mut answers = vec![Vec::new(); streams.len()];
    for _ in 0..10 {
        for (stream, answer) in streams.iter_mut().zip(&mut answers) {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            answer.extend(byte);
        }
    }
    assert!(answers.iter().all(|answer| answer[4..10] == [0, 0, 0, 7, 0, 0]));
    besieged.stand("slow clients").unwrap();
}
