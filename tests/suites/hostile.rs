//! Hostile bytes at a running server: each gets its answer or its end, the memory stays small, and a client that behaves is
//! served all the while.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on ends")]

use ottla_protocol::ApiKey;
use ottla_records::{BatchBuilder, BatchOptions, Compression, CompressionLevel, Compressor, RecordToWrite};
use ottla_tests::Server;
use ottla_tests::raw::{Connection, base64};
use ottla_types::Timestamp;
use serde_json::{Value, json};
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// What the server's memory may grow to, in KiB. Above the decompressed size that one batch is allowed to have, of which
/// each of the few threads that serve connections may hold one.
const RESIDENT_KIB_MAX: u64 = 640 << 10;
/// More than a batch may decompress to.
const BOMB_BYTES: usize = 160 << 20;
/// How long the good client may wait for its next record.
const SERVED_WITHIN: Duration = Duration::from_secs(30);

/// A server, and a client that produces and reads back as long as the test lasts.
struct Besieged {
    server: Server,
    is_over: Arc<AtomicBool>,
    served: Arc<AtomicU64>,
    good_client: Option<JoinHandle<()>>,
}

impl Besieged {
    fn new() -> Self {
        let server = Server::start(&[]).unwrap();
        let mut connection = Connection::open(&server.bootstrap()).unwrap();
        let topic =
            json!({"topics": [{"name": "good", "numPartitions": 1, "replicationFactor": 1}], "timeoutMs": 10_000});
        let created = connection.ask(ApiKey::CreateTopics, 7, &topic).unwrap();
        assert_eq!(created["topics"][0]["errorCode"], 0, "{created}");
        let is_over = Arc::new(AtomicBool::new(false));
        let served = Arc::new(AtomicU64::new(0));
        let (over, count) = (is_over.clone(), served.clone());
        let good_client = Some(thread::spawn(move || behave(&mut connection, &over, &count)));
        let besieged = Self { server, is_over, served, good_client };
        besieged.serves_another_record();
        besieged
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.server.bootstrap()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream
    }

    fn raw(&self) -> Connection {
        Connection::open(&self.server.bootstrap()).unwrap()
    }

