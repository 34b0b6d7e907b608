//! Nothing that was acknowledged is lost when the server is killed again and again under load.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on ends")]

use ottla_oracle::Oracle;
use ottla_tests::{Server, workspace};
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

/// How often the server is killed.
const KILLS: u64 = 100;

/// Idempotent producers and two groups work while the server is killed a hundred times. Afterwards every acknowledged
/// record is at its offset, once, in its producer's order, and no group's commit has gone back.
#[test]
fn a_hundred_kills_lose_nothing_that_was_acknowledged() {
    let mut server = Server::start(&[("log.segment.bytes", "1048576")]).unwrap();
    let oracle = Oracle::at_home();
    let classes = oracle.compile(&workspace().join("tests/clients/jvm")).unwrap();
    let class_path = format!("{}:{}", classes.display(), oracle.class_path());
    let mut load = Command::new("java")
        .args(["-Xmx256M", "-cp", &class_path, "CrashLoad", &server.bootstrap()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(load.stdout.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    assert_eq!(line, "loaded\n");
    for kill in 0..KILLS {
        // Different moments of the clients' reconnecting and working are hit.
        sleep(Duration::from_millis(100 + kill * 37 % 300));
        server.kill().unwrap();
        server.launch().unwrap();
    }
    sleep(Duration::from_secs(1));
    drop(load.stdin.take());
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    let status = load.wait().unwrap();
    println!("{KILLS} kills: {rest}");
    assert!(status.success(), "{rest}\n{}", server.log());
}
