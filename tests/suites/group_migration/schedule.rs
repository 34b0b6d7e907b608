//! What members of both protocols ask, by what they were told.

use crate::side::{From, Question, TOPICS};
use ottla_protocol::consumer_protocol::consumer_protocol_subscription::TopicPartition;
use ottla_protocol::consumer_protocol::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, consumer_protocol_assignment,
};
use ottla_protocol::{ApiKey, Message};
use ottla_tests::Dice;
use ottla_tests::raw::base64;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const MEMBERS: u64 = 5;
/// The number of somebody who is no member.
const OUTSIDER: u64 = 99;
const TIMEOUT_MS: i64 = 600_000;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Protocol {
    #[default]
    None,
    Classic,
    Consumer,
}

/// What a member knows of itself.
#[derive(Clone, Debug, Default)]
struct Told {
    protocol: Protocol,
    /// The name that both sides share.
    name: String,
    /// Its epoch, or its generation.
    epoch: i64,
    /// What it has: topics by name.
    has: BTreeMap<String, Vec<i64>>,
    protocol_name: Value,
    /// Whom it has to assign for.
    members: Vec<String>,
    /// A JoinGroup was answered and its SyncGroup not sent yet.
    must_sync: bool,
    /// A question of it waits for its answer.
    waits: bool,
    lives: u64,
}

pub(crate) struct Schedule {
    dice: Dice,
    /// By the groups' first names: how often each has begun anew.
    groups: BTreeMap<&'static str, u64>,
    told: BTreeMap<From, Told>,
    abandoned: Vec<String>,
}

