//! The same request to Ottla and to Apache Kafka, and what differs between the two answers.

use crate::asker::{NOT_READY_COORDINATOR, has_error};
use crate::raw::{Connection, unbase64};
use crate::{Server, free_port};
use ottla_oracle::{Node, NodeOptions, Oracle};
use ottla_protocol::{ApiKey, ErrorCode};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use std::{io, thread};

/// How often a coordinator that is not ready is asked, 50 ms apart.
const TRIES: u32 = 400;

/// How a connection that the server closed, or on which it keeps silent, looks among answers.
const CLOSED: &str = "the connection is closed";
const SILENT: &str = "no answer comes";

/// The fields by which the elements of lists are put in order.
const IDENTITIES: [&str; 14] = [
    "name",
    "topic",
    "topicName",
    "topicId",
    "groupId",
    "transactionalId",
    "partitionIndex",
    "partition",
    "resourceName",
    "replicaId",
    "brokerId",
    "nodeId",
    "index",
    "logDir",
];

/// Before a number among the values that have names.
const NUMBER: &str = "number ";

/// Where a node listens: for clients, and for controllers.
pub type Listeners = [String; 2];

/// A server, or several that are a cluster, with what is only known while they run.
#[derive(Debug)]
pub struct Side {
    nodes: Vec<Listeners>,
    /// By the index of the node, and whether it is that to its controller listener.
    connections: BTreeMap<(usize, bool), Connection>,
    /// Values that differ between two servers by their nature, and the names that stand for them in answers.
    aliases: BTreeMap<String, String>,
    /// The numbers that the case at hand takes for such values too.
    own: Vec<String>,
}

impl Side {
    /// Of these nodes, the first of which has the id 1. They are connected to when they are asked.
    pub fn new(nodes: Vec<Listeners>) -> Self {
        Self { nodes, connections: BTreeMap::new(), aliases: BTreeMap::new(), own: Vec::new() }
    }

    /// Lets `<name>` stand for a value of this side, in requests and in answers.
    pub fn call(&mut self, name: &str, value: &str) {
        self.aliases.insert(value.to_owned(), format!("<{name}>"));
    }

    /// Where the nodes listen for clients.
    pub fn brokers(&self) -> Vec<&str> {
        self.nodes.iter().map(|[broker, _]| broker.as_str()).collect()
    }

    /// The texts of this side that have names, with those; so have the addresses of the nodes.
    pub fn texts(&self) -> Vec<(String, String)> {
        let nodes = (1..).zip(&self.nodes).flat_map(|(id, [broker, controller])| {
            let apart = |address: &str| address.replace(':', " ");
            [
                (apart(broker), format!("<broker {id}>")),
                (broker.clone(), format!("<broker {id}>")),
                (controller.clone(), format!("<controller {id}>")),
            ]
        });
        let aliases = self.aliases.iter().map(|(value, name)| (value.clone(), name.clone()));
        nodes.chain(aliases.filter(|(value, _)| !value.starts_with(NUMBER))).collect()
    }

    /// Takes the connection out, made if there is none: after an error it is of no more use.
    fn connection(&mut self, place: (usize, bool)) -> io::Result<Connection> {
        match self.connections.remove(&place) {
            Some(connection) => Ok(connection),
            None => {
                let listeners =
                    self.nodes.get(place.0).ok_or_else(|| io::Error::other(format!("no node {place:?}")))?;
                Connection::open(&listeners[usize::from(place.1)])
            }
        }
    }

