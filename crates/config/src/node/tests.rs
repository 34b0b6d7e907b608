use super::*;
use crate::listener::{HostPort, SecurityProtocol};
use crate::properties;

fn read(text: &str) -> Result<(NodeConfig, Vec<Notice>), ConfigErrors> {
    NodeConfig::from_properties(properties::parse(text.as_bytes(), "server.properties").unwrap())
}

fn config(text: &str) -> NodeConfig {
    match read(text) {
        Ok((config, _)) => config,
        Err(errors) => panic!("{text}\n{errors}"),
    }
}

fn errors(text: &str) -> Vec<String> {
    read(text).unwrap_err().0.iter().map(ToString::to_string).collect()
}

const COMBINED: &str = "process.roles=broker,controller\nnode.id=1\ncontroller.listener.names=CONTROLLER\n\
    controller.quorum.voters=1@localhost:9093\nlisteners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093\n";

#[test]
fn the_shipped_configuration_is_a_whole_single_node() {
    let (config, notices) = read(crate::SHIPPED_PROPERTIES).unwrap();
    assert_eq!(notices, []);
    assert_eq!(config.node_id, NodeId::new(0));
    assert_eq!(config.process_roles, Roles { broker: true, controller: true });
    assert_eq!(config.listeners.broker[0].to_string(), "PLAINTEXT://localhost:9092");
    assert_eq!(config.listeners.controller[0].to_string(), "CONTROLLER://localhost:19091");
    assert_eq!(config.offsets.offsets_topic_replication_factor, 1);
    assert_eq!(config.metadata_log_dir, config.log_dirs[0]);
}

#[test]
fn copies_of_the_shipped_configuration_join_as_brokers() {
    let copy = crate::SHIPPED_PROPERTIES
        .replace("broker.id=0", "broker.id=1")
        .replace("localhost:9092", "localhost:9093")
        .replace("log.dirs=ottla-data", "log.dirs=ottla-data-1");
    let config = config(&copy);
    assert_eq!(config.process_roles, Roles { broker: true, controller: false });
    assert!(config.listeners.controller.is_empty());
    assert_eq!(config.quorum.voters[&NodeId::new(0)], HostPort { host: "localhost".into(), port: 19091 });
}

#[test]
fn nodes_of_a_cluster_are_within_this_version() {
    for text in [
        crate::SHIPPED_PROPERTIES.to_owned(),
        crate::SHIPPED_PROPERTIES.replace("broker.id=0", "broker.id=1"),
        COMBINED.to_owned(),
        format!("{COMBINED}controller.quorum.voters=1@localhost:9093,2@b:9093"),
    ] {
        assert_eq!(config(&text).beyond_this_version(), None, "{text}");
    }
}

#[test]
fn what_would_be_missed_without_a_word_is_refused_with_what_to_do() {
    let refused = |line: &str| config(&format!("{COMBINED}{line}\n")).beyond_this_version().unwrap_or_default();
    let authorizer = "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer";
    assert!(refused(authorizer).contains("remove the key if everybody"), "{}", refused(authorizer));
    let tiered = "remote.log.storage.system.enable=true";
    assert!(refused(tiered).contains("tiered storage"), "{}", refused(tiered));
    assert!(refused("log.dirs=/a/b,/c,/a/b/").contains("names /a/b/ twice"), "{}", refused("log.dirs=/a/b,/c,/a/b/"));
    assert_eq!(refused("log.dirs=/a/b,/a/c"), "");
}

#[test]
fn the_ports_of_a_second_and_third_broker_stay_free() {
    let (config, _) = read(crate::SHIPPED_PROPERTIES).unwrap();
    let all = config.listeners.broker.iter().chain(&config.listeners.controller);
    assert!(all.into_iter().all(|endpoint| ![9093, 9094].contains(&endpoint.address.port)));
}

