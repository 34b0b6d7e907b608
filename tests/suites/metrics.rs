//! Metrics as Prometheus reads them, and as known dashboards ask for them.

#![allow(clippy::unwrap_used, reason = "a test that can't go on ends")]

use ottla_metrics::declarations::{ALL, NOT_THERE};
use ottla_tests::{Server, free_port, run, workspace};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

/// The names in the expressions of dashboards that people use.
const DASHBOARDS: &str = include_str!("metrics/dashboards.txt");

fn get(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn listener(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

#[test]
fn counters_move_with_traffic_and_known_dashboards_find_their_names() {
    let port = free_port().unwrap();
    let server = Server::start(&[("ottla.metrics.listener", &listener(port))]).unwrap();
    let python = workspace().join("target/venv/bin/python");
    assert!(python.exists(), "{} is missing: cargo xtask test clients installs it", python.display());
    let script = workspace().join("tests/clients/python/metrics_jobs.py");
    let url = format!("http://{}/metrics", listener(port));
    let names = run(Command::new(python).arg(script).args([&server.bootstrap(), &url, "counted"])).unwrap();
    let names: BTreeSet<&str> = names.lines().collect();
    let missing: Vec<&str> = ALL.iter().map(|metric| metric.name).filter(|name| !names.contains(name)).collect();
    assert!(missing.is_empty(), "declared and not shown: {missing:?}");
    let explained = |name: &str| NOT_THERE.iter().any(|(not_there, _)| *not_there == name);
    let wanted = DASHBOARDS.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let unknown: Vec<&str> = wanted
        .clone()
        .filter(|name| {
            let of_summary = name.strip_suffix("_count").or_else(|| name.strip_suffix("_sum")).unwrap_or(name);
            !names.contains(name) && !names.contains(of_summary) && !explained(name)
        })
        .collect();
    assert!(unknown.is_empty(), "dashboards ask for {unknown:?}");
    println!("{} metrics shown, {} names of dashboards looked up", names.len(), wanted.count());
}

#[test]
fn series_of_topics_and_partitions_are_bounded() {
    let port = free_port().unwrap();
    let limits = [
        ("ottla.metrics.listener", listener(port)),
        ("ottla.metrics.topics.max", "3".to_owned()),
        ("ottla.metrics.partitions.max", "4".to_owned()),
        ("num.partitions", "2".to_owned()),
    ];
    let limits: Vec<(&str, &str)> = limits.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let server = Server::start(&limits).unwrap();
    let record = server.directory().join("record");
    std::fs::write(&record, "a record").unwrap();
    for topic in 0..5 {
        let mut kcat = Command::new("kcat");
        let kcat = kcat.args(["-b", &server.bootstrap(), "-P", "-t", &format!("topic-{topic}")]).arg(&record);
        run(kcat).unwrap();
    }
    let page = get(port, "/metrics");
    let count = |beginning: &str| page.lines().filter(|line| line.starts_with(beginning)).count();
    assert_eq!(count("kafka_server_brokertopicmetrics_messagesin_total{topic="), 3, "{page}");
    assert_eq!(count("kafka_log_log_size{"), 4);
    assert!(page.contains("ottla_metrics_left_out{kind=\"topic\"} 2\n"));
    assert!(page.contains("ottla_metrics_left_out{kind=\"partition\"} 6\n"));
}

#[test]
fn a_node_says_whether_it_is_well_and_serves_nothing_unless_asked_to() {
    let port = free_port().unwrap();
    let without = Server::start(&[]).unwrap();
    assert!(!without.log().contains("Metrics:") && TcpStream::connect(("127.0.0.1", port)).is_err());
    let with = Server::start(&[("ottla.metrics.listener", &listener(port))]).unwrap();
    assert!(with.log().contains(&format!("Metrics: http://{}/metrics", listener(port))), "{}", with.log());
    assert!(get(port, "/healthz").ends_with("\r\n\r\nwell\n"));
    assert!(get(port, "/").starts_with("HTTP/1.1 404 "));
}