    /// The answer, comparable; a closed connection is one too. A case names its `api`, `version` and what to `ask`; with
    /// `"listener": "controller"` it goes there, with `"node": 2` to that node, with `"patiently": true` it is asked until the
    /// server is ready. The numbers of fields that `"own"` lists are each server's own, and get names; of those that `"mask"`
    /// lists is compared only whether they are negative.
    ///
    /// # Errors
    /// When the case is none, or the server is gone.
    pub fn ask(&mut self, case: &Value) -> io::Result<Value> {
        let name = case["api"].as_str().unwrap_or_default();
        let api = api(name)?;
        let version = case["version"].as_i64().and_then(|version| i16::try_from(version).ok()).unwrap_or(-1);
        let node = case["node"].as_u64().map_or(0, |node| usize::try_from(node).unwrap_or(0).saturating_sub(1));
        let place = (node, case["listener"] == "controller");
        let ask = self.resolve(&case["ask"])?;
        let own = case["own"].as_array().into_iter().flatten();
        self.own = own.filter_map(|name| name.as_str().map(str::to_owned)).collect();
        let mut connection = self.connection(place)?;
        let mut patience = if case["patiently"] == true { TRIES } else { 0 };
        let answer = loop {
            match connection.ask(api, version, &ask) {
                Ok(answer) if patience > 0 && is_not_ready(&answer) => {
                    patience -= 1;
                    thread::sleep(Duration::from_millis(50));
                }
                Ok(answer) => break answer,
                Err(error) => {
                    let stands_for = match error.kind() {
                        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => CLOSED,
                        io::ErrorKind::WouldBlock => SILENT,
                        _ => return Err(io::Error::new(error.kind(), format!("{name} version {version}: {error}"))),
                    };
                    return Ok(json!(stands_for));
                }
            }
        };
        self.connections.insert(place, connection);
        Ok(masked(case, "", self.comparable("", &answer)))
    }

    /// `"<name>"` in a request stands for the value that an earlier answer had under that name.
    fn resolve(&self, ask: &Value) -> io::Result<Value> {
        Ok(match ask {
            Value::String(text) if text.starts_with('<') => {
                let found = self.aliases.iter().find(|(_, alias)| *alias == text);
                let (value, _) = found.ok_or_else(|| io::Error::other(format!("no answer had {text}")))?;
                value
                    .strip_prefix(NUMBER)
                    .and_then(|number| number.rsplit(' ').next()?.parse::<i64>().ok())
                    .map_or(json!(value), Value::from)
            }
            Value::Array(list) => Value::Array(list.iter().map(|value| self.resolve(value)).collect::<Result<_, _>>()?),
            Value::Object(members) => {
                let member = |(name, value): (&String, &Value)| Ok((name.clone(), self.resolve(value)?));
                Value::Object(members.iter().map(member).collect::<io::Result<_>>()?)
            }
            other => other.clone(),
        })
    }

    /// Whether a server makes such numbers by itself.
    fn is_number_of_its_own(&self, name: &str) -> bool {
        ["producerId", "brokerEpoch", "producerIdStart"].contains(&name) || self.own.iter().any(|own| own == name)
    }

    fn alias(&mut self, name: &str, value: String) -> &str {
        let of_name = format!("<{name} ");
        let number = self.aliases.values().filter(|alias| alias.starts_with(&of_name)).count() + 1;
        self.aliases.entry(value).or_insert_with(|| format!("{of_name}{number}>"))
    }

    fn comparable(&mut self, name: &str, value: &Value) -> Value {
        match value {
            // Each says it in its own words; whether it says something is the same.
            Value::String(text) if name.to_lowercase().ends_with("errormessage") || name == "documentation" => {
                json!(if text.is_empty() { "" } else { "words" })
            }
            Value::String(text) if is_id(name, text) => json!(self.alias(name, text.clone())),
            Value::String(text) if name == "records" => json!(comparable_records(text)),
            Value::String(text) if self.aliases.contains_key(text) => json!(self.aliases[text]),
            Value::Number(number) if self.is_number_of_its_own(name) && number.as_i64().is_some_and(|id| id >= 0) => {
                json!(self.alias(name, format!("{NUMBER}{name} {number}")))
            }
            Value::Number(number) if is_of_the_moment(name, number.as_i64()) => json!(format!("<{name}>")),
            Value::Array(list) => {
                let list = &merged(list);
                // Apache Kafka's order is that of hash tables.
                let mut list: Vec<Value> = list.iter().map(|value| self.comparable(name, value)).collect();
                list.sort_by_key(Value::to_string);
                Value::Array(list)
            }
            Value::Object(members) => {
                if let (Some(Value::String(name)), Some(Value::String(id))) =
                    (members.get("name"), members.get("topicId"))
                    && is_id("topicId", id)
                {
                    self.alias(&format!("topicId of {name}"), id.clone());
                }
                let mut members: Vec<_> = members.iter().collect();
                // The name leads, so that lists are in the order of names.
                members.sort_by_key(|(name, _)| (!IDENTITIES.contains(&name.as_str()), *name));
                let members = members.into_iter().map(|(name, value)| (name.clone(), self.comparable(name, value)));
                Value::Object(members.collect::<Map<_, _>>())
            }
            other => other.clone(),
        }
    }
}

