//! What Ottla advertises has exactly the version ranges that Apache Kafka answers on the same kind of listener.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on ends")]

use ottla_oracle::{NodeOptions, Oracle};
use ottla_tests::{Server, free_port};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;

/// The ranges by API key, as ApiVersions version 0 tells them.
fn advertised(address: &str) -> BTreeMap<i16, (i16, i16)> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(&[0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff]).unwrap();
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut answer = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut answer).unwrap();
    let number = |at: usize| i16::from_be_bytes(answer[at..at + 2].try_into().unwrap());
    assert_eq!(number(4), 0, "no error");
    // Correlation id, error code and count stand before the entries.
    (10..answer.len()).step_by(6).map(|at| (number(at), (number(at + 2), number(at + 4)))).collect()
}

#[test]
fn every_advertised_api_has_the_range_that_apache_kafka_answers() {
    let kafka = Oracle::at_home().start(&NodeOptions::default()).unwrap();
    let controller = free_port().unwrap();
    let voters = format!("1@127.0.0.1:{controller}");
    let ottla = Server::start(&[("node.id", "1"), ("controller.quorum.voters", &voters)]).unwrap();
    let listeners = [
        (ottla.bootstrap(), kafka.bootstrap_server()),
        (format!("127.0.0.1:{controller}"), kafka.bootstrap_controller()),
    ];
    for (ours, theirs) in listeners {
        let (ours, theirs) = (advertised(&ours), advertised(&theirs));
        assert!(!ours.is_empty());
        for (key, range) in &ours {
            assert_eq!(Some(range), theirs.get(key), "API {key}");
        }
        println!("{} of {} APIs advertised, with equal ranges", ours.len(), theirs.len());
    }
}
