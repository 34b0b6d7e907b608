//! Values of `server.properties` that stand in other files (KIP-297, KIP-421) are the same on Ottla and on Apache Kafka.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on ends")]

use ottla_oracle::{NodeOptions, Oracle};
use ottla_protocol::ApiKey;
use ottla_tests::{Asker, Server};
use serde_json::{Value, json};
use std::fs;

const KEYS: [&str; 4] = ["num.partitions", "log.retention.hours", "log.segment.bytes", "compression.type"];

/// What a server says of itself.
fn values(address: String, id: &str) -> Vec<(String, Value, Value)> {
    let resource = json!({ "resourceType": 4, "resourceName": id, "configurationKeys": KEYS });
    let mut asker = Asker::new(address);
    let answer = asker.ask(ApiKey::DescribeConfigs, 4, &json!({ "resources": [resource] })).unwrap();
    let configs = answer["results"][0]["configs"].as_array().unwrap().iter();
    let mut values: Vec<_> = configs
        .map(|config| {
            (config["name"].as_str().unwrap().to_owned(), config["value"].clone(), config["configSource"].clone())
        })
        .collect();
    values.sort_by(|a, b| a.0.cmp(&b.0));
    values
}

#[test]
fn values_from_files_and_directories_are_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    fs::write(folder.path().join("more.properties"), "partitions = 7\nhours=9\n").unwrap();
    fs::write(folder.path().join("segment"), "2097152").unwrap();
    let class = |name: &str| format!("org.apache.kafka.common.config.provider.{name}");
    let settings: Vec<(&str, String)> = vec![
        ("node.id", "1".to_owned()),
        ("config.providers", "file,dir,env".to_owned()),
        ("config.providers.file.class", class("FileConfigProvider")),
        ("config.providers.file.param.allowed.paths", path.to_owned()),
        ("config.providers.dir.class", class("DirectoryConfigProvider")),
        ("config.providers.env.class", class("EnvVarConfigProvider")),
        ("num.partitions", format!("${{file:{path}/more.properties:partitions}}")),
        ("log.retention.hours", format!("1${{file:{path}/more.properties:hours}}")),
        ("log.segment.bytes", format!("${{dir:{path}:segment}}")),
    ];
    let options = settings.iter().fold(NodeOptions::default(), |options, (key, value)| options.property(key, value));
    let kafka = Oracle::at_home().start(&options).unwrap();
    let borrowed: Vec<(&str, &str)> = settings.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let ottla = Server::start(&borrowed).unwrap();
    let ours = values(ottla.bootstrap(), "1");
    assert_eq!(ours, values(kafka.bootstrap_server(), "1"));
    let value = |name: &str| &ours.iter().find(|(other, ..)| other == name).unwrap().1;
    assert_eq!((value("num.partitions"), value("log.retention.hours")), (&json!("7"), &json!("19")));
    assert_eq!(value("log.segment.bytes"), "2097152");
}