#[test]
fn kafkas_own_shape_of_a_combined_node_is_read() {
    let config = config(COMBINED);
    assert_eq!(config.listeners.broker.len(), 1);
    assert_eq!(config.listeners.advertised_controller[0].to_string(), "CONTROLLER://localhost:9093");
    assert_eq!(config.listeners.security_protocols["CONTROLLER"], SecurityProtocol::Plaintext);
    assert_eq!(config.listeners.inter_broker_listener_name, "PLAINTEXT");
    assert_eq!(config.log_dirs, ["/tmp/kafka-logs"]);
}

#[test]
fn advertised_listeners_replace_those_of_brokers_only() {
    let config = config(&format!("{COMBINED}advertised.listeners=PLAINTEXT://kafka.example.com:19092\n"));
    assert_eq!(config.listeners.advertised_broker[0].to_string(), "PLAINTEXT://kafka.example.com:19092");
    assert_eq!(config.listeners.advertised_controller[0].to_string(), "CONTROLLER://localhost:9093");
}

#[test]
fn either_name_of_the_id_is_enough_and_both_must_agree() {
    assert_eq!(config("broker.id=7").node_id, NodeId::new(7));
    assert_eq!(config("node.id=7\nbroker.id=7").node_id, NodeId::new(7));
    assert_eq!(
        errors("node.id=7\nbroker.id=8"),
        ["server.properties:2: node.id is 7 and broker.id is 8: they must be the same, or one unset"]
    );
    assert_eq!(
        errors("controller.quorum.voters=1@a:1"),
        ["node.id is not set: give each node of the cluster an id of its own, for example node.id=1"]
    );
}

#[test]
fn a_file_without_a_quorum_is_a_node_that_stands_alone() {
    let config = config("log.dirs=a\nlisteners=PLAINTEXT://127.0.0.1:0");
    assert_eq!(config.node_id, NodeId::new(0));
    assert_eq!(config.process_roles, Roles { broker: true, controller: true });
    assert_eq!(config.listeners.controller, []);
    assert_eq!(config.quorum.voters.len(), 1);
    assert_eq!(config.offsets.offsets_topic_replication_factor, 1);
}

#[test]
fn a_bad_value_is_refused_with_file_line_key_and_what_is_allowed() {
    assert_eq!(
        errors("node.id=1\n\nnum.partitions=0\nlog.retention.hours=week"),
        [
            "server.properties:3: Invalid value 0 for configuration num.partitions: Value must be at least 1",
            "server.properties:4: Invalid value week for configuration log.retention.hours: Not a number of type INT",
        ]
    );
}

#[test]
fn a_bad_value_of_a_key_without_effect_is_refused_too() {
    assert_eq!(
        errors("node.id=1\nsasl.server.max.receive.size=x"),
        [
            "server.properties:2: Invalid value x for configuration sasl.server.max.receive.size: Not a number of type INT"
        ]
    );
}

#[test]
fn keys_without_effect_are_named_once_and_unknown_ones_get_a_hint() {
    let (_, notices) = read(
        "node.id=1\nssl.keystore.type=PEM\nsasl.enabled.mechanisms=PLAIN\nlog.retention.hour=1\nzookeeper.connect=a:1\nfoo=1",
    )
    .unwrap();
    let texts: Vec<_> = notices.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "server.properties:6: unknown key foo",
            "server.properties:4: unknown key log.retention.hour; did you mean log.retention.hours?",
            "server.properties:5: zookeeper.connect is ignored: there is no ZooKeeper any more, the nodes keep the metadata \
             themselves",
            "known but without effect in this version: sasl.enabled.mechanisms, ssl.keystore.type",
        ]
    );
}

