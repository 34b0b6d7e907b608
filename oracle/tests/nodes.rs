//! The oracle's own promises: it installs, starts, serves, restarts and stops.

#![allow(clippy::unwrap_used)]

use ottla_oracle::{NodeOptions, Oracle};

#[test]
fn a_node_serves_tools_and_keeps_its_topics_over_a_restart() {
    let oracle = Oracle::install().unwrap();
    let mut node = oracle.start(&NodeOptions::default().property("num.partitions", 3)).unwrap();
    let server = node.bootstrap_server();
    let created =
        oracle.run_tool("kafka-topics.sh", &["--bootstrap-server", &server, "--create", "--topic", "a"]).unwrap();
    assert_eq!((created.code, created.stdout.as_str()), (Some(0), "Created topic a.\n"), "{}", created.stderr);
    node.kill();
    node.restart().unwrap();
    let listed = oracle.run_tool("kafka-topics", &["--bootstrap-server", &server, "--list"]).unwrap();
    assert_eq!(listed.stdout, "a\n");
    node.stop().unwrap();
    assert!(node.process_id().is_none());
    let directory = node.directory().to_owned();
    drop(node);
    assert!(!directory.exists());
}

#[test]
fn every_tool_but_the_unserved_ones_has_a_class() {
    assert!(ottla_oracle::tools::names().all(|name| ottla_oracle::tools::main_class(name).is_some()));
    assert!(ottla_oracle::tools::main_class("kafka-metadata-shell").is_none());
}

#[test]
fn the_version_is_the_one_in_the_file() {
    let file = std::fs::read_to_string(Oracle::workspace().join("oracle/KAFKA_VERSION")).unwrap();
    assert_eq!(ottla_oracle::KAFKA_VERSION, file.trim());
}
