//! All that a server tells of what it keeps.

use super::calls::{ask, began};
use super::groups::{CLASSIC_GROUPS, CONSUMER_GROUPS, GROUPS};
use super::mixed::MIXED_GROUPS;
use super::producers::{FENCED, TAKEN};
use super::settings;
use super::topics::TOPICS;
use ottla_protocol::ApiKey;
use ottla_tests::Asker;
use serde_json::{Map, Value, json};

/// What was asked, and what was answered.
pub(crate) type Picture = Vec<(String, Value)>;

/// The times of ListOffsets that stand for something: latest, earliest, of the largest timestamp, earliest on this disk,
/// latest elsewhere, earliest not elsewhere yet.
const SPECIAL_TIMES: [i64; 6] = [-1, -2, -3, -4, -5, -6];

/// The same in an order that does not depend on hash tables, without what is of the moment.
fn ordered(value: &Value) -> Value {
    // Leader epochs rise with every start; the space of a disk is everybody's.
    const OF_THE_MOMENT: [&str; 6] =
        ["throttleTimeMs", "sessionId", "leaderEpoch", "totalBytes", "usableBytes", "finalizedFeaturesEpoch"];
    match value {
        Value::Array(list) => {
            let mut list: Vec<Value> = list.iter().map(ordered).collect();
            list.sort_by_key(Value::to_string);
            Value::Array(list)
        }
        Value::Object(members) => {
            let kept = members.iter().filter(|(name, _)| !OF_THE_MOMENT.contains(&name.as_str()));
            Value::Object(kept.map(|(name, value)| (name.clone(), ordered(value))).collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

struct Painter<'a> {
    asker: &'a mut Asker,
    seen: Picture,
}

impl Painter<'_> {
    fn note(&mut self, what: &str, api: ApiKey, version: i16, body: &Value) {
        let answer = ordered(&ask(self.asker, api, version, body));
        self.seen.push((what.to_owned(), answer));
    }

    /// The names of all topics but the internal ones, and their partitions.
    fn topics(&mut self) -> Vec<(String, i64)> {
        let body = json!({ "topics": null, "allowAutoTopicCreation": false });
        let answer = ask(self.asker, ApiKey::Metadata, 12, &body);
        self.seen.push(("topics".to_owned(), ordered(&answer)));
        let topics = answer["topics"].as_array().unwrap().iter();
        let partitions = |topic: &Value| {
            let name = topic["name"].as_str().unwrap().to_owned();
            let partitions = topic["partitions"].as_array().unwrap().iter();
            partitions
                .map(move |partition| (name.clone(), partition["partitionIndex"].as_i64().unwrap()))
                .collect::<Vec<_>>()
        };
        let mut all: Vec<_> = topics.filter(|topic| topic["isInternal"] == false).flat_map(partitions).collect();
        all.sort();
        assert!(TOPICS.iter().all(|name| all.iter().any(|(found, _)| found == name)), "{all:?}");
        all
    }

    fn partition(&mut self, topic: &str, partition: i64) {
        for isolation in [0, 1] {
            for timestamp in SPECIAL_TIMES.into_iter().chain([began() + 1003, began() + 100_000_000]) {
                let partitions =
                    json!([{ "partitionIndex": partition, "currentLeaderEpoch": -1, "timestamp": timestamp }]);
                let body = json!({ "replicaId": -1, "isolationLevel": isolation, "timeoutMs": 10_000,
                    "topics": [{ "name": topic, "partitions": partitions }] });
                let what = format!("offset of {timestamp} in {topic}-{partition} at level {isolation}");
                self.note(&what, ApiKey::ListOffsets, 11, &body);
            }
            self.records(topic, partition, isolation);
        }
        let body = json!({ "topics": [{ "name": topic, "partitionIndexes": [partition] }] });
        self.note(&format!("producers of {topic}-{partition}"), ApiKey::DescribeProducers, 0, &body);
    }

    fn records(&mut self, topic: &str, partition: i64, isolation: i8) {
        let start = json!({ "replicaId": -1, "isolationLevel": 0, "topics": [{ "name": topic,
            "partitions": [{ "partitionIndex": partition, "currentLeaderEpoch": -1, "timestamp": -2 }] }] });
        let start = ask(self.asker, ApiKey::ListOffsets, 7, &start)["topics"][0]["partitions"][0]["offset"].clone();
        let partitions = json!([{ "partition": partition, "currentLeaderEpoch": -1, "fetchOffset": start, "logStartOffset": -1, "partitionMaxBytes": 10_000_000 }]);
        let body = json!({ "replicaId": -1, "maxWaitMs": 0, "minBytes": 0, "maxBytes": 10_000_000, "isolationLevel": isolation,
            "sessionId": 0, "sessionEpoch": -1, "topics": [{ "topic": topic, "partitions": partitions }], "forgottenTopicsData": [], "rackId": "" });
        self.note(&format!("records of {topic}-{partition} at level {isolation}"), ApiKey::Fetch, 12, &body);
    }

    fn groups(&mut self) {
        self.note("groups", ApiKey::ListGroups, 5, &json!({ "statesFilter": [], "typesFilter": [] }));
        let all = GROUPS.into_iter().chain(CONSUMER_GROUPS).chain(CLASSIC_GROUPS).chain(MIXED_GROUPS);
        for group in all {
            for stable in [true, false] {
                let body = json!({ "groups": [{ "groupId": group, "topics": null }], "requireStable": stable });
                self.note(&format!("commits of {group}, stable: {stable}"), ApiKey::OffsetFetch, 9, &body);
            }
            self.note(group, ApiKey::DescribeGroups, 5, &json!({ "groups": [group] }));
            self.note(group, ApiKey::ConsumerGroupDescribe, 1, &json!({ "groupIds": [group] }));
        }
    }

    fn transactions(&mut self) {
        let ids = ["t", "u", "open", TAKEN, FENCED, "offsets-0", "offsets-1", "offsets-2"];
        self.note("transactions", ApiKey::DescribeTransactions, 0, &json!({ "transactionalIds": ids }));
        self.note("all transactions", ApiKey::ListTransactions, 1, &json!({}));
    }

    fn settings(&mut self) {
        let mut resources = vec![(settings::BROKER, String::new()), (settings::BROKER, "1".to_owned())];
        resources.extend(TOPICS.map(|name| (settings::TOPIC, name.to_owned())));
        let listed = ask(self.asker, ApiKey::ListConfigResources, 1, &json!({}));
        self.seen.push(("resources of configurations".to_owned(), ordered(&listed)));
        for listed in listed["configResources"].as_array().unwrap() {
            let (kind, name) = (&listed["resourceType"], &listed["resourceName"]);
            resources.push((kind.as_i64().unwrap() as i8, name.as_str().unwrap().to_owned()));
        }
        resources.sort();
        resources.dedup();
        // Loggers are of the process.
        for (kind, name) in resources.iter().filter(|(kind, _)| *kind != 8) {
            let resources = json!([{ "resourceType": kind, "resourceName": name, "configurationKeys": null }]);
            let what = format!("configuration of {kind} {name}");
            self.note(&what, ApiKey::DescribeConfigs, 4, &json!({ "resources": resources, "includeSynonyms": true }));
        }
        self.note("quotas", ApiKey::DescribeClientQuotas, 1, &json!({ "components": [], "strict": false }));
        self.note("credentials", ApiKey::DescribeUserScramCredentials, 0, &json!({ "users": null }));
        let client = json!({ "clientSoftwareName": "a", "clientSoftwareVersion": "1" });
        let answer = ask(self.asker, ApiKey::ApiVersions, 4, &client);
        self.seen.push(("features".to_owned(), ordered(&answer["finalizedFeatures"])));
        self.seen.push(("features that could be".to_owned(), ordered(&answer["supportedFeatures"])));
        self.note("cluster", ApiKey::DescribeCluster, 2, &json!({}));
    }
}

/// Asks for everything.
pub(crate) fn picture(asker: &mut Asker) -> Picture {
    let mut painter = Painter { asker, seen: Vec::new() };
    for (topic, partition) in painter.topics() {
        painter.partition(&topic, partition);
    }
    painter.groups();
    painter.transactions();
    painter.settings();
    painter.note("directories", ApiKey::DescribeLogDirs, 4, &json!({ "topics": null }));
    painter.seen
}

/// What differs between two, a line each.
pub(crate) fn differences(expected: &Picture, found: &Picture) -> Vec<String> {
    let mut differences = Vec::new();
    for ((what, expected), (other, found)) in expected.iter().zip(found) {
        if what != other {
            differences.push(format!("{what} is followed by {other}"));
            break;
        }
        differ(what, expected, found, &mut differences);
    }
    if expected.len() != found.len() {
        differences.push(format!("{} things became {}", expected.len(), found.len()));
    }
    differences
}

/// The innermost values that differ.
fn differ(at: &str, expected: &Value, found: &Value, differences: &mut Vec<String>) {
    match (expected, found) {
        (Value::Object(a), Value::Object(b)) if a.len() == b.len() && a.keys().all(|key| b.contains_key(key)) => {
            a.iter().for_each(|(key, value)| differ(&format!("{at} / {key}"), value, &b[key], differences));
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (number, (a, b)) in a.iter().zip(b).enumerate() {
                differ(&format!("{at} [{number}]"), a, b, differences);
            }
        }
        (a, b) if a != b => differences.push(format!("{at}: {a} became {b}")),
        _ => {}
    }
}