/// Without the numbers that a case does not compare.
fn masked(case: &Value, name: &str, value: Value) -> Value {
    let is_masked = || case["mask"].as_array().is_some_and(|names| names.iter().any(|masked| masked == name));
    match value {
        Value::Number(number) if number.as_i64().is_some_and(|number| number >= 0) && is_masked() => {
            json!(format!("<{name}>"))
        }
        Value::Array(list) => list.into_iter().map(|value| masked(case, name, value)).collect(),
        Value::Object(members) => {
            let member = |(name, value): (String, Value)| {
                let value = masked(case, &name, value);
                (name, value)
            };
            Value::Object(members.into_iter().map(member).collect())
        }
        other => other,
    }
}

/// The entries of one topic as one: Apache Kafka's broker puts partitions that it refuses apart.
fn merged(list: &[Value]) -> Vec<Value> {
    let topic = |entry: &Value| ["topicId", "topic", "name"].map(|name| entry.get(name).cloned());
    let mut merged: Vec<Value> = Vec::with_capacity(list.len());
    for entry in list {
        let known = merged.iter_mut().find(|known| topic(known) != [None, None, None] && topic(known) == topic(entry));
        let partitions = entry.get("partitions").and_then(Value::as_array);
        match known.and_then(|known| known.get_mut("partitions")?.as_array_mut()).zip(partitions) {
            Some((known, partitions)) => known.extend(partitions.iter().cloned()),
            None => merged.push(entry.clone()),
        }
    }
    merged
}

/// Records as they are, or only how many bytes there are where a server has put its own time into them.
fn comparable_records(text: &str) -> String {
    const MAX_TIMESTAMP: core::ops::Range<usize> = 35..43;
    /// Later than what tests write, earlier than now.
    const LATELY: i64 = 1_750_000_000_000;
    let bytes = unbase64(text);
    let mut rest = bytes.as_slice();
    while let Some(timestamp) = rest.get(MAX_TIMESTAMP) {
        if timestamp.try_into().map(i64::from_be_bytes).is_ok_and(|timestamp| timestamp > LATELY) {
            return format!("<{} bytes of records>", bytes.len());
        }
        let length = rest.get(8..12).and_then(|length| length.try_into().ok()).map_or(-1, i32::from_be_bytes);
        let Ok(length) = usize::try_from(length) else { break };
        rest = rest.get(length + 12..).unwrap_or_default();
    }
    text.to_owned()
}

/// Whether a coordinator or leader says that it has to be asked again.
fn is_not_ready(answer: &Value) -> bool {
    has_error(answer, &NOT_READY_COORDINATOR) || has_error(answer, &[ErrorCode::NotLeaderOrFollower])
}

fn is_id(name: &str, text: &str) -> bool {
    let is_uuid = text.len() == 22 && name.ends_with("Id") && !text.starts_with("AAAAAAAAAAAAAAAAAAAA");
    is_uuid || ((name == "memberId" || name == "leader" || name == "memberid") && text.len() > 36)
}

fn is_of_the_moment(name: &str, number: Option<i64>) -> bool {
    name == "port"
        || ((name.to_lowercase().contains("timestamp") || name.ends_with("TimeMs"))
            && number.is_some_and(|number| number > 1_000_000_000_000))
}

/// The places where two answers differ, without those that the case excepts with a reason.
pub fn differences(case: &Value, ours: &Value, theirs: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare(String::new(), ours, theirs, &mut found);
    let excepted = case["except"].as_object();
    found.retain(|line| excepted.is_none_or(|paths| !paths.keys().any(|path| line.starts_with(&format!("{path}:")))));
    found
}

