//! A process that may open few files, and more clients than that.

use ottla_protocol::ApiKey;
use ottla_tests::Besieged;
use serde_json::json;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// How many files the server may open.
const OPEN_FILES_MAX: &str = "--nofile=300:300";

/// Whether somebody is served.
fn is_served(stream: &mut TcpStream) -> bool {
    let ask = ottla_tests::besieged::request(18, 0, b"x", false, &[]);
    let mut answer = [0; 10];
    stream.write_all(&ask).and_then(|()| stream.read_exact(&mut answer)).is_ok()
}

#[test]
fn clients_beyond_the_descriptors_of_the_process_are_refused_and_logs_go_on() {
    let besieged = Besieged::start_by(&["prlimit", OPEN_FILES_MAX], &[]).unwrap();
    let mut admin = besieged.raw().unwrap();
    let mut streams: Vec<TcpStream> = (0..500).map(|_| besieged.connect().unwrap()).collect();
    let served = streams.iter_mut().filter_map(|stream| is_served(stream).then_some(())).count();
    assert!((100..300).contains(&served), "{served} of 500 clients are served by 300 descriptors");
    // Files are still opened: more partitions than descriptors are left.
    let topic = |number: i32| json!({"name": format!("t{number}"), "numPartitions": 20, "replicationFactor": 1});
    for number in 0..10 {
        let created =
            admin.ask(ApiKey::CreateTopics, 7, &json!({"topics": [topic(number)], "timeoutMs": 10_000})).unwrap();
        assert_eq!(created["topics"][0]["errorCode"], 0, "{created}");
    }
    let batch = ottla_tests::besieged::batch(ottla_records::Compression::None, b"v").unwrap();
    for number in 0..10 {
        let ask = ottla_tests::besieged::produce(&format!("t{number}"), &batch);
        let produced = admin.ask(ApiKey::Produce, 9, &ask).unwrap();
        assert_eq!(produced["responses"][0]["partitionResponses"][0]["errorCode"], 0, "{produced}");
    }
    besieged.serves_another_record().unwrap();
    let log = besieged.server().log();
    assert!(log.contains("file descriptors") && log.len() < 100_000, "{log}");
    // Who goes makes room.
    drop(streams);
    let since = Instant::now();
    loop {
        let mut stream = besieged.connect().unwrap();
        if is_served(&mut stream) {
            break;
        }
        assert!(since.elapsed() < Duration::from_secs(30), "nobody is let in again");
    }
    besieged.stand("descriptors").unwrap();
}

#[test]
fn as_many_files_may_be_open_as_the_hard_limit_says() {
    let besieged = Besieged::start_by(&["prlimit", "--nofile=100:3000"], &[]).unwrap();
    let mut streams: Vec<TcpStream> = (0..500).map(|_| besieged.connect().unwrap()).collect();
    for stream in &mut streams {
        assert!(is_served(stream));
    }
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", besieged.server().process_id().unwrap())).unwrap();
    let files: Vec<_> =
        limits.lines().find(|line| line.starts_with("Max open files")).unwrap().split_whitespace().collect();
    assert_eq!(files[3..5], ["3000", "3000"]);
    drop(streams);
    besieged.stand("limits").unwrap();
}

#[test]
fn a_client_that_is_closed_gets_the_end_and_no_reset_of_what_it_has_read() {
    let besieged = Besieged::start_by(&["prlimit", OPEN_FILES_MAX], &[]).unwrap();
    let mut streams: Vec<TcpStream> = (0..400).map(|_| besieged.connect().unwrap()).collect();
    let mut refused = 0;
    for stream in &mut streams {
        stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        match stream.read(&mut [0]) {
            Ok(0) => refused += 1,
            Ok(_) => panic!("nobody has asked anything"),
            Err(error) => {
                assert!([ErrorKind::WouldBlock, ErrorKind::ConnectionReset].contains(&error.kind()), "{error}")
            }
        }
    }
    assert!(refused > 100, "{refused} of 400 are refused");
    drop(streams);
    besieged.stand("refusals").unwrap();
}