    /// The largest resident memory that the process ever had, in KiB.
    fn peak_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.server.process_id().unwrap())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Waits until the good client has been served once more.
    fn serves_another_record(&self) {
        let (before, since) = (self.served.load(Ordering::Relaxed), Instant::now());
        while self.served.load(Ordering::Relaxed) == before {
            let is_served = !self.good_client.as_ref().unwrap().is_finished() && since.elapsed() < SERVED_WITHIN;
            assert!(is_served, "a client that behaves is not served after {before} records");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// The good client was served to the last and still is, and the memory stayed small.
    fn stand(mut self, test: &str) {
        self.serves_another_record();
        self.is_over.store(true, Ordering::Relaxed);
        self.good_client.take().unwrap().join().expect("a client that behaves is served");
        let records = self.served.load(Ordering::Relaxed);
        let peak = self.peak_kib();
        println!("{test}: {records} records beside it, {} MiB at the most", peak >> 10);
        assert!(peak < RESIDENT_KIB_MAX, "{peak} KiB");
        self.server.stop().unwrap();
        assert!(!self.server.log().contains("panicked"), "{}", self.server.log());
    }
}

/// Produces a record and reads it back, over and over, and counts how many.
fn behave(connection: &mut Connection, is_over: &AtomicBool, served: &AtomicU64) {
    let batch = batch(Compression::None, b"good");
    while !is_over.load(Ordering::Relaxed) {
        let count = served.load(Ordering::Relaxed);
        let produced = connection.ask(ApiKey::Produce, 9, &produce("good", &batch)).unwrap();
        let partition = &produced["responses"][0]["partitionResponses"][0];
        assert_eq!(partition["errorCode"], 0, "{produced}");
        assert_eq!(partition["baseOffset"], count, "{produced}");
        let fetched = connection.ask(ApiKey::Fetch, 12, &fetch("good", count)).unwrap();
        let partition = &fetched["responses"][0]["partitions"][0];
        assert_eq!(partition["errorCode"], 0, "{fetched}");
        assert!(!partition["records"].as_str().unwrap().is_empty(), "{fetched}");
        served.fetch_add(1, Ordering::Relaxed);
    }
}

fn produce(topic: &str, batch: &[u8]) -> Value {
    let partition = json!({"index": 0, "records": base64(batch)});
    json!({"transactionalId": null, "acks": -1, "timeoutMs": 10_000,
        "topicData": [{"name": topic, "partitionData": [partition]}]})
}

fn fetch(topic: &str, offset: u64) -> Value {
    let partition = json!({"partition": 0, "fetchOffset": offset, "partitionMaxBytes": 100_000});
    json!({"replicaId": -1, "maxWaitMs": 10_000, "minBytes": 1, "maxBytes": 100_000, "sessionEpoch": -1,
        "topics": [{"topic": topic, "partitions": [partition]}]})
}

fn batch(codec: Compression, value: &[u8]) -> Vec<u8> {
    let options = BatchOptions { compression: CompressionLevel::default_of(codec), ..BatchOptions::default() };
    let mut builder = BatchBuilder::new(options);
    let timestamp = Timestamp(1_700_000_000_000);
    builder.append(&RecordToWrite { timestamp, key: None, value: Some(value), headers: &[] }).unwrap();
    builder.build_vec(&mut Compressor::default()).unwrap()
}

/// Sends bytes and says whether the server closes the connection without a word.
fn is_closed_by(stream: &mut TcpStream, bytes: &[u8]) -> bool {
    // The server may close before it has taken all.
    let _ = stream.write_all(bytes);
    let mut answer = [0; 64];
    match stream.read(&mut answer) {
        Ok(length) => length == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

fn frame(body: &[u8]) -> Vec<u8> {
    [&u32::try_from(body.len()).unwrap().to_be_bytes()[..], body].concat()
}

/// A request header of version 1 (2 when flexible) and a body.
fn request(key: i16, version: i16, client_id: &[u8], is_flexible: bool, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(key.to_be_bytes());
    bytes.extend(version.to_be_bytes());
    bytes.extend(7i32.to_be_bytes());
    bytes.extend(i16::try_from(client_id.len()).unwrap().to_be_bytes());
    bytes.extend(client_id);
    bytes.extend(is_flexible.then_some(0));
    bytes.extend(body);
    frame(&bytes)
}

#[test]
fn lengths_that_lie_and_other_protocols_end_the_connection() {
    let besieged = Besieged::new();
    let lengths = [0, -1, i32::MIN, (100 << 20) + 1, i32::MAX];
    for length in lengths {
        assert!(is_closed_by(&mut besieged.connect(), &i32::to_be_bytes(length)), "a frame of {length} bytes");
    }
    for short in 1..8 {
        assert!(is_closed_by(&mut besieged.connect(), &frame(&vec![0; short])), "{short} bytes are no header");
    }
    let greetings: [&[u8]; 3] = [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x01\x02\x03\x04\x05\x06\x07",
    ];
    for greeting in greetings {
        assert!(is_closed_by(&mut besieged.connect(), greeting), "{greeting:?}");
    }
    besieged.stand("lengths");
}

#[test]
fn a_length_without_bytes_takes_no_memory() {
    let besieged = Besieged::new();
    let before = besieged.peak_kib();
    let announce = i32::to_be_bytes(100 << 20);
    let waiting: Vec<TcpStream> = (0..50)
        .map(|_| {
            let mut stream = besieged.connect();
            stream.write_all(&announce).unwrap();
            stream.write_all(&[0; 1000]).unwrap();
            stream
        })
        .collect();
    thread::sleep(Duration::from_millis(500));
    let grown = besieged.peak_kib() - before;
    assert!(grown < 50 << 10, "50 announcements of 100 MiB took {grown} KiB");
    drop(waiting);
    besieged.stand("announcements");
}

#[test]
fn api_keys_and_versions_that_do_not_exist_end_the_connection_but_for_api_versions() {
    let besieged = Besieged::new();
    for (key, version) in [(-1, 0), (i16::MAX, 0), (999, 3), (0, -1), (0, 99), (3, i16::MAX), (1, 0)] {
        let bytes = request(key, version, b"x", false, &[]);
        assert!(is_closed_by(&mut besieged.connect(), &bytes), "API {key} version {version}");
    }
    // KIP-511: the answer is in version 0, so that any client can read it.
    let mut stream = besieged.connect();
    stream.write_all(&request(18, 99, b"x", true, &[])).unwrap();
    let mut answer = [0; 10];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer[4..], [0, 0, 0, 7, 0, 35]);
    besieged.stand("versions");
}

#[test]
fn every_api_survives_bodies_of_nonsense() {
    let besieged = Besieged::new();
    let mut connection = besieged.raw();
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
                let mut stream = besieged.connect();
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
    besieged.stand("bodies");
}

#[test]
fn array_lengths_that_lie_end_the_connection_before_anything_is_reserved() {
    let besieged = Besieged::new();
    let before = besieged.peak_kib();
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
            assert!(is_closed_by(&mut besieged.connect(), &bytes), "API {key}, a list of {length}");
        }
    }
    let grown = besieged.peak_kib() - before;
    assert!(grown < 20 << 10, "lists that are not there took {grown} KiB");
    besieged.stand("lists");
}

#[test]
fn tags_without_end_are_passed_over_or_end_the_connection() {
    let besieged = Besieged::new();
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
        let mut stream = besieged.connect();
        let _ = stream.write_all(&frame(&bytes));
        let _ = stream.shutdown(Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
    }
    besieged.stand("tags");
}

