//! The same requests to Ottla and to Apache Kafka, answer against answer: `tests/requests/*.json` holds them, a file for a
//! subject, asked in the order of their names.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on ends")]

use ottla_oracle::{NodeOptions, Oracle};
use ottla_protocol::{ApiKey, ErrorCode};
use ottla_tests::raw::Connection;
use ottla_tests::{Server, free_port, workspace};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use std::{fs, io, thread};

/// How often a coordinator that is not ready is asked, 50 ms apart.
const TRIES: u32 = 400;

/// The fields by which the elements of lists are put in order.
const IDENTITIES: [&str; 7] = ["name", "topic", "topicName", "groupId", "partitionIndex", "partition", "resourceName"];

/// A server with what is only known while it runs.
struct Side {
    broker: Connection,
    controller: Connection,
    addresses: [String; 2],
    /// Values that differ between two servers by their nature, and the names that stand for them in answers.
    aliases: BTreeMap<String, String>,
}

impl Side {
    fn new(broker: String, controller: String) -> Self {
        let open = |address: &str| Connection::open(address).unwrap();
        let connections = (open(&broker), open(&controller));
        let addresses = [broker, controller];
        Self { broker: connections.0, controller: connections.1, addresses, aliases: BTreeMap::new() }
    }

    /// The answer, comparable; a closed connection is one too.
    fn ask(&mut self, case: &Value) -> Value {
        let name = case["api"].as_str().unwrap();
        let api = api(name);
        let version = i16::try_from(case["version"].as_i64().unwrap()).unwrap();
        let on_controller = case["listener"] == "controller";
        let ask = self.resolve(&case["ask"]);
        let connection = if on_controller { &mut self.controller } else { &mut self.broker };
        let mut patience = if case["patiently"] == true { TRIES } else { 0 };
        let answer = loop {
            match connection.ask(api, version, &ask) {
                Ok(answer) if is_not_ready(&answer) && patience > 0 => {
                    patience -= 1;
                    thread::sleep(Duration::from_millis(50));
                }
                Ok(answer) => break answer,
                Err(error) if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => {
                    *connection = Connection::open(&self.addresses[usize::from(on_controller)]).unwrap();
                    return json!("the connection is closed");
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    *connection = Connection::open(&self.addresses[usize::from(on_controller)]).unwrap();
                    return json!("no answer comes");
                }
                Err(error) => panic!("{name} version {version}: {error}"),
            }
        };
        self.comparable("", &answer)
    }

    /// `"<name>"` in a request stands for the value that an earlier answer had under that name.
    fn resolve(&self, ask: &Value) -> Value {
        match ask {
            Value::String(text) if text.starts_with('<') => {
                let value = self.aliases.iter().find(|(_, alias)| *alias == text);
                value.map_or_else(|| panic!("no answer had {text}"), |(value, _)| json!(value))
            }
            Value::Array(list) => list.iter().map(|value| self.resolve(value)).collect(),
            Value::Object(members) => {
                Value::Object(members.iter().map(|(name, value)| (name.clone(), self.resolve(value))).collect())
            }
            other => other.clone(),
        }
    }