#[test]
fn the_finest_unit_wins() {
    let hours = config("node.id=1\nlog.retention.hours=2\nlog.roll.hours=1\nlog.roll.jitter.hours=1");
    assert_eq!(hours.topic_defaults.retention_ms, 7_200_000);
    assert_eq!(hours.topic_defaults.segment_ms, 3_600_000);
    assert_eq!(hours.topic_defaults.segment_jitter_ms, 3_600_000);
    let finer = config("node.id=1\nlog.retention.hours=2\nlog.retention.minutes=3\nlog.flush.scheduler.interval.ms=9");
    assert_eq!(finer.topic_defaults.retention_ms, 180_000);
    assert_eq!(finer.topic_defaults.flush_ms, 9);
    assert_eq!(config("node.id=1\nlog.retention.ms=-1").topic_defaults.retention_ms, -1);
    assert_eq!(config("node.id=1\nlog.retention.hours=-5").topic_defaults.retention_ms, -1);
}

#[test]
fn a_dynamic_value_hides_the_synonyms_below_it() {
    let node = config("node.id=1\nlog.retention.hours=2\nnum.partitions=3");
    let dynamic = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let changed =
        node.with_dynamic(&dynamic(&[("log.retention.ms", "5")]), &dynamic(&[("num.partitions", "9")])).unwrap();
    assert_eq!(changed.topic_defaults.retention_ms, 5);
    assert_eq!(changed.topics.num_partitions, 3, "read-only keys don't change");
    let back = changed.with_dynamic(&BTreeMap::new(), &BTreeMap::new()).unwrap();
    assert_eq!(back, node);
}

#[test]
fn contradictions_are_refused_in_sentences() {
    for (text, part) in [
        (format!("{COMBINED}controller.quorum.voters=2@a:1"), "must be one of the voters"),
        (COMBINED.replace("broker,controller", "broker"), "process.roles must contain controller"),
        (COMBINED.replace(",CONTROLLER://localhost:9093", ""), "a controller needs a listener"),
        (format!("{COMBINED}advertised.listeners=PLAINTEXT://0.0.0.0:1"), "nobody can connect to 0.0.0.0"),
        (format!("{COMBINED}inter.broker.listener.name=INSIDE"), "on the listener INSIDE"),
        (COMBINED.replace("localhost:9093", "localhost:9092"), "9092 is there twice"),
        (format!("{COMBINED}queued.max.request.bytes=1"), "at least socket.request.max.bytes"),
        ("node.id=1\nlisteners=SECRET://:1".to_owned(), "no entry for the listener SECRET"),
        ("listeners=SSL://:1".to_owned(), "SSL is not built yet"),
        ("node.id=1\nlisteners=localhost:1".to_owned(), "name://host:port"),
        ("node.id=1\nprocess.roles=broker".to_owned(), "controller.quorum.voters is not set"),
        ("node.id=1\nmax.connections.per.ip.overrides=a".to_owned(), "address:count"),
    ] {
        let errors = errors(&text);
        assert!(errors.iter().any(|error| error.contains(part)), "{text}\n{errors:?}");
    }
}

#[test]
fn every_key_of_the_typed_structs_is_obeyed() {
    let structs = [
        SocketConfig::KEYS,
        FetchConfig::KEYS,
        TopicCreationConfig::KEYS,
        LogConfig::KEYS,
        MetadataLogConfig::KEYS,
        RaftConfig::KEYS,
        ControllerConfig::KEYS,
        BrokerLifecycleConfig::KEYS,
        ReplicationConfig::KEYS,
        PeerConfig::KEYS,
        GroupConfig::KEYS,
        OffsetsConfig::KEYS,
        ProducerIdConfig::KEYS,
        TransactionConfig::KEYS,
    ];
    for name in structs.concat() {
        assert!(keys::find(Scope::Broker, name).is_some_and(|key| key.obeyed), "{name}");
    }
}

#[test]
fn metrics_are_served_where_the_file_says_and_nowhere_without_it() {
    assert_eq!(config("").metrics_listener, None);
    let there = config("ottla.metrics.listener=[::1]:9404").metrics_listener;
    assert_eq!(there, Some(HostPort { host: "::1".to_owned(), port: 9404 }));
    let wrong = errors("ottla.metrics.listener=9404");
    assert!(
        wrong.len() == 1 && wrong[0].contains("ottla.metrics.listener") && wrong[0].contains("host:port"),
        "{wrong:?}"
    );
}
