//! Members of a consumer group (KIP-848) join, leave and die at random while the server is killed: no partition is with two at
//! once, each is with one when it is calm again, and no acknowledged commit is lost. The same on Apache Kafka, without kills.
//!
//! `OTTLA_STORM_MEMBERS=200 OTTLA_STORM_SECONDS=600 cargo test -p ottla-tests --test group_storm -- --nocapture` is the long form.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on ends")]

use ottla_protocol::ApiKey;
use ottla_tests::raw::Connection;
use ottla_tests::{Asker, Server, number};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

const GROUP: &str = "storm";
const TOPICS: [(&str, i32); 2] = [("wide", 24), ("narrow", 5)];
const SESSION: Duration = Duration::from_secs(4);
const BEAT: Duration = Duration::from_millis(100);
const KILLS: u32 = 3;
const SETTINGS: [(&str, &str); 5] = [
    ("group.consumer.min.session.timeout.ms", "1000"),
    ("group.consumer.session.timeout.ms", "4000"),
    ("group.consumer.min.heartbeat.interval.ms", "100"),
    ("group.consumer.heartbeat.interval.ms", "100"),
    ("group.consumer.assignment.interval.ms", "100"),
];

type Partition = (String, i64);

/// Who has what, as the members believe, and what was committed.
#[derive(Default)]
struct Shared {
    /// The member, and until when nobody else may have it: it may live so long after its last heartbeat that was answered.
    owners: BTreeMap<Partition, (usize, Instant)>,
    next_value: i64,
    /// The greatest value whose commit was acknowledged.
    acknowledged: BTreeMap<Partition, i64>,
    violations: Vec<String>,
    joins: u64,
    deaths: u64,
    commits: u64,
}

struct Member {
    number: usize,
    life: u32,
    epoch: i64,
    owns: BTreeSet<Partition>,
    says_what_it_owns: bool,
    connection: Option<Connection>,
    random: u64,
    address: String,
    ids: Arc<BTreeMap<String, String>>,
    shared: Arc<Mutex<Shared>>,
}

