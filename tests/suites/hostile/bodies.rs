//! Bodies that can not be decoded, and fields that lie.

use ottla_protocol::ApiKey;
use ottla_tests::Besieged;
use ottla_tests::besieged::request;
use serde_json::json;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;

#[test]
fn every_api_survives_bodies_of_nonsense() {
    let besieged = Besieged::start(&[]).unwrap();
    let mut connection = besieged.raw().unwrap();
    let advertised =
        connection.ask(ApiKey::ApiVersions, 3, &json!({"clientSoftwareName": "a", "clientSoftwareVersion": "1"}));
    let mut asked = 0;
    for api in advertised.unwrap()["apiKeys"].as_array().unwrap() {
        let key = ApiKey::from_code(i16::try_from(api["apiKey"].as_i64().unwrap()).unwrap()).unwrap();
        for version in key.versions().iter() {
            for pattern in
                [vec![0xff; 300], vec![0x7f; 300], vec![0x80; 300], vec![1; 300], (0..=255).collect(), Vec::new()]
            {
                let is_flexible = key.request_header_version(version) == 2;
                let mut stream = besieged.connect().unwrap();
                stream.write_all(&request(key.code(), version, b"x", is_flexible, &pattern)).unwrap();
                stream.shutdown(Shutdown::Write).unwrap();
                // An answer or an end: what comes is not waited for without limit.
                let mut answer = Vec::new();
                let read = stream.read_to_end(&mut answer);
                assert!(
                    read.is_ok() || read.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset),
                    "{key:?} {version}"
                );
                asked += 1;
            }
        }
    }
    println!("{asked} bodies");
    besieged.stand("bodies").unwrap();
}

#[test]
fn array_lengths_that_lie_end_the_connection_before_anything_is_reserved() {
    let besieged = Besieged::start(&[]).unwrap();
    let before = besieged.peak_kib().unwrap();
    // Metadata 1, CreateTopics 2, Fetch 4, Produce 3: a list of 2^31 - 1, and one of -2, where the first list stands.
    let bodies: [(i16, i16, &[u8]); 4] = [
        (3, 1, &[]),
        (19, 2, &[]),
        (1, 4, &[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0]),
        (0, 3, &[0xff, 0xff, 0, 1, 0, 0, 0, 1]),
    ];
    for (key, version, prefix) in bodies {
        for length in [i32::MAX, -2] {
            let body = [prefix, &length.to_be_bytes(), b"rest"].concat();
            let bytes = request(key, version, b"x", false, &body);
            assert!(besieged.closes(&bytes).unwrap(), "API {key}, a list of {length}");
        }
    }
    let grown = besieged.peak_kib().unwrap() - before;
    assert!(grown < 20 << 10, "lists that are not there took {grown} KiB");
    besieged.stand("lists").unwrap();
}

#[test]
fn texts_that_are_not_utf_8_or_not_there_end_the_connection() {
    let besieged = Besieged::start(&[]).unwrap();
    // A topic in Metadata 1, a group in Heartbeat 0, a transactional id in InitProducerId 0, a user in none yet.
    let bodies: [(ApiKey, i16, &[u8]); 8] = [
        (ApiKey::Metadata, 1, &[0, 0, 0, 1, 0, 3, b't', 0xff, 0xfe]),
        (ApiKey::Metadata, 1, &[0, 0, 0, 1, 0, 3, 0xed, 0xa0, 0x80]),
        (ApiKey::Heartbeat, 0, &[0, 2, 0xc3, 0x28, 0, 0, 0, 1, 0, 1, b'm']),
        (ApiKey::InitProducerId, 0, &[0, 2, 0xf8, 0x88, 0, 0, 0, 1]),
        // Null, a negative length, more than comes, and a compact length of null.
        (ApiKey::Metadata, 1, &[0, 0, 0, 1, 0xff, 0xff]),
        (ApiKey::Metadata, 1, &[0, 0, 0, 1, 0xff, 0xfe]),
        (ApiKey::Metadata, 1, &[0, 0, 0, 1, 0x7f, 0xff, b'x']),
        (ApiKey::Heartbeat, 4, &[0, 0, 0, 0, 1, 2, b'm', 0, 0]),
    ];
    for (key, version, body) in bodies {
        let is_flexible = key.request_header_version(version) == 2;
        let bytes = request(key.code(), version, b"x", is_flexible, body);
        assert!(besieged.closes(&bytes).unwrap(), "{key:?} {version} {body:?}");
    }
    besieged.stand("texts").unwrap();
}

#[test]
fn lists_in_lists_take_no_more_memory_than_a_small_multiple_of_the_request() {
    let besieged = Besieged::start(&[]).unwrap();
    let before = besieged.peak_kib().unwrap();
    // DescribeGroups with 10,000 empty names; OffsetFetch 8 with as many groups, each with null topics.
    let groups: Vec<&str> = vec![""; 10_000];
    let fetches: Vec<_> = groups.iter().map(|_| json!({"groupId": "", "topics": null})).collect();
    let mut connection = besieged.raw().unwrap();
    let described = connection.ask(ApiKey::DescribeGroups, 5, &json!({"groups": groups})).unwrap();
    assert_eq!(described["groups"].as_array().unwrap().len(), 10_000);
    let fetched = connection.ask(ApiKey::OffsetFetch, 8, &json!({"groups": fetches})).unwrap();
    assert_eq!(fetched["groups"].as_array().unwrap().len(), 10_000);
    let grown = besieged.peak_kib().unwrap() - before;
    assert!(grown < 60 << 10, "two requests of 10,000 entries took {grown} KiB");
    besieged.stand("lists in lists").unwrap();
}
