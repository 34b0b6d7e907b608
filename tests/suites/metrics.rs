//! Metrics as Prometheus reads them, and as known dashboards ask for them.

#![allow(clippy::unwrap_used, reason = "a test that can't go on ends")]

use ottla_metrics::declarations::{ALL, NOT_THERE};
use ottla_protocol::{ApiKey, ErrorCode};
use ottla_tests::raw::Connection;
use ottla_tests::{Server, free_port, run, workspace};
use serde_json::json;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

/// The names in the expressions of dashboards that people use.
const DASHBOARDS: &str = include_str!("metrics/dashboards.txt");

fn get(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn python(script: &str, arguments: &[&str]) -> String {
    let python = workspace().join("target/venv/bin/python");
    assert!(python.exists(), "{} is missing: cargo xtask test clients installs it", python.display());
    run(Command::new(python).arg(workspace().join("tests/clients/python").join(script)).args(arguments)).unwrap()
}

fn listener(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

#[test]
fn counters_move_with_traffic_and_known_dashboards_find_their_names() {
    let port = free_port().unwrap();
    let server = Server::start(&[("ottla.metrics.listener", &listener(port))]).unwrap();
    let url = format!("http://{}/metrics", listener(port));
    let names = python("metrics_jobs.py", &[&server.bootstrap(), &url, "counted"]);
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
    // It serves clients a moment before it says so.
    let line = format!("Metrics: http://{}/metrics", listener(port));
    let end = Instant::now() + Duration::from_secs(10);
    while !with.log().contains(&line) {
        assert!(Instant::now() < end, "{}", with.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(get(port, "/healthz").ends_with("\r\n\r\nwell\n"));
    assert!(get(port, "/").starts_with("HTTP/1.1 404 "));
}

#[test]
fn metrics_that_clients_push_are_shown_with_the_client_as_labels() {
    let port = free_port().unwrap();
    let settings =
        [("ottla.metrics.listener", listener(port)), ("ottla.metrics.client.telemetry.enable", "true".to_owned())];
    let settings: Vec<(&str, &str)> = settings.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let server = Server::start(&settings).unwrap();
    let set = |name: &str, value: &str| json!({"name": name, "configOperation": 0, "value": value});
    let configs = json!([set("interval.ms", "100"), set("metrics", "org.apache.kafka.")]);
    let subscription = json!({"resources": [{"resourceType": 16, "resourceName": "all", "configs": configs}]});
    let mut connection = Connection::open(&server.bootstrap()).unwrap();
    let answer = connection.ask(ApiKey::IncrementalAlterConfigs, 1, &subscription).unwrap();
    assert_eq!(answer["responses"][0]["errorCode"], 0, "{answer}");
    let url = format!("http://{}/metrics", listener(port));
    let names = python("telemetry_jobs.py", &[&server.bootstrap(), &url, "pushed"]);
    println!("{names}");
    // Whatever else somebody pushes: it is refused, and the server goes on.
    let asked =
        connection.ask(ApiKey::GetTelemetrySubscriptions, 0, &json!({"clientInstanceId": "AAAAAAAAAAAAAAAAAAAAAA"}));
    let asked = asked.unwrap();
    for (compression, metrics) in [(0, "CgAK"), (1, "H4sI"), (4, "KLUv/Q=="), (3, "////")] {
        let push = json!({
            "clientInstanceId": asked["clientInstanceId"], "subscriptionId": asked["subscriptionId"],
            "terminating": false, "compressionType": compression, "metrics": metrics,
        });
        let answer = connection.ask(ApiKey::PushTelemetry, 0, &push).unwrap();
        let code = answer["errorCode"].as_i64().unwrap();
        let refusals =
            [ErrorCode::InvalidRecord, ErrorCode::ThrottlingQuotaExceeded].map(|code| i64::from(code.code()));
        assert!(refusals.contains(&code), "{answer}");
    }
    assert!(get(port, "/healthz").ends_with("well\n"));
}
