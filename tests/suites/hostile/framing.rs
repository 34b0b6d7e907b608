//! Where requests begin and end.

use ottla_tests::Besieged;
use ottla_tests::besieged::{CORRELATION_ID, frame, request};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

#[test]
fn lengths_that_lie_and_other_protocols_end_the_connection() {
    let besieged = Besieged::start(&[]).unwrap();
    let lengths = [0, -1, i32::MIN, (100 << 20) + 1, i32::MAX];
    for length in lengths {
        assert!(besieged.closes(&i32::to_be_bytes(length)).unwrap(), "a frame of {length} bytes");
    }
    for short in 1..8 {
        assert!(besieged.closes(&frame(&vec![0; short])).unwrap(), "{short} bytes are no header");
    }
    let greetings: [&[u8]; 3] = [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x01\x02\x03\x04\x05\x06\x07",
    ];
    for greeting in greetings {
        assert!(besieged.closes(greeting).unwrap(), "{greeting:?}");
    }
    besieged.stand("lengths").unwrap();
}

#[test]
fn a_length_without_bytes_takes_no_memory() {
    let besieged = Besieged::start(&[]).unwrap();
    let before = besieged.peak_kib().unwrap();
    let announce = i32::to_be_bytes(100 << 20);
    let waiting: Vec<TcpStream> = (0..50)
        .map(|_| {
            let mut stream = besieged.connect().unwrap();
            stream.write_all(&announce).unwrap();
            stream.write_all(&[0; 1000]).unwrap();
            stream
        })
        .collect();
    thread::sleep(Duration::from_millis(500));
    let grown = besieged.peak_kib().unwrap() - before;
    assert!(grown < 50 << 10, "50 announcements of 100 MiB took {grown} KiB");
    drop(waiting);
    besieged.stand("announcements").unwrap();
}

/// An ApiVersions request of version 0 with this correlation id.
fn api_versions(correlation_id: i32) -> Vec<u8> {
    let mut bytes = request(18, 0, b"x", false, &[]);
    bytes[8..12].copy_from_slice(&correlation_id.to_be_bytes());
    bytes
}

/// The correlation id of the next answer.
fn next_correlation_id(stream: &mut TcpStream) -> i32 {
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut answer = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut answer).unwrap();
    i32::from_be_bytes(answer[..4].try_into().unwrap())
}

#[test]
fn correlation_ids_are_echoed_also_when_they_are_negative_or_come_again() {
    let besieged = Besieged::start(&[]).unwrap();
    let mut stream = besieged.connect().unwrap();
    let ids = [-1, i32::MIN, i32::MAX, 0, 5, 5, 5, -1];
    stream.write_all(&ids.map(api_versions).concat()).unwrap();
    assert_eq!(ids.map(|_| next_correlation_id(&mut stream)), ids);
    besieged.stand("correlation ids").unwrap();
}

#[test]
fn requests_cut_at_every_byte_and_glued_together_are_answered() {
    let besieged = Besieged::start(&[]).unwrap();
    let mut stream = besieged.connect().unwrap();
    let one = api_versions(CORRELATION_ID);
    for cut in 1..one.len() {
        stream.write_all(&one[..cut]).unwrap();
        // With the next one's beginning, so that no end of a request is the end of a packet.
        stream.write_all(&[&one[cut..], &one[..]].concat()).unwrap();
        let ids = [next_correlation_id(&mut stream), next_correlation_id(&mut stream)];
        assert_eq!(ids, [CORRELATION_ID; 2], "cut at {cut}");
    }
    besieged.stand("cuts").unwrap();
}

#[test]
fn urgent_bytes_are_no_part_of_a_request() {
    let besieged = Besieged::start(&[]).unwrap();
    let mut stream = besieged.connect().unwrap();
    let one = api_versions(CORRELATION_ID);
    stream.write_all(&one[..7]).unwrap();
    let sent = rustix::net::send(&stream, b"!", rustix::net::SendFlags::OOB).unwrap();
    assert_eq!(sent, 1);
    stream.write_all(&one[7..]).unwrap();
    assert_eq!(next_correlation_id(&mut stream), CORRELATION_ID);
    besieged.stand("urgent bytes").unwrap();
}
