//! The same random heartbeats, commits and questions of a consumer group (KIP-848) to Ottla and to Apache Kafka, answer
//! against answer. `OTTLA_CONSUMER_SEED` and `OTTLA_CONSUMER_STEPS` choose another or a longer schedule.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on ends")]

use ottla_oracle::{NodeOptions, Oracle};
use ottla_protocol::ApiKey;
use ottla_tests::{Asker, Dice, Server, number};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Assignments come at once, and groups with members keep their protocol.
const SETTINGS: [(&str, &str); 5] = [
    ("group.initial.rebalance.delay.ms", "0"),
    ("group.consumer.assignment.interval.ms", "0"),
    ("group.consumer.migration.policy", "disabled"),
    ("group.consumer.max.size", "6"),
    ("group.min.session.timeout.ms", "1"),
];
const TOPICS: [(&str, i32); 3] = [("a", 5), ("b", 3), ("c", 1)];
const GROUPS: [&str; 2] = ["g", "h"];
const MEMBERS: u64 = 7;
const STEPS: u64 = 3_000;

/// What a member was told last: its epoch and its partitions, by the names of topics.
#[derive(Clone, Default)]
struct Told {
    epoch: i64,
    partitions: Value,
}

/// A question with names where ids belong.
struct Question {
    api: ApiKey,
    version: i16,
    body: Value,
    /// Who asks, if it is a heartbeat.
    member: Option<(String, String)>,
}

struct Side {
    asker: Asker,
    ids: BTreeMap<String, String>,
}

impl Side {
    fn new(address: String) -> Self {
        let mut asker = Asker::new(address);
        let topics: Value = TOPICS
            .iter()
            .map(|(name, partitions)| json!({ "name": name, "numPartitions": partitions, "replicationFactor": 1 }))
            .collect();
        let answer = asker.ask(ApiKey::CreateTopics, 7, &json!({ "topics": topics, "timeoutMs": 30_000 })).unwrap();
        let created = answer["topics"].as_array().unwrap().iter();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let ids = created.map(|topic| (text(&topic["name"]), text(&topic["topicId"]))).collect();
        for group in GROUPS {
            asker.ask(ApiKey::FindCoordinator, 4, &json!({ "keyType": 0, "coordinatorKeys": [group] })).unwrap();
        }
        Self { asker, ids }
    }

    fn ask(&mut self, question: &Question) -> Value {
        let body = self.renamed(&question.body, true);
        let answer = self.asker.ask(question.api, question.version, &body).unwrap();
        comparable(&self.renamed(&answer, false))
    }

    /// Names of topics in place of ids, or the other way round.
    fn renamed(&self, value: &Value, to_ids: bool) -> Value {
        let rename = |text: &str| {
            let found = self.ids.iter().find(|(name, id)| if to_ids { *name == text } else { *id == text });
            found.map_or(text.to_owned(), |(name, id)| if to_ids { id.clone() } else { name.clone() })
        };
        match value {
            Value::Array(list) => list.iter().map(|value| self.renamed(value, to_ids)).collect(),
            Value::Object(members) => {
                let member = |(name, value): (&String, &Value)| match value {
                    Value::String(text) if name == "topicId" => (name.clone(), json!(rename(text))),
                    other => (name.clone(), self.renamed(other, to_ids)),
                };
                Value::Object(members.iter().map(member).collect())
            }
            other => other.clone(),
        }
    }
}

