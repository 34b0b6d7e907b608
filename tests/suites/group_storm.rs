//! Members of a group join, leave and die at random while the server is killed, by the classic protocol, the consumer protocol
//! (KIP-848) and both at once: no partition is with two at once, none is with nobody for longer than it takes to notice a death and
//! to share its partitions out, each is with one when it is calm again, and no acknowledged commit is lost. The same on Apache
//! Kafka, without kills.
//!
//! `OTTLA_STORM_MEMBERS=200 OTTLA_STORM_SECONDS=600 cargo test -p ottla-tests --test group_storm -- --nocapture` is the long form;
//! `OTTLA_STORM_LIFETIME` is about how many beats a member lives.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on ends")]

#[path = "group_storm/ownership.rs"]
mod ownership;

use ottla_protocol::ApiKey;
use ottla_tests::group_member::{GroupPlan, Member, Mood, Speech};
use ottla_tests::{Asker, Server, number};
use ownership::{Shared, Watched};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const GROUP: &str = "storm";
const TOPICS: [(&str, i32); 2] = [("wide", 24), ("narrow", 5)];
const SESSION: Duration = Duration::from_secs(4);
const REBALANCE: Duration = Duration::from_secs(10);
const BEAT: Duration = Duration::from_millis(100);
const KILLS: u32 = 3;
const SETTINGS: [(&str, &str); 7] = [
    ("group.initial.rebalance.delay.ms", "0"),
    ("group.min.session.timeout.ms", "1000"),
    ("group.consumer.min.session.timeout.ms", "1000"),
    ("group.consumer.session.timeout.ms", "4000"),
    ("group.consumer.min.heartbeat.interval.ms", "100"),
    ("group.consumer.heartbeat.interval.ms", "100"),
    ("group.consumer.assignment.interval.ms", "100"),
];

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
fn storm(speech: Speech, address: &str, mut strike: impl FnMut(u32)) {
    let plan = Arc::new(GroupPlan {
        group: GROUP.to_owned(),
        topics: TOPICS.map(|(name, partitions)| (name.to_owned(), partitions)).to_vec(),
        ids: create_topics(address),
        session: SESSION,
        rebalance: REBALANCE,
        beat: BEAT,
    });
    let shared = Arc::new(Watched::default());
    let (storms, stops) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
    let lifetime = number("OTTLA_STORM_LIFETIME", 60);
    let members: Vec<_> = (0..usize::try_from(number("OTTLA_STORM_MEMBERS", 20)).unwrap())
        .map(|number| {
            let member = Member::new(number, speech, address, plan.clone(), shared.clone());
            let (storms, stops) = (storms.clone(), stops.clone());
            let mood = move || match (stops.load(Ordering::Relaxed), storms.load(Ordering::Relaxed)) {
                (true, _) => Mood::Over,
                (false, true) => Mood::Stormy,
                (false, false) => Mood::Calm,
            };
            thread::spawn(move || member.live(lifetime, mood))
        })
        .collect();
    let part = Duration::from_secs(number("OTTLA_STORM_SECONDS", 12)) / (KILLS + 1);
    for round in 0..=KILLS {
        thread::sleep(part);
        strike(round);
    }
    storms.store(false, Ordering::Relaxed);
    wait_until_all_are_owned(&shared);
    stops.store(true, Ordering::Relaxed);
    members.into_iter().for_each(|member| member.join().unwrap());
    check(speech, address, &shared.0.lock().unwrap());
}

fn wait_until_all_are_owned(shared: &Watched) {
    let all: usize = TOPICS.iter().map(|(_, partitions)| usize::try_from(*partitions).unwrap()).sum();
    let end = Instant::now() + Duration::from_secs(90);
    loop {
        let owned = shared.0.lock().unwrap().owned();
        if owned == all {
            return;
        }
        assert!(Instant::now() < end, "{owned} of {all} partitions are with somebody");
        thread::sleep(BEAT);
    }
}

fn check(speech: Speech, address: &str, shared: &Shared) {
    let (longest, middle, gaps) = shared.gap_figures();
    println!("{speech:?}: {} joins, {} deaths, {} commits", shared.joins, shared.deaths, shared.commits);
    println!(
        "  {gaps} times a partition was with nobody: half of them for less than {middle:.2?}, at most for {longest:.2?}"
    );
    assert!(shared.violations.is_empty(), "{:#?}", shared.violations);
    assert!(shared.commits > 0 && shared.joins > 0);
    // A death is noticed after the session's time, and what it had is shared out by a rebalance.
    assert!(longest <= SESSION + REBALANCE, "a partition was with nobody for {longest:?}");
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

fn on_ottla(speech: Speech) {
    let mut server = Server::start(&SETTINGS).unwrap();
    let address = server.bootstrap();
    storm(speech, &address, |round| {
        if round < KILLS {
            server.kill().unwrap();
            server.launch().unwrap();
        }
    });
}

fn on_apache_kafka(speech: Speech) {
    let options = SETTINGS
        .iter()
        .fold(ottla_oracle::NodeOptions::default(), |options, (key, value)| options.property(key, value));
    let node = ottla_oracle::Oracle::at_home().start(&options).unwrap();
    storm(speech, &node.bootstrap_server(), |_| ());
}

#[test]
fn consumers_share_the_partitions_of_ottla_though_it_is_killed() {
    on_ottla(Speech::Consumer);
}

#[test]
fn classic_members_share_the_partitions_of_ottla_though_it_is_killed() {
    on_ottla(Speech::Classic);
}

#[test]
fn members_of_both_protocols_share_the_partitions_of_ottla_though_it_is_killed() {
    on_ottla(Speech::Mixed);
}

#[test]
fn consumers_share_the_partitions_of_apache_kafka() {
    on_apache_kafka(Speech::Consumer);
}

#[test]
fn members_of_both_protocols_share_the_partitions_of_apache_kafka() {
    on_apache_kafka(Speech::Mixed);
}