    fn comparable(&mut self, name: &str, value: &Value) -> Value {
        match value {
            // Each says it in its own words; whether it says something is the same.
            Value::String(text) if name == "errorMessage" || name == "documentation" => {
                json!(if text.is_empty() { "" } else { "words" })
            }
            Value::String(text) if is_id(name, text) => {
                let number = self.aliases.values().filter(|alias| alias.starts_with(&format!("<{name}"))).count();
                json!(self.aliases.entry(text.clone()).or_insert_with(|| format!("<{name} {}>", number + 1)))
            }
            Value::Number(number) if is_of_the_moment(name, number.as_i64()) => json!(format!("<{name}>")),
            Value::Array(list) => {
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
                    self.aliases.entry(id.clone()).or_insert_with(|| format!("<topicId of {name}>"));
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

/// Whether a coordinator or leader says that it has to be asked again.
fn is_not_ready(answer: &Value) -> bool {
    let retried = [
        ErrorCode::CoordinatorLoadInProgress,
        ErrorCode::CoordinatorNotAvailable,
        ErrorCode::NotCoordinator,
        ErrorCode::NotLeaderOrFollower,
    ];
    match answer {
        Value::Array(list) => list.iter().any(is_not_ready),
        Value::Object(members) => members.iter().any(|(name, value)| {
            let is_retried = || retried.iter().any(|retried| value.as_i64() == Some(retried.code().into()));
            is_not_ready(value) || (name == "errorCode" && is_retried())
        }),
        _ => false,
    }
}

fn is_id(name: &str, text: &str) -> bool {
    let is_uuid = text.len() == 22 && name.ends_with("Id") && !text.starts_with("AAAAAAAAAAAAAAAAAAAA");
    is_uuid || ((name == "memberId" || name == "leader" || name == "memberid") && text.len() > 36)
}

fn is_of_the_moment(name: &str, number: Option<i64>) -> bool {
    name == "port"
        || (name.to_lowercase().contains("timestamp") && number.is_some_and(|number| number > 1_000_000_000_000))
}

/// The places where two answers differ, without those that the case excepts with a reason.
fn differences(case: &Value, ours: &Value, theirs: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare(String::new(), ours, theirs, &mut found);
    let excepted = case["except"].as_object();
    found.retain(|line| excepted.is_none_or(|paths| !paths.keys().any(|path| line.starts_with(&format!("{path}:")))));
    found
}

fn compare(path: String, ours: &Value, theirs: &Value, found: &mut Vec<String>) {
    match (ours, theirs) {
        (Value::Object(a), Value::Object(b)) => {
            let names: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
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

fn pair() -> (Server, ottla_oracle::Node) {
    let options = NodeOptions::default().property("group.initial.rebalance.delay.ms", 0);
    let kafka = Oracle::at_home().start(&options).unwrap();
    (ottla(), kafka)
}

fn ottla() -> Server {
    let controller = free_port().unwrap();
    let voters = format!("1@127.0.0.1:{controller}");
    let settings = [
        ("node.id", "1"),
        ("controller.quorum.voters", &voters),
        ("offsets.topic.replication.factor", "1"),
        ("transaction.state.log.replication.factor", "1"),
        ("transaction.state.log.min.isr", "1"),
    ];
    Server::start(&settings).unwrap()
}

fn controller_of(server: &Server) -> String {
    let properties = fs::read_to_string(server.directory().join("server.properties")).unwrap();
    properties.lines().find_map(|line| line.strip_prefix("controller.quorum.voters=1@")).unwrap().to_owned()
}

/// A case that is to be asked in all versions, once for each that Ottla serves.
fn by_version(case: &Value) -> Vec<Value> {
    if case["version"] != "all" {
        return vec![case.clone()];
    }
    let in_version = |version: i16| {
        let mut case = case.clone();
        case["version"] = version.into();
        case
    };
    api(case["api"].as_str().unwrap()).versions().iter().map(in_version).collect()
}

fn api(name: &str) -> ApiKey {
    let mut all = (0..200).filter_map(ApiKey::from_code);
    all.find(|api| api.name() == name).unwrap_or_else(|| panic!("no API {name}"))
}

/// Asks all of a file and answers with what differed.
fn run(file: &std::path::Path, ours: &mut Side, theirs: &mut Side) -> (usize, Vec<String>) {
    let cases: Vec<Value> = serde_json::from_str(&fs::read_to_string(file).unwrap())
        .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let (mut asked, mut failures) = (0, Vec::new());
    for case in cases.iter().flat_map(by_version) {
        asked += 1;
        let case = &case;
        let (a, b) = (ours.ask(case), theirs.ask(case));
        println!("{}: Ottla {a}\n    Apache Kafka {b}", case["case"]);
        let found = differences(case, &a, &b);
        if !found.is_empty() {
            let title = format!(
                "{} / {} ({} v{})",
                file.file_stem().unwrap().to_string_lossy(),
                case["case"],
                case["api"],
                case["version"]
            );
            failures.push(format!("{title}\n    {}", found.join("\n    ")));
        }
    }
    (asked, failures)
}

#[test]
fn ottla_and_apache_kafka_answer_the_same() {
    let folder = workspace().join("tests/requests");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let (ottla, kafka) = pair();
    let mut ours = Side::new(ottla.bootstrap(), controller_of(&ottla));
    let mut theirs = Side::new(kafka.bootstrap_server(), kafka.bootstrap_controller());
    let (mut asked, mut failures) = (0, Vec::new());
    for file in files {
        let (count, found) = run(&file, &mut ours, &mut theirs);
        asked += count;
        failures.extend(found);
    }
    println!("{asked} requests, {} answered differently", failures.len());
    assert!(failures.is_empty(), "{}\n{}", failures.join("\n"), ottla.log());
}
