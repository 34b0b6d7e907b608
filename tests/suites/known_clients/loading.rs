//! A member whose coordinator has to read a long log before it can answer.

use super::{PATIENCE, create, produced};
use ottla_oracle::Leash;
use ottla_protocol::ApiKey;
use ottla_records::Compression;
use ottla_tests::besieged::{batch, produce};
use ottla_tests::raw::Connection;
use ottla_tests::{Asker, Target, unique, workspace};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

/// All groups are in one partition, so that their coordinator reads all of the commits.
pub(super) const SETTINGS: (&str, &str) = ("offsets.topic.num.partitions", "1");

/// So many commits of so many partitions each are read.
const COMMITS: usize = 1_000;
const PARTITIONS: usize = 100;

/// COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE and NOT_COORDINATOR: those after which clients ask again.
const NOT_YET: [i64; 3] = [14, 15, 16];

/// A member in Sarama, as a process of its own, and the lines that it prints.
struct Member {
    lines: Receiver<String>,
    child: std::process::Child,
    _leash: Leash,
}

impl Member {
    fn start(target: &Target, group: &str, topic: &str) -> Self {
        let mut command = Command::new(workspace().join("target/clients/go/restarted-group"));
        command.args([&target.bootstrap(), group, topic]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("cargo xtask test clients builds it");
        let leash = Leash::tie(&child).unwrap();
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        // Ends with the member's output.
        spawn(move || {
            let _ = stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line));
        });
        Self { lines, child, _leash: leash }
    }

    /// Waits until it has read a value, and gives the errors that it met before.
    fn reads(&self, value: &str) -> Vec<String> {
        let mut errors = Vec::new();
        loop {
            let line = self.lines.recv_timeout(PATIENCE).unwrap_or_else(|_| format!("nothing more after {errors:?}"));
            match line.strip_prefix("error ") {
                Some(error) => errors.push(error.to_owned()),
                None => {
                    assert_eq!(line, format!("read {value}"), "{errors:?}");
                    return errors;
                }
            }
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // It may be over already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Makes the log of groups long.
fn commit_much(target: &Target) {
    let mut connection = Connection::open(&target.bootstrap()).unwrap();
    let partitions: Vec<Value> = (0..PARTITIONS)
        .map(|index| json!({"partitionIndex": index, "committedOffset": 1, "committedMetadata": "some words of note"}))
        .collect();
    let mut commit = json!({"groupId": "much", "generationIdOrMemberEpoch": -1, "memberId": "",
        "topics": [{"name": "long", "partitions": partitions}]});
    for number in 0..COMMITS {
        commit["groupId"] = json!(format!("much-{number}"));
        let answer = connection.ask(ApiKey::OffsetCommit, 8, &commit).unwrap();
        let answered = answer["topics"][0]["partitions"].as_array().unwrap();
        assert!(answered.iter().all(|one| one["errorCode"] == 0), "{answer}");
    }
}

/// Asks the coordinator until it answers, and gives the errors that it met before.
fn errors_of_the_coordinator(target: &Target, group: &str) -> BTreeSet<i64> {
    let mut connection = Connection::open(&target.bootstrap()).unwrap();
    let ask = json!({"groupId": group, "topics": null, "requireStable": false});
    let end = Instant::now() + PATIENCE;
    let mut met = BTreeSet::new();
    loop {
        let answer = connection.ask(ApiKey::OffsetFetch, 7, &ask).unwrap();
        match answer["errorCode"].as_i64().unwrap() {
            0 => return met,
            error => met.insert(error),
        };
        assert!(Instant::now() < end, "{met:?}");
        sleep(Duration::from_millis(1));
    }
}

/// Sarama's member meets a coordinator that is still loading, and goes on where it committed.
pub(super) fn a_member_of_sarama_goes_on_at_a_coordinator_that_has_to_load(target: &mut Target) {
    let (topic, group) = (unique("long-loaded"), unique("long-loaded"));
    let mut asker = Asker::new(target.bootstrap());
    create(&mut asker, &topic, 1, &json!([]));
    create(&mut asker, "long", PARTITIONS, &json!([]));
    asker.ask(ApiKey::FindCoordinator, 4, &json!({"keyType": 0, "coordinatorKeys": [group]})).unwrap();
    let mut write = |value: &str, offset: i64| {
        let ask = produce(&topic, &batch(Compression::None, value.as_bytes()).unwrap());
        assert_eq!(produced(&asker.ask(ApiKey::Produce, 9, &ask).unwrap()), (0, offset));
    };
    write("first", 0);
    let member = Member::start(target, &group, &topic);
    member.reads("first");
    commit_much(target);
    target.kill_and_restart().unwrap();
    let met = errors_of_the_coordinator(target, &group);
    assert!(met.iter().all(|error| NOT_YET.contains(error)), "{met:?}");
    write("second", 1);
    let errors = member.reads("second");
    println!("the coordinator answered {met:?} first, and the member met {errors:?}");
}
