//! Configuration files that are meant to lead astray: what can be read is read as Java reads it, and what is wrong is named
//! with its line.

use ottla_tests::{binary, free_port};
use std::fs;
use std::process::{Command, Stdio};

/// What a server says that is started with this file. It must end by itself.
fn refusal(contents: &[u8]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("server.properties");
    fs::write(&path, contents).unwrap();
    let child = Command::new(binary().unwrap())
        .arg(&path)
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    said
}

/// A file that would do, with these lines behind it.
fn with(lines: &str) -> Vec<u8> {
    let port = free_port().unwrap();
    format!("listeners=PLAINTEXT://127.0.0.1:{port}\nlog.dirs=data\n{lines}\n").into_bytes()
}

#[test]
fn settings_that_can_not_be_are_refused_with_their_line() {
    let cases = [
        ("num.partitions=9999999999999", "num.partitions"),
        ("num.partitions=0x10", "num.partitions"),
        ("num.partitions=", "num.partitions"),
        ("log.segment.bytes=-1", "log.segment.bytes"),
        ("log.segment.bytes=10MB", "log.segment.bytes"),
        ("socket.request.max.bytes=-100", "socket.request.max.bytes"),
        ("log.retention.ms=99999999999999999999", "log.retention.ms"),
        ("auto.create.topics.enable=maybe", "auto.create.topics.enable"),
        ("ottla.connections.max.bytes=0", "ottla.connections.max.bytes"),
        ("compression.type=zip", "compression.type"),
    ];
    for (line, key) in cases {
        let said = refusal(&with(line));
        assert!(said.contains(key) && said.contains("server.properties:3"), "{line}: {said}");
    }
}

#[test]
fn listeners_that_contradict_each_other_are_refused() {
    let cases: [&str; 6] = [
        "listeners=PLAINTEXT://127.0.0.1:9092,OTHER://127.0.0.1:9092\nlistener.security.protocol.map=PLAINTEXT:PLAINTEXT,OTHER:PLAINTEXT",
        "listeners=PLAINTEXT://127.0.0.1:9092,PLAINTEXT://127.0.0.1:9093",
        "listeners=UNKNOWN://127.0.0.1:9092",
        "listeners=PLAINTEXT://127.0.0.1:99999",
        "listeners=PLAINTEXT://127.0.0.1:9092\nadvertised.listeners=PLAINTEXT://0.0.0.0:9092",
        "listeners=PLAINTEXT://127.0.0.1:9092\ninter.broker.listener.name=NOBODY",
    ];
    for lines in cases {
        let said = refusal(format!("log.dirs=data\n{lines}\n").as_bytes());
        assert!(said.contains("listener"), "{lines}: {said}");
    }
}

#[test]
fn files_that_are_none_are_refused() {
    let million = "num.partitions=1\n".repeat(1_000_000);
    for (what, contents) in [
        ("a million lines", million.as_bytes()),
        ("an escape that is none", b"log.dirs=\\uZZZZ\n"),
        ("an escape that is cut off", b"log.dirs=\\u00"),
    ] {
        let said = refusal(contents);
        assert!(said.contains("server.properties") && said.len() < 2000, "{what}: {said}");
    }
}

#[test]
fn values_that_are_fetched_from_elsewhere_are_fetched_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("values");
    let provider = "config.providers=file\nconfig.providers.file.class=org.apache.kafka.common.config.provider.FileConfigProvider\n";
    // A value that names itself again is that text, and no number.
    fs::write(&path, format!("again=${{file:{}:again}}\n", path.display())).unwrap();
    let said = refusal(&with(&format!("{provider}num.partitions=${{file:{}:again}}", path.display())));
    assert!(said.contains("num.partitions"), "{said}");
    let said = refusal(&with(&format!("{provider}num.partitions=${{file:{}:nothing}}", path.display())));
    assert!(said.contains("num.partitions"), "{said}");
}
