//! Servers that mean harm to our client: every call ends with an error, in time.

use ottla_client::{Admin, ClientSettings, Result};
use ottla_protocol::ApiKey;
use ottla_tests::Server;
use ottla_tests::raw::Connection;
use ottla_types::TopicPartition;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// How long a call may take by its settings, and how long it may take here.
const API_TIMEOUT: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(30);

/// What becomes of an answer, its length included.
type Tamper = fn(Vec<u8>) -> Vec<u8>;

/// The next frame with its length; nothing at the end.
fn next_frame(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut frame = vec![0; 4];
    stream.read_exact(&mut frame).ok()?;
    let length = u32::from_be_bytes(frame[..4].try_into().unwrap()) as usize;
    frame.resize(4 + length, 0);
    stream.read_exact(&mut frame[4..]).ok()?;
    Some(frame)
}

/// Listens, and lets a server answer; on each connection the answer of this number is tampered with.
fn between(server: String, number: usize, tamper: Tamper) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for client in listener.incoming() {
            let (Ok(mut client), Ok(mut server)) = (client, TcpStream::connect(&server)) else { return };
            thread::spawn(move || {
                let mut count = 0;
                while let Some(request) = next_frame(&mut client) {
                    if server.write_all(&request).is_err() {
                        return;
                    }
                    let Some(mut answer) = next_frame(&mut server) else { return };
                    if count == number {
                        answer = tamper(answer);
                    }
                    count += 1;
                    if client.write_all(&answer).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

async fn describe(address: &str) -> Result<()> {
    let mut settings = ClientSettings::new(address);
    (settings.api_timeout, settings.request_timeout) = (API_TIMEOUT, API_TIMEOUT / 2);
    let admin = Admin::new(settings)?;
    let described = admin.describe_cluster().await;
    admin.close();
    described.map(drop)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

#[test]
fn answers_that_lie_end_a_call_with_an_error_and_in_time() {
    let server = Server::start(&[]).unwrap();
    let tampers: [(&str, Tamper); 9] = [
        ("a length of 2^31 - 1", |answer| [&i32::MAX.to_be_bytes(), &answer[4..]].concat()),
        ("a length below zero", |answer| [&(-1i32).to_be_bytes(), &answer[4..]].concat()),
        ("an alert of TLS", |_| vec![0x15, 3, 3, 0, 2, 2, 0x28]),
        ("a page", |_| b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
        ("the answer to another request", |mut answer| {
            answer[7] ^= 0x55;
            answer
        }),
        ("half an answer", |answer| {
            let half = &answer[4..answer.len() / 2];
            [&(half.len() as u32).to_be_bytes(), half].concat()
        }),
        ("numbers as great as can be", |mut answer| {
            answer[8..].fill(0x7f);
            answer
        }),
        ("numbers without an end", |mut answer| {
            answer[8..].fill(0xff);
            answer
        }),
        ("an answer to nothing", |answer| [&[0, 0, 0, 4, 0x7f, 0xff, 0xff, 0xff], &answer[..]].concat()),
    ];
    let runtime = runtime();
    let untouched = between(server.bootstrap(), usize::MAX, |answer| answer);
    runtime.block_on(describe(&untouched)).unwrap();
    // All at the same time: each waits for its time to be over. The first answer is of ApiVersions, the next of what is asked.
    let calls = tampers.iter().flat_map(|(what, tamper)| [(*what, 0, *tamper), (*what, 1, *tamper)]);
    let since = Instant::now();
    let running: Vec<_> = calls
        .map(|(what, number, tamper)| {
            let address = between(server.bootstrap(), number, tamper);
            (what, number, runtime.spawn(async move { describe(&address).await }))
        })
        .collect();
    for (what, number, call) in running {
        let ended = runtime.block_on(call).unwrap();
        assert!(ended.is_err(), "{what} in answer {number}");
    }
    assert!(since.elapsed() < PATIENCE, "{:?}", since.elapsed());
}

#[test]
fn metadata_that_leads_nowhere_ends_a_call_with_an_error_and_in_time() {
    // Nobody listens on the port that clients are told.
    let server = Server::start(&[("advertised.listeners", "PLAINTEXT://127.0.0.1:1")]).unwrap();
    let topic = json!({"topics": [{"name": "t", "numPartitions": 1, "replicationFactor": 1}], "timeoutMs": 10_000});
    Connection::open(&server.bootstrap()).unwrap().ask(ApiKey::CreateTopics, 7, &topic).unwrap();
    let mut settings = ClientSettings::new(&server.bootstrap());
    (settings.api_timeout, settings.request_timeout) = (API_TIMEOUT, API_TIMEOUT / 2);
    let since = Instant::now();
    let deleted = runtime().block_on(async {
        let admin = Admin::new(settings)?;
        // Only the leader can do it.
        let deleted = admin.delete_records(&BTreeMap::from([(TopicPartition::new("t", 0), 0)])).await;
        admin.close();
        deleted
    });
    let is_done = deleted.is_ok_and(|partitions| partitions.values().any(Result::is_ok));
    assert!(!is_done && since.elapsed() < PATIENCE, "{:?}", since.elapsed());
}