impl Member {
    fn roll(&mut self, sides: u64) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % sides
    }

    fn id(&self) -> String {
        format!("m{}-{}", self.number, self.life)
    }

    /// The answer, unless the server is not there.
    fn ask(&mut self, api: ApiKey, version: i16, body: &Value) -> Option<Value> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(&self.address).ok()?,
        };
        let answer = connection.ask(api, version, body).ok()?;
        self.connection = Some(connection);
        Some(answer)
    }

    fn heartbeat(&mut self) {
        let mut body = json!({ "groupId": GROUP, "memberId": self.id(), "memberEpoch": self.epoch, "rebalanceTimeoutMs": -1,
            "subscribedTopicNames": null, "topicPartitions": null });
        if self.epoch == 0 {
            body["rebalanceTimeoutMs"] = json!(10_000);
            body["subscribedTopicNames"] = json!(TOPICS.map(|(name, _)| name));
            body["topicPartitions"] = json!([]);
        } else if self.says_what_it_owns {
            body["topicPartitions"] = self.owned();
        }
        let sent = Instant::now();
        let Some(answer) = self.ask(ApiKey::ConsumerGroupHeartbeat, 1, &body) else {
            // Whether it was heard is not known: it is said again.
            self.says_what_it_owns = true;
            return;
        };
        match answer["errorCode"].as_i64().unwrap() {
            0 => self.hear(&answer, sent),
            // Not ready, not there: later again.
            14..=16 => self.says_what_it_owns = true,
            _ => {
                self.release();
                self.epoch = 0;
            }
        }
    }

    fn hear(&mut self, answer: &Value, sent: Instant) {
        if self.epoch == 0 {
            self.shared.lock().unwrap().joins += 1;
        }
        self.epoch = answer["memberEpoch"].as_i64().unwrap();
        self.says_what_it_owns = false;
        if let Some(topics) = answer["assignment"]["topicPartitions"].as_array() {
            let assigned = self.named(topics);
            self.says_what_it_owns = assigned != self.owns;
            let mut shared = self.shared.lock().unwrap();
            for partition in self.owns.difference(&assigned) {
                shared.owners.remove(partition);
            }
            for partition in assigned.difference(&self.owns) {
                let other = shared.owners.insert(partition.clone(), (self.number, sent + SESSION));
                if let Some((other, until)) = other.filter(|(_, until)| *until > Instant::now()) {
                    let left = until - Instant::now();
                    let me = self.number;
                    shared.violations.push(format!("{partition:?} goes to {me} and is with {other} for {left:?} more"));
                }
            }
            drop(shared);
            self.owns = assigned;
        }
        let mut shared = self.shared.lock().unwrap();
        for partition in &self.owns {
            shared.owners.insert(partition.clone(), (self.number, sent + SESSION));
        }
    }

    fn named(&self, topics: &[Value]) -> BTreeSet<Partition> {
        let name = |id: &Value| {
            let found = self.ids.iter().find(|(_, other)| id == *other);
            found.map(|(name, _)| name.clone()).unwrap()
        };
        let of_topic = |topic: &Value| {
            let name = name(&topic["topicId"]);
            let partitions = topic["partitions"].as_array().unwrap().clone();
            partitions.into_iter().map(move |index| (name.clone(), index.as_i64().unwrap()))
        };
        topics.iter().flat_map(of_topic).collect()
    }

    fn owned(&self) -> Value {
        let mut topics: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
        self.owns.iter().for_each(|(name, index)| topics.entry(name).or_default().push(*index));
        topics.iter().map(|(name, indexes)| json!({ "topicId": self.ids[*name], "partitions": indexes })).collect()
    }

    fn release(&mut self) {
        let mut shared = self.shared.lock().unwrap();
        for partition in core::mem::take(&mut self.owns) {
            if shared.owners.get(&partition).is_some_and(|(owner, _)| *owner == self.number) {
                shared.owners.remove(&partition);
            }
        }
    }

    /// Commits a value for one partition that it has: greater than all before.
    fn commit(&mut self) {
        let count = self.owns.len() as u64;
        if self.epoch == 0 || count == 0 {
            return;
        }
        let place = usize::try_from(self.roll(count)).unwrap();
        let (topic, index) = self.owns.iter().nth(place).unwrap().clone();
        let value = {
            let mut shared = self.shared.lock().unwrap();
            shared.next_value += 1;
            shared.next_value
        };
        let body = json!({ "groupId": GROUP, "memberId": self.id(), "generationIdOrMemberEpoch": self.epoch,
            "topics": [{ "name": topic, "partitions": [{ "partitionIndex": index, "committedOffset": value }] }] });
        let Some(answer) = self.ask(ApiKey::OffsetCommit, 9, &body) else { return };
        if answer["topics"][0]["partitions"][0]["errorCode"] == 0 {
            let mut shared = self.shared.lock().unwrap();
            shared.commits += 1;
            let greatest = shared.acknowledged.entry((topic, index)).or_default();
            *greatest = value.max(*greatest);
        }
    }

    /// Lives until it is told to stop; while it storms it leaves and dies now and then.
    fn live(mut self, storms: &AtomicBool, stops: &AtomicBool) {
        while !stops.load(Ordering::Relaxed) {
            let chance = if storms.load(Ordering::Relaxed) { self.roll(120) } else { 2 };
            match chance {
                0 => {
                    let id = self.id();
                    self.release();
                    let body = json!({ "groupId": GROUP, "memberId": id, "memberEpoch": -1, "rebalanceTimeoutMs": -1 });
                    self.ask(ApiKey::ConsumerGroupHeartbeat, 1, &body);
                    self.be_born_again();
                }
                // It dies with all that it has; who comes in its place is somebody else.
                1 => {
                    self.owns.clear();
                    self.shared.lock().unwrap().deaths += 1;
                    self.connection = None;
                    self.be_born_again();
                }
                2..20 => self.commit(),
                _ => {}
            }
            self.heartbeat();
            thread::sleep(BEAT);
        }
    }

    fn be_born_again(&mut self) {
        thread::sleep(BEAT * u32::try_from(self.roll(20)).unwrap());
        self.life += 1;
        self.epoch = 0;
        self.says_what_it_owns = false;
    }
}