impl Schedule {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            dice: Dice(seed),
            groups: BTreeMap::from([("g", 0), ("h", 0)]),
            told: BTreeMap::new(),
            abandoned: Vec::new(),
        }
    }

    pub(crate) fn take_abandoned(&mut self) -> Vec<String> {
        core::mem::take(&mut self.abandoned)
    }

    pub(crate) fn next(&mut self) -> Question {
        let base = self.dice.pick(&["g", "h"]);
        let group = format!("{base}{}", self.groups[base]);
        let outsider = (group.clone(), OUTSIDER);
        match self.dice.roll(60) {
            0 => return question(outsider, ApiKey::ConsumerGroupDescribe, 1, json!({ "groupIds": [group] })),
            1 | 2 => return question(outsider, ApiKey::DescribeGroups, 6, json!({ "groups": [group] })),
            3 => return question(outsider, ApiKey::ListGroups, 5, json!({})),
            4 => return question(outsider, ApiKey::DeleteGroups, 2, json!({ "groupsNames": [group] })),
            // A group begins anew now and then, as a classic one or a consumer group.
            5 if self.dice.roll(3) == 0 => self.abandon(&group),
            _ => {}
        }
        let base_group = format!("{base}{}", self.groups[base]);
        let number = self.dice.roll(MEMBERS);
        let from = (base_group, number);
        let told = self.told.entry(from.clone()).or_default().clone();
        if told.waits {
            return question((from.0.clone(), OUTSIDER), ApiKey::DescribeGroups, 6, json!({ "groups": [from.0] }));
        }
        let question = match told.protocol {
            Protocol::None if self.dice.roll(2) == 0 => self.join(&from, &told),
            Protocol::None => self.heartbeat(&from, &told, 0),
            Protocol::Classic => self.classic(&from, &told),
            Protocol::Consumer => self.consumer(&from, &told),
        };
        self.told.entry(from).or_default().waits = true;
        question
    }

    fn classic(&mut self, from: &From, told: &Told) -> Question {
        match self.dice.roll(30) {
            0 => self.leave(from, told),
            // It goes over to the other protocol, with its id or as a static member with another.
            1 => self.heartbeat(from, told, 0),
            2 => self.commit(from, told),
            3 => self.fetch(from, told),
            4 | 5 => self.join(from, told),
            _ if told.must_sync => self.sync(from, told),
            6 => self.sync(from, told),
            7 => {
                let mut question = self.beat(from, told);
                question.body["generationId"] = json!(told.epoch - 1);
                question
            }
            _ => self.beat(from, told),
        }
    }

    fn consumer(&mut self, from: &From, told: &Told) -> Question {
        match self.dice.roll(30) {
            0 => self.heartbeat(from, told, -1),
            1 if is_static(from) => self.heartbeat(from, told, -2),
            2 => self.commit(from, told),
            3 => self.fetch(from, told),
            4 => self.join(from, told),
            5 => self.leave(from, told),
            6 => self.beat(from, told),
            7 => self.sync(from, told),
            8 => self.heartbeat(from, told, told.epoch + 1),
            9 => self.heartbeat(from, told, (told.epoch - 1).max(1)),
            _ => self.heartbeat(from, told, told.epoch),
        }
    }

    fn names(&mut self) -> Vec<&'static str> {
        TOPICS.iter().map(|(name, _)| *name).filter(|_| self.dice.roll(3) > 0).collect()
    }

    fn heartbeat(&mut self, from: &From, told: &Told, epoch: i64) -> Question {
        let joins = epoch == 0;
        let mut member_id = told.name.clone();
        // A member that joins with an instance id has a new id of its own.
        if member_id.is_empty() || joins && is_static(from) {
            member_id = self.fresh_name(from);
        }
        let is_full = joins || self.dice.roll(6) == 0;
        let mut body = json!({ "groupId": from.0, "memberId": member_id, "memberEpoch": epoch, "rebalanceTimeoutMs": -1,
            "subscribedTopicNames": null, "topicPartitions": null });
        if is_static(from) {
            body["instanceId"] = json!(instance(from));
        }
        if is_full {
            body["rebalanceTimeoutMs"] = json!(TIMEOUT_MS);
            body["subscribedTopicNames"] = json!(self.names());
            body["serverAssignor"] = json!("range");
        }
        if joins {
            body["topicPartitions"] = json!([]);
        } else if is_full || self.dice.roll(2) == 0 {
            let topic = |(name, partitions): (&String, &Vec<i64>)| json!({ "topicId": name, "partitions": partitions });
            body["topicPartitions"] = told.has.iter().map(topic).collect();
        }
        question(from.clone(), ApiKey::ConsumerGroupHeartbeat, 1, body)
    }

    fn join(&mut self, from: &From, told: &Told) -> Question {
        // Assignors go by ids, and those that the servers give are random. So members without an instance id name themselves, which only
        // a consumer group allows; those that don't are told an id from version 4 on, and don't take it.
        let version = self.dice.pick(&[4, 5, 6, 7, 9, 9, 9]).max(if is_static(from) { 5 } else { 4 });
        let mut member_id = told.name.clone();
        // A static member may come back without its id, also from the other protocol.
        if is_static(from) && self.dice.roll(2) == 0 {
            member_id.clear();
        }
        if !is_static(from) && member_id.is_empty() && self.dice.roll(8) > 0 {
            member_id = self.fresh_name(from);
        }
        let metadata = self.subscription(told);
        let names = self.dice.pick(&[&["range"][..], &["range", "sticky"], &["sticky", "range"], &["sticky"]]);
        let protocols: Value =
            names.iter().map(|name| json!({ "name": name, "metadata": base64(&metadata) })).collect();
        let protocol_type = if self.dice.roll(40) == 0 { "connect" } else { "consumer" };
        let mut body = json!({ "groupId": from.0, "sessionTimeoutMs": TIMEOUT_MS, "rebalanceTimeoutMs": TIMEOUT_MS,
            "memberId": member_id, "protocolType": protocol_type, "protocols": protocols });
        if is_static(from) {
            body["groupInstanceId"] = json!(instance(from));
        }
        question(from.clone(), ApiKey::JoinGroup, version, body)
    }

    fn subscription(&mut self, told: &Told) -> Vec<u8> {
        if self.dice.roll(60) == 0 {
            return vec![0];
        }
        let owned = told.has.iter().map(|(topic, partitions)| TopicPartition {
            topic: topic.clone(),
            partitions: partitions.iter().map(|partition| *partition as i32).collect(),
        });
        let subscription = ConsumerProtocolSubscription {
            topics: self.names().into_iter().map(str::to_owned).collect(),
            owned_partitions: owned.collect(),
            generation_id: told.epoch as i32,
            rack_id: (self.dice.roll(4) == 0).then(|| "rack".to_owned()),
            ..Default::default()
        };
        versioned(&subscription, self.dice.pick(&[0, 1, 2, 3, 3]))
    }

    fn sync(&mut self, from: &From, told: &Told) -> Question {
        // The leader gives each topic to one member, by the order of their names.
        let mut members = told.members.clone();
        members.sort();
        let has_data = self.dice.roll(15) == 0;
        let assignment = |number: usize, member: &String| {
            let topics = TOPICS.iter().enumerate().filter(|(at, _)| at % members.len() == number);
            let assigned = topics.map(|(_, (name, count))| consumer_protocol_assignment::TopicPartition {
                topic: (*name).to_owned(),
                partitions: (0..*count).collect(),
            });
            let data = has_data.then(|| bytes::Bytes::from_static(b"mine"));
            let assignment = ConsumerProtocolAssignment { assigned_partitions: assigned.collect(), user_data: data };
            json!({ "memberId": member, "assignment": base64(&versioned(&assignment, 1)) })
        };
        let assignments: Value =
            members.iter().enumerate().map(|(number, member)| assignment(number, member)).collect();
        let mut body = json!({ "groupId": from.0, "generationId": told.epoch, "memberId": told.name,
            "protocolType": "consumer", "protocolName": told.protocol_name, "assignments": assignments });
        if is_static(from) {
            body["groupInstanceId"] = json!(instance(from));
        }
        match self.dice.roll(25) {
            0 => body["protocolName"] = json!("other"),
            1 => body["protocolType"] = json!("other"),
            2 => body["generationId"] = json!(told.epoch + 1),
            _ => {}
        }
        question(from.clone(), ApiKey::SyncGroup, self.dice.pick(&[3, 5]), body)
    }

    fn beat(&mut self, from: &From, told: &Told) -> Question {
        let mut body = json!({ "groupId": from.0, "generationId": told.epoch, "memberId": told.name });
        if is_static(from) {
            body["groupInstanceId"] = json!(instance(from));
        }
        question(from.clone(), ApiKey::Heartbeat, 4, body)
    }

    fn leave(&mut self, from: &From, told: &Told) -> Question {
        let mut member = json!({ "memberId": told.name, "groupInstanceId": null });
        if is_static(from) {
            member["groupInstanceId"] = json!(instance(from));
        }
        if is_static(from) && self.dice.roll(2) == 0 {
            member["memberId"] = json!("");
        }
        let mut members = vec![member];
        if self.dice.roll(4) == 0 {
            members.push(json!({ "memberId": "nobody", "groupInstanceId": null }));
        }
        let version = if is_static(from) { 5 } else { self.dice.pick(&[2, 5]) };
        let body = json!({ "groupId": from.0, "memberId": told.name, "members": members });
        question(from.clone(), ApiKey::LeaveGroup, version, body)
    }

    fn commit(&mut self, from: &From, told: &Told) -> Question {
        let epoch = told.epoch + self.dice.pick(&[0, 0, 1, -1]);
        let partitions = json!([{ "partitionIndex": self.dice.roll(5), "committedOffset": 7 }]);
        let body = json!({ "groupId": from.0, "memberId": told.name, "generationIdOrMemberEpoch": epoch,
            "topics": [{ "name": "a", "partitions": partitions }] });
        question(from.clone(), ApiKey::OffsetCommit, self.dice.pick(&[8, 9]), body)
    }

    fn fetch(&mut self, from: &From, told: &Told) -> Question {
        let epoch = told.epoch + self.dice.pick(&[0, 0, 1]);
        let asked = json!([{ "groupId": from.0, "memberId": told.name, "memberEpoch": epoch, "topics": null }]);
        question(from.clone(), ApiKey::OffsetFetch, 9, json!({ "groups": asked, "requireStable": false }))
    }

    fn fresh_name(&mut self, from: &From) -> String {
        let told = self.told.entry(from.clone()).or_default();
        told.lives += 1;
        format!("{}-{}-{}", from.0, from.1, told.lives)
    }

    /// Lets a group begin anew, under another name.
    pub(crate) fn abandon(&mut self, group: &str) {
        let current = self.groups.iter_mut().find(|(name, number)| format!("{name}{number}") == group);
        let Some((_, number)) = current else { return };
        *number += 1;
        self.told.retain(|(other, _), _| other != group);
        self.abandoned.push(group.to_owned());
    }

    /// What a member is told counts for what it says next. Gives back both answers as they are to be compared.
    pub(crate) fn hear(&mut self, question: &Question, mut our: Value, mut their: Value) -> (Value, Value) {
        if self.abandoned.contains(&question.from.0) {
            return (json!({}), json!({}));
        }
        if our == "none" || their == "none" {
            return (our, their);
        }
        if let Some(told) = self.told.get_mut(&question.from) {
            told.waits = false;
        }
        match question.api {
            ApiKey::JoinGroup => self.hear_join(question, &mut our, &mut their),
            ApiKey::SyncGroup => self.hear_sync(question, &our),
            // What becomes of groups that were left does not count.
            ApiKey::ListGroups => {
                let current: Vec<String> = self.groups.iter().map(|(name, number)| format!("{name}{number}")).collect();
                for answer in [&mut our, &mut their] {
                    let groups = answer["groups"].as_array_mut().unwrap();
                    groups.retain(|group| current.iter().any(|current| group["groupId"] == current.as_str()));
                }
            }
            ApiKey::Heartbeat => self.hear_beat(question, &our),
            ApiKey::ConsumerGroupHeartbeat => self.hear_heartbeat(question, &our),
            ApiKey::LeaveGroup => {
                let left = our["errorCode"] == 0
                    && our["members"].as_array().is_none_or(|members| {
                        members.iter().any(|member| member["memberId"] != "nobody" && member["errorCode"] == 0)
                    });
                if left {
                    self.begin_again(&question.from);
                }
            }
            _ => {}
        }
        (our, their)
    }

    fn begin_again(&mut self, from: &From) {
        let told = self.told.entry(from.clone()).or_default();
        *told = Told { lives: told.lives, ..Told::default() };
    }

    /// The name for an id that a member was given, which is another on either side.
    pub(crate) fn name_of_new_id(&mut self, question: &Question, our: &Value, their: &Value) -> Option<String> {
        let is_given = |answer: &Value| answer["memberId"].as_str().is_some_and(|id| !id.is_empty());
        let is_new = question.api == ApiKey::JoinGroup && question.body["memberId"] == "";
        (is_new && is_given(our) && is_given(their)).then(|| self.fresh_name(&question.from))
    }

    fn hear_join(&mut self, question: &Question, our: &mut Value, their: &mut Value) {
        let from = &question.from;
        // Who leads after the leader hangs on hashes of ids, which differ: such a group begins anew.
        if our["leader"] != their["leader"] {
            self.abandon(&from.0.clone());
            (*our, *their) = (json!({}), json!({}));
            return;
        }
        match our["errorCode"].as_i64().unwrap() {
            0 => {
                let told = self.told.entry(from.clone()).or_default();
                told.protocol = Protocol::Classic;
                told.name = our["memberId"].as_str().unwrap().to_owned();
                told.epoch = our["generationId"].as_i64().unwrap();
                told.protocol_name = our["protocolName"].clone();
                let members = our["members"].as_array().unwrap().iter();
                told.members = members.map(|member| member["memberId"].as_str().unwrap().to_owned()).collect();
                told.must_sync = our["skipAssignment"] != true;
            }
            25 | 82 => self.begin_again(from),
            _ => {}
        }
    }

    fn hear_sync(&mut self, question: &Question, our: &Value) {
        let told = self.told.entry(question.from.clone()).or_default();
        match our["errorCode"].as_i64().unwrap() {
            0 => {
                told.must_sync = false;
                let topics = our["assignment"]["topics"].as_object();
                let numbers = |list: &Value| list.as_array().unwrap().iter().map(|at| at.as_i64().unwrap()).collect();
                told.has = topics.into_iter().flatten().map(|(name, list)| (name.clone(), numbers(list))).collect();
            }
            25 | 82 => self.begin_again(&question.from),
            _ => {}
        }
    }

    fn hear_beat(&mut self, question: &Question, our: &Value) {
        match our["errorCode"].as_i64().unwrap() {
            25 | 82 if self.told[&question.from].protocol == Protocol::Classic => self.begin_again(&question.from),
            _ => {}
        }
    }

    fn hear_heartbeat(&mut self, question: &Question, our: &Value) {
        let told = self.told.entry(question.from.clone()).or_default();
        match our["errorCode"].as_i64().unwrap() {
            0 if our["memberEpoch"] == -1 || our["memberEpoch"] == -2 => self.begin_again(&question.from),
            0 => {
                if question.body["memberEpoch"] == 0 {
                    told.has.clear();
                }
                told.protocol = Protocol::Consumer;
                told.name = our["memberId"].as_str().unwrap().to_owned();
                told.epoch = our["memberEpoch"].as_i64().unwrap();
                if let Some(topics) = our["assignment"]["topicPartitions"].as_array() {
                    let numbers =
                        |list: &Value| list.as_array().unwrap().iter().map(|at| at.as_i64().unwrap()).collect();
                    let topic =
                        |topic: &Value| (topic["topicId"].as_str().unwrap().to_owned(), numbers(&topic["partitions"]));
                    told.has = topics.iter().map(topic).collect();
                }
            }
            110 | 25 | 82 => self.begin_again(&question.from),
            _ => {}
        }
    }
}

fn versioned(message: &impl Message, version: i16) -> Vec<u8> {
    let mut bytes = version.to_be_bytes().to_vec();
    bytes.extend(message.to_bytes(version).unwrap());
    bytes
}

/// Some members are static.
fn is_static(from: &From) -> bool {
    from.1 < 3
}

fn instance(from: &From) -> String {
    format!("i{}", from.1)
}

fn question(from: From, api: ApiKey, version: i16, body: Value) -> Question {
    Question { from, api, version, body }
}
