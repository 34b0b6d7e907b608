//! Watchers of a node, good and bad ones, at the thread that serves pages.

#![allow(clippy::unwrap_used, reason = "a test that can't go on ends")]

use ottla_config::HostPort;
use ottla_env_os::OsClock;
use ottla_net::{HttpListener, HttpServer, Page, Pages};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

/// A page of this many bytes at `/large`, a small one at `/small`.
struct TwoPages;

const LARGE: usize = 16 << 20;

impl Pages for TwoPages {
    fn page(&self, path: &str) -> Option<Page> {
        let body = match path {
            "/large" => "x".repeat(LARGE),
            "/small" => "small".to_owned(),
            _ => return None,
        };
        Some(Page { is_well: true, content_type: "text/plain", body })
    }
}

fn serve() -> (HttpServer, SocketAddr) {
    let listener = HttpListener::bind("METRICS", &HostPort { host: "127.0.0.1".to_owned(), port: 0 }).unwrap();
    let address = listener.address();
    (listener.serve(Arc::new(TwoPages), Arc::new(OsClock::new())).unwrap(), address)
}

fn ask(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

const SMALL: &[u8] = b"GET /small HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn a_watcher_gets_its_page_and_the_connection_ends() {
    let (_server, address) = serve();
    assert!(ask(address, SMALL).ends_with("\r\n\r\nsmall"));
    let large = ask(address, b"GET /large HTTP/1.1\r\n\r\n");
    assert!(large.starts_with("HTTP/1.1 200 OK\r\n") && large.len() > LARGE);
    assert!(ask(address, b"GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404 "));
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let (_server, address) = serve();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    for byte in SMALL {
        stream.write_all(&[*byte]).unwrap();
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("small"), "{answer}");
}

#[test]
fn those_who_say_nothing_or_read_nothing_do_not_keep_others_away() {
    let (_server, address) = serve();
    let mut bad = Vec::new();
    for index in 0..100 {
        let mut stream = TcpStream::connect(address).unwrap();
        // The oldest of them are thrown out, perhaps while they write.
        let _ = stream.write_all(if index % 2 == 0 { b"GET /large HTTP/1.1\r\n\r\n" } else { b"GET /sm" });
        bad.push(stream);
        if index % 10 == 0 {
            assert!(ask(address, SMALL).ends_with("small"));
        }
    }
    assert!(ask(address, SMALL).ends_with("small"));
}

#[test]
fn nonsense_is_refused_and_the_next_one_is_served() {
    let (_server, address) = serve();
    for nonsense in [&b"\x16\x03\x01\x02\x00\r\n\r\n"[..], b"GET /small\r\n\r\n", &[b'a'; 9000]] {
        let mut stream = TcpStream::connect(address).unwrap();
        let _ = stream.write_all(nonsense);
        let mut answer = Vec::new();
        // What was not read of it may reset the connection.
        let _ = stream.read_to_end(&mut answer);
        assert!(!answer.starts_with(b"HTTP/1.1 200"));
    }
    assert!(ask(address, SMALL).ends_with("small"));
}

#[test]
fn stopping_closes_the_port_and_whoever_is_connected() {
    let (server, address) = serve();
    let mut waiting = TcpStream::connect(address).unwrap();
    assert!(ask(address, SMALL).ends_with("small"));
    drop(server);
    assert_eq!(waiting.read(&mut [0; 1]).unwrap_or(0), 0);
    assert!(TcpStream::connect(address).is_err());
}
