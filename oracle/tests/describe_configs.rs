//! Our descriptions of configurations against what Kafka's tool shows of a node with the same ones.

#![allow(clippy::unwrap_used)]

use ottla_config::describe::{self, ConfigEntry, ConfigSource};
use ottla_config::{NodeConfig, properties};
use ottla_oracle::{Node, NodeOptions, Oracle};
use std::collections::BTreeMap;

#[test]
fn values_sources_and_synonyms_are_those_of_apache_kafka() {
    let oracle = Oracle::install().unwrap();
    let options = NodeOptions::default()
        .property("log.retention.hours", 2)
        .property("log.cleaner.min.cleanable.ratio", "0.25")
        .property("num.network.threads", " 4 ")
        .property("ssl.keystore.password", "secret")
        .property("a.plugins.key", 1);
    let node = oracle.start(&options).unwrap();
    alter(&oracle, &node, &["--broker", "1"], "log.retention.ms=7200001,log.cleaner.threads=2,b.plugins.key=1");
    alter(&oracle, &node, &["--broker-defaults"], "log.segment.bytes=2097152,compression.type=lz4,c.plugins.key=2");
    let topic = ["--create", "--topic", "a", "--config", "segment.bytes=3145728", "--config", "retention.bytes=5"];
    let created =
        oracle.run_tool("kafka-topics", &[&["--bootstrap-server", &node.bootstrap_server()], &topic[..]].concat());
    assert_eq!(created.as_ref().unwrap().code, Some(0), "{created:?}");

    let text = std::fs::read(node.directory().join("server.properties")).unwrap();
    let (config, _) = NodeConfig::from_properties(properties::parse(&text, "server.properties").unwrap()).unwrap();
    let cluster = map(&[
        ("log.segment.bytes", "2097152"),
        ("compression.type", "lz4"),
        ("c.plugins.key", "2"),
        // The controller of Apache Kafka writes this one where eligible leader replicas are on.
        ("min.insync.replicas", "1"),
    ]);
    let broker = map(&[("log.retention.ms", "7200001"), ("log.cleaner.threads", "2"), ("b.plugins.key", "1")]);
    let config = config.with_dynamic(&cluster, &broker).unwrap();
    let overrides = map(&[("segment.bytes", "3145728"), ("retention.bytes", "5")]);

    for (entity, ours) in [
        (vec!["--broker", "1", "--all"], describe::broker(&config, None)),
        (vec!["--topic", "a", "--all"], describe::topic(&config, &overrides, None)),
        (vec!["--broker-defaults"], describe::broker_defaults(&config, None)),
    ] {
        let ours: Vec<String> = ours.iter().map(line).collect();
        let mut differences: Vec<String> = Vec::new();
        let theirs = described(&oracle, &node, &entity);
        differences.extend(theirs.iter().filter(|line| !ours.contains(line)).map(|line| format!("theirs {line}")));
        differences.extend(ours.iter().filter(|line| !theirs.contains(line)).map(|line| format!("ours   {line}")));
        differences.sort_by_key(|line| line.split_once(' ').map(|(_, rest)| rest.trim().to_owned()));
        assert!(differences.is_empty(), "{entity:?}:\n{}", differences.join("\n"));
        println!("{entity:?}: {} keys alike", theirs.len());
    }
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn alter(oracle: &Oracle, node: &Node, entity: &[&str], configs: &str) {
    let server = node.bootstrap_server();
    let arguments = [&["--bootstrap-server", &server, "--alter", "--add-config", configs], entity].concat();
    let altered = oracle.run_tool("kafka-configs", &arguments).unwrap();
    assert_eq!(altered.code, Some(0), "{altered:?}");
}

fn described(oracle: &Oracle, node: &Node, entity: &[&str]) -> Vec<String> {
    let server = node.bootstrap_server();
    let arguments = [&["--bootstrap-server", &server, "--describe"], entity].concat();
    let described = oracle.run_tool("kafka-configs", &arguments).unwrap();
    assert_eq!(described.code, Some(0), "{described:?}");
    described.stdout.lines().filter(|line| line.starts_with("  ")).map(|line| line.trim().to_owned()).collect()
}

/// An entry as Kafka's tool prints it.
fn line(entry: &ConfigEntry) -> String {
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "null".to_owned());
    let synonyms: Vec<String> = entry
        .synonyms
        .iter()
        .map(|synonym| format!("{}:{}={}", source(synonym.source), synonym.name, text(&synonym.value)))
        .collect();
    let sensitive = entry.is_sensitive;
    format!("{}={} sensitive={sensitive} synonyms={{{}}}", entry.name, text(&entry.value), synonyms.join(", "))
}

fn source(source: ConfigSource) -> &'static str {
    match source {
        ConfigSource::DynamicTopic => "DYNAMIC_TOPIC_CONFIG",
        ConfigSource::DynamicBroker => "DYNAMIC_BROKER_CONFIG",
        ConfigSource::DynamicDefaultBroker => "DYNAMIC_DEFAULT_BROKER_CONFIG",
        ConfigSource::StaticBroker => "STATIC_BROKER_CONFIG",
        ConfigSource::Default => "DEFAULT_CONFIG",
        ConfigSource::DynamicBrokerLogger => "DYNAMIC_BROKER_LOGGER_CONFIG",
        ConfigSource::ClientMetrics => "DYNAMIC_CLIENT_METRICS_CONFIG",
        ConfigSource::Group => "DYNAMIC_GROUP_CONFIG",
    }
}
