//! Headers of requests, and what their bodies say of themselves.

use ottla_protocol::ApiKey;
use ottla_tests::Besieged;
use ottla_tests::besieged::{CORRELATION_ID, frame, is_closed_by, request};
use std::io::{Read, Write};
use std::net::Shutdown;

#[test]
fn api_keys_and_versions_that_do_not_exist_end_the_connection_but_for_api_versions() {
    let besieged = Besieged::start(&[]).unwrap();
    for (key, version) in [(-1, 0), (i16::MAX, 0), (999, 3), (0, -1), (0, 99), (3, i16::MAX), (1, 0)] {
        let bytes = request(key, version, b"x", false, &[]);
        assert!(besieged.closes(&bytes).unwrap(), "API {key} version {version}");
    }
    // KIP-511: the answer is in version 0, so that any client can read it.
    let mut stream = besieged.connect().unwrap();
    stream.write_all(&request(18, 99, b"x", true, &[])).unwrap();
    let mut answer = [0; 10];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer[4..], [0, 0, 0, 7, 0, 35]);
    besieged.stand("versions").unwrap();
}

#[test]
fn tags_without_end_are_passed_over_or_end_the_connection() {
    let besieged = Besieged::start(&[]).unwrap();
    let mut header = [0, 18, 0, 3, 0, 0, 0, 7, 0, 1].to_vec();
    header.push(b'x');
    // Two million tags of no bytes each, as the count says; then as many as there is no room for.
    let mut many = header.clone();
    many.extend([0x80, 0x89, 0x7a]);
    for tag in 0..1_000_000u32 {
        many.extend([(tag & 0x7f) as u8 | 0x80, (tag >> 7 & 0x7f) as u8 | 0x80, (tag >> 14) as u8, 0]);
    }
    let mut lying = header;
    lying.extend([0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0]);
    for bytes in [many, lying] {
        let mut stream = besieged.connect().unwrap();
        let _ = stream.write_all(&frame(&bytes));
        let _ = stream.shutdown(Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
    }
    besieged.stand("tags").unwrap();
}

#[test]
fn names_full_of_control_characters_do_not_reach_the_log() {
    let besieged = Besieged::start(&[]).unwrap();
    let client = [b"\x1b[31m\r\nFAKE LINE \x00\x07".as_slice(), &[b'y'; 20_000]].concat();
    let mut stream = besieged.connect().unwrap();
    // A body that is refused, so that something is logged.
    assert!(is_closed_by(&mut stream, &request(3, 1, &client, false, &[0x7f, 0xff, 0xff, 0xff])));
    assert!(is_closed_by(&mut besieged.connect().unwrap(), &request(3, 1, &[0xff, 0xfe, 0x80], false, &[0, 0, 0, 0])));
    let log = besieged.server().log();
    assert!(!log.contains('\x1b') && !log.contains('\x07') && !log.contains("\nFAKE LINE"), "{log}");
    assert!(log.len() < 20_000, "a client's id is not repeated at length");
    besieged.stand("names").unwrap();
}

#[test]
fn requests_of_nobody_and_of_everybody_are_answered() {
    let besieged = Besieged::start(&[]).unwrap();
    // A client id may be null, empty, or as long as its length can say.
    let mut nobody = request(18, 0, b"", false, &[]);
    nobody[12..14].copy_from_slice(&(-1i16).to_be_bytes());
    for bytes in [nobody, request(18, 0, b"", false, &[]), request(18, 0, &[b'c'; 32_767], false, &[])] {
        let mut stream = besieged.connect().unwrap();
        stream.write_all(&bytes).unwrap();
        let mut answer = [0; 10];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer[4..], [0, 0, 0, 7, 0, 0]);
    }
    // Other negative lengths are none.
    let mut negative = request(18, 0, b"", false, &[]);
    negative[12..14].copy_from_slice(&(-2i16).to_be_bytes());
    assert!(besieged.closes(&negative).unwrap());
    besieged.stand("nobody").unwrap();
}

#[test]
fn bytes_behind_a_request_are_passed_over() {
    let besieged = Besieged::start(&[]).unwrap();
    let mut stream = besieged.connect().unwrap();
    // Heartbeat 0: a group, a generation, a member, and then what no version knows.
    let body = [&[0, 1, b'g', 0, 0, 0, 1, 0, 1, b'm'][..], &[0xee; 1000]].concat();
    for _ in 0..3 {
        stream.write_all(&request(ApiKey::Heartbeat.code(), 0, b"x", false, &body)).unwrap();
        let mut answer = [0; 10];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer[..8], [0, 0, 0, 6, 0, 0, 0, u8::try_from(CORRELATION_ID).unwrap()]);
    }
    besieged.stand("bytes behind").unwrap();
}