fn compare(path: String, ours: &Value, theirs: &Value, found: &mut Vec<String>) {
    match (ours, theirs) {
        (Value::Object(a), Value::Object(b)) => {
            let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for name in names {
                let member = |of: &Map<String, Value>| of.get(name).cloned().unwrap_or(json!("(absent)"));
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                compare(path, &member(a), &member(b), found);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (number, (a, b)) in a.iter().zip(b).enumerate() {
                compare(format!("{path}[{number}]"), a, b, found);
            }
        }
        _ if ours != theirs => found.push(format!("{path}: Ottla {ours}, Apache Kafka {theirs}")),
        _ => {}
    }
}

/// An Ottla and an Apache Kafka, each alone and new, with the connections to them.
#[derive(Debug)]
pub struct Pair {
    /// The Ottla.
    pub ottla: Server,
    /// The Apache Kafka; stopped when this is dropped.
    pub kafka: Node,
    /// The connections to Ottla.
    pub ours: Side,
    /// The connections to Apache Kafka.
    pub theirs: Side,
}

impl Pair {
    /// Starts both.
    ///
    /// # Errors
    /// When one of them does not start.
    pub fn start() -> io::Result<Self> {
        // Nothing is to happen by itself while requests are compared.
        let options = NodeOptions::default()
            .property("group.initial.rebalance.delay.ms", 0)
            .property("log.retention.ms", -1)
            .property("log.initial.task.delay.ms", 3_600_000)
            .property("log.cleaner.backoff.ms", 3_600_000);
        let kafka = Oracle::at_home().start(&options).map_err(io::Error::other)?;
        let controller = format!("127.0.0.1:{}", free_port()?);
        let voters = format!("1@{controller}");
        let settings = [
            ("node.id", "1"),
            ("log.retention.ms", "-1"),
            ("log.initial.task.delay.ms", "3600000"),
            ("log.cleaner.backoff.ms", "3600000"),
            ("controller.quorum.voters", &voters),
            ("offsets.topic.replication.factor", "1"),
            ("transaction.state.log.replication.factor", "1"),
            ("transaction.state.log.min.isr", "1"),
        ];
        let ottla = Server::start(&settings)?;
        let ours = Side::new(vec![[ottla.bootstrap(), controller]]);
        let theirs = Side::new(vec![[kafka.bootstrap_server(), kafka.bootstrap_controller()]]);
        Ok(Self { ottla, kafka, ours, theirs })
    }

    /// The names that stand for values of both servers in answers, and may do so in requests.
    pub fn shared_names(&self) -> Vec<String> {
        let theirs: BTreeSet<&String> = self.theirs.aliases.values().collect();
        let ours: BTreeSet<&String> = self.ours.aliases.values().collect();
        ours.intersection(&theirs).map(|name| (*name).clone()).collect()
    }

    /// Asks both. Answers with what they said, Ottla first, and with the places that differ.
    ///
    /// # Errors
    /// When the case is none, or a server is gone.
    pub fn ask(&mut self, case: &Value) -> io::Result<(Value, Value, Vec<String>)> {
        ask_both(case, &mut self.ours, &mut self.theirs)
    }
}

/// Asks both sides. Answers with what they said, Ottla first, and with the places that differ.
///
/// # Errors
/// When the case is none, or a server is gone.
pub fn ask_both(case: &Value, ours: &mut Side, theirs: &mut Side) -> io::Result<(Value, Value, Vec<String>)> {
    let (ours, theirs) = (ours.ask(case)?, theirs.ask(case)?);
    let differ = differences(case, &ours, &theirs);
    Ok((ours, theirs, differ))
}

/// The API of that name.
///
/// # Errors
/// When there is none.
pub fn api(name: &str) -> io::Result<ApiKey> {
    let mut all = (0..200).filter_map(ApiKey::from_code);
    all.find(|api| api.name() == name).ok_or_else(|| io::Error::other(format!("no API {name}")))
}
