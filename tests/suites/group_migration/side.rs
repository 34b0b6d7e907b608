//! One of the two servers, with a connection for each member.

use ottla_protocol::consumer_protocol::ConsumerProtocolAssignment;
use ottla_protocol::{ApiKey, Message, Reader};
use ottla_tests::Asker;
use ottla_tests::raw::{Connection, unbase64};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

pub(crate) const TOPICS: [(&str, i32); 3] = [("a", 5), ("b", 3), ("c", 1)];
/// So long nothing comes when everything has come that will.
const QUIET: Duration = Duration::from_millis(15);
/// So long a question is not answered when it waits for other members.
const UNANSWERED: Duration = Duration::from_millis(100);
/// So long the other may take for an answer that one has given.
const PATIENCE: Duration = Duration::from_secs(10);

/// Which member asks: its group, and its number there.
pub(crate) type From = (String, u64);

/// A question with names where ids belong.
#[derive(Clone)]
pub(crate) struct Question {
    pub(crate) from: From,
    pub(crate) api: ApiKey,
    pub(crate) version: i16,
    pub(crate) body: Value,
}

pub(crate) struct Side {
    address: String,
    connections: BTreeMap<From, Connection>,
    waiting: BTreeMap<From, Question>,
    topic_ids: BTreeMap<String, String>,
    /// The ids of members by their names.
    member_ids: BTreeMap<String, String>,
}

impl Side {
    pub(crate) fn new(address: String) -> Self {
        let mut asker = Asker::new(address.clone());
        let topics: Value = TOPICS
            .iter()
            .map(|(name, partitions)| json!({ "name": name, "numPartitions": partitions, "replicationFactor": 1 }))
            .collect();
        let answer = asker.ask(ApiKey::CreateTopics, 7, &json!({ "topics": topics, "timeoutMs": 30_000 })).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let created = answer["topics"].as_array().unwrap().iter();
        let topic_ids = created.map(|topic| (text(&topic["name"]), text(&topic["topicId"]))).collect();
        asker.ask(ApiKey::FindCoordinator, 4, &json!({ "keyType": 0, "coordinatorKeys": ["g"] })).unwrap();
        asker.ask(ApiKey::DescribeGroups, 5, &json!({ "groups": ["g"] })).unwrap();
        Self { address, connections: BTreeMap::new(), waiting: BTreeMap::new(), topic_ids, member_ids: BTreeMap::new() }
    }

    pub(crate) fn send(&mut self, question: &Question) {
        let body = self.renamed(&question.body, true);
        let address = &self.address;
        let connection = self.connections.entry(question.from.clone()).or_insert_with(|| {
            let mut connection = Connection::open(address).unwrap();
            // So that what is sent on it next is read before what is sent on another.
            connection.ask(ApiKey::ApiVersions, 0, &json!({})).unwrap();
            connection
        });
        connection.send(question.api, question.version, &body).unwrap();
        self.waiting.insert(question.from.clone(), question.clone());
    }

    /// The answer to a question that waits, if it comes in this time.
    fn answer(&mut self, from: &From, within: Duration) -> Option<(Question, Value)> {
        let connection = self.connections.get_mut(from)?;
        if !connection.is_answered(within).unwrap() {
            return None;
        }
        let question = self.waiting.remove(from)?;
        let answer = connection.answer(question.api, question.version).unwrap();
        Some((question, answer))
    }

    fn waiting(&self) -> Vec<From> {
        self.waiting.keys().cloned().collect()
    }

    /// Gives a name to the id that a member was given here.
    pub(crate) fn learn(&mut self, name: &str, id: &Value) {
        self.member_ids.insert(name.to_owned(), id.as_str().unwrap().to_owned());
    }

    /// An answer with names in place of ids, as it is to be compared.
    pub(crate) fn comparable(&self, answer: &Value) -> Value {
        comparable(&self.renamed(answer, false))
    }