fn create_topics(address: &str) -> BTreeMap<String, String> {
    let mut asker = Asker::new(address.to_owned());
    let topic =
        |(name, partitions): (&str, i32)| json!({ "name": name, "numPartitions": partitions, "replicationFactor": 1 });
    let body = json!({ "topics": TOPICS.map(topic), "timeoutMs": 30_000 });
    let answer = asker.ask(ApiKey::CreateTopics, 7, &body).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    asker.ask(ApiKey::FindCoordinator, 4, &json!({ "keyType": 0, "coordinatorKeys": [GROUP] })).unwrap();
    let created = answer["topics"].as_array().unwrap().iter();
    created.map(|topic| (text(&topic["name"]), text(&topic["topicId"]))).collect()
}

/// The storm, with `strike` in the middle of it.
fn storm(address: &str, mut strike: impl FnMut(u32)) {
    let ids = Arc::new(create_topics(address));
    let shared = Arc::new(Mutex::new(Shared::default()));
    let (storms, stops) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
    let members: Vec<_> = (0..usize::try_from(number("OTTLA_STORM_MEMBERS", 30)).unwrap())
        .map(|number| {
            let member = Member {
                number,
                life: 0,
                epoch: 0,
                owns: BTreeSet::new(),
                says_what_it_owns: false,
                connection: None,
                random: 0x9e37_79b9_u64.wrapping_mul(number as u64 + 1),
                address: address.to_owned(),
                ids: ids.clone(),
                shared: shared.clone(),
            };
            let (storms, stops) = (storms.clone(), stops.clone());
            thread::spawn(move || member.live(&storms, &stops))
        })
        .collect();
    let part = Duration::from_secs(number("OTTLA_STORM_SECONDS", 20)) / (KILLS + 1);
    for round in 0..=KILLS {
        thread::sleep(part);
        strike(round);
    }
    storms.store(false, Ordering::Relaxed);
    wait_until_all_are_owned(&shared);
    stops.store(true, Ordering::Relaxed);
    members.into_iter().for_each(|member| member.join().unwrap());
    check(address, &shared.lock().unwrap());
}

fn wait_until_all_are_owned(shared: &Mutex<Shared>) {
    let all: usize = TOPICS.iter().map(|(_, partitions)| usize::try_from(*partitions).unwrap()).sum();
    let end = Instant::now() + Duration::from_secs(90);
    loop {
        let now = Instant::now();
        let owned = shared.lock().unwrap().owners.values().filter(|(_, until)| *until > now).count();
        if owned == all {
            return;
        }
        assert!(now < end, "{owned} of {all} partitions are with somebody");
        thread::sleep(BEAT);
    }
}

fn check(address: &str, shared: &Shared) {
    println!("{} joins, {} deaths, {} commits", shared.joins, shared.deaths, shared.commits);
    assert!(shared.violations.is_empty(), "{:#?}", shared.violations);
    assert!(shared.commits > 0 && shared.joins > 0);
    let mut asker = Asker::new(address.to_owned());
    let groups = json!([{ "groupId": GROUP, "memberId": null, "memberEpoch": -1, "topics": null }]);
    let answer = asker.ask(ApiKey::OffsetFetch, 9, &json!({ "groups": groups, "requireStable": false })).unwrap();
    let mut committed = BTreeMap::new();
    for topic in answer["groups"][0]["topics"].as_array().unwrap() {
        for partition in topic["partitions"].as_array().unwrap() {
            let name = topic["name"].as_str().unwrap().to_owned();
            let index = partition["partitionIndex"].as_i64().unwrap();
            committed.insert((name, index), partition["committedOffset"].as_i64().unwrap());
        }
    }
    for (partition, value) in &shared.acknowledged {
        let found = committed.get(partition).copied().unwrap_or(-1);
        assert!(found >= *value, "{partition:?}: {value} was acknowledged, {found} is there");
    }
}

#[test]
fn no_partition_is_with_two_members_on_ottla_though_it_is_killed() {
    let mut server = Server::start(&SETTINGS).unwrap();
    let address = server.bootstrap();
    storm(&address, |round| {
        if round < KILLS {
            server.kill().unwrap();
            server.launch().unwrap();
        }
    });
}

#[test]
fn no_partition_is_with_two_members_on_apache_kafka() {
    let options = SETTINGS
        .iter()
        .fold(ottla_oracle::NodeOptions::default(), |options, (key, value)| options.property(key, value));
    let node = ottla_oracle::Oracle::at_home().start(&options).unwrap();
    storm(&node.bootstrap_server(), |_| ());
}
