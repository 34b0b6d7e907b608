//! More topics, groups and clients than memory likes.

use ottla_protocol::ApiKey;
use ottla_tests::Besieged;
use ottla_tests::{Asker, Server};
use serde_json::{Value, json};
use std::time::Instant;

fn topics(names: impl Iterator<Item = String>, partitions: i32) -> Value {
    let topic = |name| json!({"name": name, "numPartitions": partitions, "replicationFactor": 1});
    json!({"topics": names.map(topic).collect::<Vec<_>>(), "timeoutMs": 30_000})
}

#[test]
fn ten_thousand_topics_in_a_request_are_refused_as_in_kafka() {
    let besieged = Besieged::start(&[]).unwrap();
    let mut connection = besieged.raw().unwrap();
    let ask = topics((0..10_001).map(|number| format!("flood-{number}")), 1);
    let created = connection.ask(ApiKey::CreateTopics, 7, &ask).unwrap();
    let codes: std::collections::BTreeSet<_> =
        created["topics"].as_array().unwrap().iter().map(|topic| topic["errorCode"].as_i64().unwrap()).collect();
    println!("{codes:?}");
    assert!(codes.contains(&44) && !codes.contains(&0), "{codes:?}");
    besieged.stand("topics in a request").unwrap();
}

#[test]
fn partitions_beyond_the_limit_of_the_node_are_refused_and_those_that_there_are_go_on() {
    let besieged = Besieged::start(&[("ottla.partitions.max", "1000")]).unwrap();
    let mut asker = Asker::new(besieged.server().bootstrap());
    let created = asker.ask(ApiKey::CreateTopics, 7, &topics(["wide".to_owned()].into_iter(), 900)).unwrap();
    assert_eq!(created["topics"][0]["errorCode"], 0, "{created}");
    let refused = asker.ask(ApiKey::CreateTopics, 7, &topics(["wider".to_owned()].into_iter(), 200)).unwrap();
    assert_eq!(refused["topics"][0]["errorCode"], 44, "{refused}");
    assert!(refused["topics"][0]["errorMessage"].as_str().unwrap().contains("ottla.partitions.max"), "{refused}");
    let more = json!({"topics": [{"name": "wide", "count": 1100, "assignments": null}], "timeoutMs": 10_000});
    let refused = asker.ask(ApiKey::CreatePartitions, 3, &more).unwrap();
    assert_eq!(refused["results"][0]["errorCode"], 44, "{refused}");
    // Room comes free with what is deleted.
    let delete = json!({"topics": [{"name": "wide"}], "timeoutMs": 10_000});
    let deleted = asker.ask(ApiKey::DeleteTopics, 6, &delete).unwrap();
    assert_eq!(deleted["responses"][0]["errorCode"], 0, "{deleted}");
    let created = asker.ask(ApiKey::CreateTopics, 7, &topics(["wider".to_owned()].into_iter(), 200)).unwrap();
    assert_eq!(created["topics"][0]["errorCode"], 0, "{created}");
    besieged.stand("partitions").unwrap();
}

#[test]
fn five_thousand_groups_with_offsets_take_a_small_memory() {
    let besieged = Besieged::start(&[]).unwrap();
    let mut asker = Asker::new(besieged.server().bootstrap());
    let commit = |number: i32| {
        json!({"groupId": format!("group-{number}"), "generationIdOrMemberEpoch": -1, "memberId": "",
            "topics": [{"name": "good", "partitions": [{"partitionIndex": 0, "committedOffset": 1}]}]})
    };
    asker.ask(ApiKey::FindCoordinator, 4, &json!({"keyType": 0, "coordinatorKeys": ["any"]})).unwrap();
    // What is made once is made now.
    for number in 0..200 {
        asker.ask(ApiKey::OffsetCommit, 8, &commit(number)).unwrap();
    }
    let before = besieged.resident_kib().unwrap();
    let since = Instant::now();
    for number in 0..5_000 {
        let committed = asker.ask(ApiKey::OffsetCommit, 8, &commit(number)).unwrap();
        assert_eq!(committed["topics"][0]["partitions"][0]["errorCode"], 0, "{committed}");
    }
    let grown = besieged.resident_kib().unwrap().saturating_sub(before);
    println!("5,000 groups take {grown} KiB, made in {} ms", since.elapsed().as_millis());
    assert!(grown < 20 << 10, "{grown} KiB");
    besieged.stand("groups").unwrap();
}

#[test]
fn descriptions_of_everything_over_and_over_leave_others_served() {
    let besieged = Besieged::start(&[]).unwrap();
    let mut asker = Asker::new(besieged.server().bootstrap());
    asker.ask(ApiKey::CreateTopics, 7, &topics((0..50).map(|number| format!("t{number}")), 4)).unwrap();
    for _ in 0..50 {
        asker.ask(ApiKey::DescribeCluster, 1, &json!({})).unwrap();
        asker.ask(ApiKey::DescribeLogDirs, 4, &json!({"topics": null})).unwrap();
        let quorum = json!({"topics": [{"topicName": "__cluster_metadata", "partitions": [{"partitionIndex": 0}]}]});
        asker.ask(ApiKey::DescribeQuorum, 2, &quorum).unwrap();
    }
    besieged.stand("descriptions").unwrap();
}

#[test]
fn secrets_of_the_configuration_are_never_shown() {
    let secret = "a-secret-that-must-not-leak";
    let settings = [("ssl.keystore.password", secret), ("sasl.jaas.config", secret), ("ssl.key.password", secret)];
    let server = Server::start(&settings).unwrap();
    let mut asker = Asker::new(server.bootstrap());
    let cluster = asker.ask(ApiKey::DescribeCluster, 1, &json!({})).unwrap();
    let id = cluster["brokers"][0]["brokerId"].to_string();
    let ask = json!({"resources": [{"resourceType": 4, "resourceName": id, "configurationKeys": null}],
        "includeSynonyms": true, "includeDocumentation": true});
    let described = asker.ask(ApiKey::DescribeConfigs, 4, &ask).unwrap();
    let text = described.to_string();
    assert!(text.contains("ssl.keystore.password") && !text.contains(secret), "{text}");
    assert!(!server.log().contains(secret), "{}", server.log());
}