/// In an order that does not depend on hash tables, without sentences and what is of the moment.
fn comparable(value: &Value) -> Value {
    match value {
        Value::Array(list) => {
            let mut list: Vec<Value> = list.iter().map(comparable).collect();
            list.sort_by_key(Value::to_string);
            Value::Array(list)
        }
        Value::Object(members) => {
            let of_member = |(name, value): (&String, &Value)| match name.as_str() {
                "throttleTimeMs" => None,
                "errorMessage" => Some((name.clone(), json!(!value.is_null()))),
                _ => Some((name.clone(), comparable(value))),
            };
            Value::Object(members.iter().filter_map(of_member).collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

/// The schedule, which follows what the members are told.
struct Schedule {
    dice: Dice,
    told: BTreeMap<(String, String), Told>,
}

impl Schedule {
    fn next(&mut self) -> Question {
        let group = self.dice.pick(&GROUPS).to_owned();
        let number = self.dice.roll(MEMBERS);
        let member = format!("m{number}");
        match self.dice.roll(40) {
            0 => self.commit(&group, &member),
            1 => self.fetch(&group, &member),
            2 | 3 => question(ApiKey::ConsumerGroupDescribe, 1, json!({ "groupIds": [group, "no"] })),
            4 => question(ApiKey::ListGroups, 5, json!({})),
            5 => question(ApiKey::DeleteGroups, 2, json!({ "groupsNames": [group] })),
            6 => question(ApiKey::DescribeGroups, 6, json!({ "groups": [group] })),
            7 => {
                let topics = json!([{ "name": self.dice.pick(&TOPICS).0, "partitions": [{ "partitionIndex": 0 }] }]);
                question(ApiKey::OffsetDelete, 0, json!({ "groupId": group, "topics": topics }))
            }
            _ => self.heartbeat(group, member, number),
        }
    }

    fn heartbeat(&mut self, group: String, member: String, number: u64) -> Question {
        let dice = &mut self.dice;
        let told = self.told.entry((group.clone(), member.clone())).or_default();
        let mut body = json!({ "groupId": group, "memberId": member, "memberEpoch": told.epoch });
        // Some are static.
        if number < 2 {
            body["instanceId"] = json!(format!("i{number}"));
        }
        let joins = told.epoch == 0 || dice.roll(25) == 0;
        match dice.roll(30) {
            0 => body["memberEpoch"] = json!(told.epoch + 1),
            1 => body["memberEpoch"] = json!(told.epoch - 1),
            2 => body["memberEpoch"] = json!(-1),
            3 if number < 2 => body["memberEpoch"] = json!(-2),
            _ if joins => body["memberEpoch"] = json!(0),
            _ => {}
        }
        // No member that joins takes another's name: what then becomes of both is not worth an agreement.
        if number < 2 && body["memberEpoch"].as_i64() > Some(0) && dice.roll(20) == 0 {
            body["instanceId"] = json!(format!("i{}", 1 - number));
        }
        let is_full = body["memberEpoch"] == 0 || dice.roll(6) == 0;
        if is_full {
            let names = TOPICS.iter().map(|(name, _)| *name).filter(|_| dice.roll(3) > 0).collect::<Vec<_>>();
            body["subscribedTopicNames"] = json!(names);
            body["rebalanceTimeoutMs"] = json!(600_000);
            body["serverAssignor"] = json!("range");
        } else {
            body["rebalanceTimeoutMs"] = json!(-1);
            body["subscribedTopicNames"] = Value::Null;
        }
        body["topicPartitions"] = match () {
            () if body["memberEpoch"] == 0 => json!([]),
            () if is_full || dice.roll(3) == 0 => told.partitions.clone(),
            () => Value::Null,
        };
        if dice.roll(60) == 0 {
            let spoiled = dice.pick(&["groupId", "memberId", "rackId", "serverAssignor", "instanceId"]);
            body[spoiled] = json!("");
        }
        Question { member: Some((group, member)), ..question(ApiKey::ConsumerGroupHeartbeat, 1, body) }
    }

    fn commit(&mut self, group: &str, member: &str) -> Question {
        let told = self.told.get(&(group.to_owned(), member.to_owned())).cloned().unwrap_or_default();
        let epoch = told.epoch + self.dice.pick(&[0, 0, 0, 1, -1]);
        let topics =
            json!([{ "name": "a", "partitions": [{ "partitionIndex": self.dice.roll(5), "committedOffset": 7 }] }]);
        let member = self.dice.pick(&[member, member, ""]);
        let body = json!({ "groupId": group, "memberId": member, "topics": topics,
            "generationIdOrMemberEpoch": if member.is_empty() { -1 } else { epoch } });
        question(ApiKey::OffsetCommit, self.dice.pick(&[8, 9]), body)
    }

    fn fetch(&mut self, group: &str, member: &str) -> Question {
        let told = self.told.get(&(group.to_owned(), member.to_owned())).cloned().unwrap_or_default();
        let (member, epoch) = self.dice.pick(&[(Some(member), told.epoch), (Some(member), 3), (None, -1)]);
        let asked = json!([{ "groupId": group, "memberId": member, "memberEpoch": epoch, "topics": null }]);
        question(ApiKey::OffsetFetch, 9, json!({ "groups": asked, "requireStable": false }))
    }

    /// What a member is told counts for what it says next.
    fn hear(&mut self, question: &Question, answer: &Value) {
        let Some(member) = &question.member else { return };
        let told = self.told.entry(member.clone()).or_default();
        match answer["errorCode"].as_i64().unwrap() {
            0 => told.epoch = answer["memberEpoch"].as_i64().unwrap().max(0),
            // Fenced, unknown: it begins anew.
            110 | 25 | 82 => *told = Told { epoch: 0, partitions: json!([]) },
            _ => {}
        }
        if let Some(topics) = answer["assignment"]["topicPartitions"].as_array() {
            told.partitions = json!(topics);
        }
        if told.partitions.is_null() {
            told.partitions = json!([]);
        }
    }
}

fn question(api: ApiKey, version: i16, body: Value) -> Question {
    Question { api, version, body, member: None }
}

#[test]
fn the_same_heartbeats_get_the_same_answers() {
    let options = SETTINGS.iter().fold(NodeOptions::default(), |options, (key, value)| options.property(key, value));
    let kafka = Oracle::at_home().start(&options).unwrap();
    let ottla = Server::start(&SETTINGS).unwrap();
    let (mut ours, mut theirs) = (Side::new(ottla.bootstrap()), Side::new(kafka.bootstrap_server()));
    let mut schedule = Schedule { dice: Dice(number("OTTLA_CONSUMER_SEED", 1)), told: BTreeMap::new() };
    let mut outcomes: BTreeMap<String, u64> = BTreeMap::new();
    for step in 0..number("OTTLA_CONSUMER_STEPS", STEPS) {
        let question = schedule.next();
        let (our, their) = (ours.ask(&question), theirs.ask(&question));
        assert_eq!(our, their, "step {step}: {} {} {}", question.api.name(), question.version, question.body);
        if std::env::var_os("OTTLA_CONSUMER_TRACE").is_some() {
            println!("{step} {} {} -> {our}", question.api.name(), question.body);
        }
        *outcomes.entry(format!("{} {}", question.api.name(), our["errorCode"])).or_default() += 1;
        schedule.hear(&question, &our);
    }
    println!("{outcomes:?}");
    assert!(outcomes.len() > 10, "{outcomes:?}");
}