    /// Forgets the members of a group, and what they wait for.
    pub(crate) fn forget(&mut self, group: &str) {
        self.connections.retain(|(other, _), _| other != group);
        self.waiting.retain(|(other, _), _| other != group);
    }

    /// Names in place of ids, or the other way round.
    fn renamed(&self, value: &Value, to_ids: bool) -> Value {
        match value {
            Value::Array(list) => list.iter().map(|value| self.renamed(value, to_ids)).collect(),
            Value::Object(members) => {
                let member = |(name, value): (&String, &Value)| match (name.as_str(), value) {
                    ("topicId", Value::String(text)) => (name.clone(), json!(rename(&self.topic_ids, text, to_ids))),
                    ("memberId" | "leader", Value::String(text)) => {
                        (name.clone(), json!(rename(&self.member_ids, text, to_ids)))
                    }
                    (_, other) => (name.clone(), self.renamed(other, to_ids)),
                };
                Value::Object(members.iter().map(member).collect())
            }
            other => other.clone(),
        }
    }
}

fn rename(ids: &BTreeMap<String, String>, text: &str, to_ids: bool) -> String {
    /// The length of a random id in Java's or in the usual form: so long is no name.
    const RANDOM_LENGTH: usize = 22;
    let found = ids.iter().find(|(name, id)| if to_ids { *name == text } else { *id == text });
    match found {
        Some((name, id)) => {
            if to_ids {
                id.clone()
            } else {
                name.clone()
            }
        }
        // Of a member that does not know it yet.
        None if !to_ids && text.len() >= RANDOM_LENGTH => "?".to_owned(),
        None => text.to_owned(),
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
            let of_member = |(name, value): (&String, &Value)| match (name.as_str(), value) {
                ("throttleTimeMs", _) => None,
                ("errorMessage", _) => Some((name.clone(), json!(!value.is_null()))),
                ("assignment" | "memberAssignment", Value::String(bytes)) => Some((name.clone(), readable(bytes))),
                _ => Some((name.clone(), comparable(value))),
            };
            Value::Object(members.iter().filter_map(of_member).collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

/// An assignment of the classic protocol: its version, and its partitions in the order of their topics.
fn readable(bytes: &str) -> Value {
    let bytes = unbase64(bytes);
    let Some((version, body)) = bytes.split_first_chunk::<2>() else { return json!("none") };
    let Ok(assignment) = ConsumerProtocolAssignment::decode_from(&mut Reader::new(body), 0) else {
        return json!(format!("{bytes:?}"));
    };
    let topics: BTreeMap<&str, &[i32]> =
        assignment.assigned_partitions.iter().map(|topic| (topic.topic.as_str(), &topic.partitions[..])).collect();
    json!({ "version": version, "topics": topics, "data": assignment.user_data.map(|data| data.to_vec()) })
}

/// The answers that both give by now, to the question that was sent last and to those that have waited.
pub(crate) fn answers_of_both(asked: &From, ours: &mut Side, theirs: &mut Side) -> Vec<(Question, Value, Value)> {
    let mut both = Vec::new();
    let mut last = Instant::now();
    let patience = |ours: &Side| if ours.waiting.contains_key(asked) { UNANSWERED } else { QUIET };
    while !ours.waiting.is_empty() && last.elapsed() < patience(ours) {
        for from in ours.waiting() {
            if let Some((question, our)) = ours.answer(&from, Duration::from_millis(1)) {
                let their = theirs.answer(&from, PATIENCE).map_or(json!("none"), |(_, their)| their);
                both.push((question, our, their));
                last = Instant::now();
            }
        }
    }
    // Whatever the other has answered already must be answered here too.
    for from in theirs.waiting().into_iter().filter(|from| ours.waiting.contains_key(from)).collect::<Vec<_>>() {
        if let Some((question, their)) = theirs.answer(&from, Duration::from_micros(100)) {
            let our = ours.answer(&from, PATIENCE).map_or(json!("none"), |(_, our)| our);
            both.push((question, our, their));
        }
    }
    both
}