#[test]
fn names_full_of_control_characters_do_not_reach_the_log() {
    let besieged = Besieged::new();
    let client = [b"\x1b[31m\r\nFAKE LINE \x00\x07".as_slice(), &[b'y'; 20_000]].concat();
    let mut stream = besieged.connect();
    // A body that is refused, so that something is logged.
    assert!(is_closed_by(&mut stream, &request(3, 1, &client, false, &[0x7f, 0xff, 0xff, 0xff])));
    assert!(is_closed_by(&mut besieged.connect(), &request(3, 1, &[0xff, 0xfe, 0x80], false, &[0, 0, 0, 0])));
    let log = besieged.server.log();
    assert!(!log.contains('\x1b') && !log.contains('\x07') && !log.contains("\nFAKE LINE"), "{log}");
    assert!(log.len() < 20_000, "a client's id is not repeated at length");
    besieged.stand("names");
}

#[test]
fn compressed_bombs_on_many_connections_are_refused_one_by_one() {
    let besieged = Besieged::new();
    let zeros = vec![0; BOMB_BYTES];
    for codec in [Compression::Zstd, Compression::Lz4] {
        let bomb = batch(codec, &zeros);
        assert!(bomb.len() < 1 << 20, "{} bytes would be refused for their size", bomb.len());
        let address = besieged.server.bootstrap();
        let throwers: Vec<_> = (0..6)
            .map(|_| {
                let (bomb, address) = (bomb.clone(), address.clone());
                thread::spawn(move || {
                    let answer =
                        Connection::open(&address).unwrap().ask(ApiKey::Produce, 9, &produce("good", &bomb)).unwrap();
                    answer["responses"][0]["partitionResponses"][0]["errorCode"].as_i64().unwrap()
                })
            })
            .collect();
        for thrower in throwers {
            let code = thrower.join().unwrap();
            assert!([2, 10, 87].contains(&code), "{codec:?} answered {code}");
        }
    }
    besieged.stand("bombs");
}

#[test]
fn requests_by_the_thousand_without_reading_do_not_disturb_others() {
    let besieged = Besieged::new();
    let one = request(3, 1, b"x", false, &[0, 0, 0, 0]);
    let many = one.repeat(2_000);
    let mut streams: Vec<TcpStream> = (0..20).map(|_| besieged.connect()).collect();
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
    besieged.stand("pipelines");
}

#[test]
fn connections_by_the_thousand_and_halves_of_requests_are_borne() {
    let besieged = Besieged::new();
    let whole = request(18, 0, b"x", false, &[]);
    let streams: Vec<TcpStream> = (0..1_500)
        .map(|number| {
            let mut stream = besieged.connect();
            // A part of a request, a different one for each.
            stream.write_all(&whole[..number % whole.len()]).unwrap();
            stream
        })
        .collect();
    // One that ends its side after a whole request still gets the answer.
    let mut half_open = besieged.connect();
    half_open.write_all(&whole).unwrap();
    half_open.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    half_open.read_to_end(&mut answer).unwrap();
    assert_eq!(answer.get(4..10), Some(&[0, 0, 0, 7, 0, 0][..]));
    drop(streams);
    besieged.stand("connections");
}

#[test]
fn fetch_sessions_and_group_members_by_the_thousand_are_bounded() {
    let besieged = Besieged::new();
    let mut connection = besieged.raw();
    let session = json!({"replicaId": -1, "maxWaitMs": 0, "minBytes": 0, "maxBytes": 1000, "sessionId": 0, "sessionEpoch": 0,
        "topics": [{"topic": "good", "partitions": [{"partition": 0, "fetchOffset": 0, "partitionMaxBytes": 10}]}]});
    let mut refused = 0;
    for _ in 0..1_200 {
        let fetched = connection.ask(ApiKey::Fetch, 12, &session).unwrap();
        assert_eq!(fetched["errorCode"], 0, "{fetched}");
        refused += i32::from(fetched["sessionId"] == 0);
    }
    assert!(refused >= 200, "the cache has 1,000 slots, {refused} got none");
    let coordinator = json!({"keyType": 0, "coordinatorKeys": ["flood"]});
    connection.ask(ApiKey::FindCoordinator, 6, &coordinator).unwrap();
    let join = json!({"groupId": "flood", "sessionTimeoutMs": 10_000, "rebalanceTimeoutMs": 10_000, "memberId": "",
        "protocolType": "consumer", "protocols": [{"name": "range", "metadata": ""}]});
    for _ in 0..2_000 {
        let joined = connection.ask(ApiKey::JoinGroup, 9, &join).unwrap();
        let code = joined["errorCode"].as_i64().unwrap();
        // MEMBER_ID_REQUIRED; while the coordinator loads it says so.
        assert!([79, 14, 15, 16].contains(&code), "{joined}");
    }
    besieged.stand("sessions and members");
}
