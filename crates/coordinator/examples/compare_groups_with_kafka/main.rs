//! Plays the same scripts against a running Apache Kafka and against the group coordinator here, and compares every
//! answer: `cargo run -p ottla-coordinator --example compare_groups_with_kafka -- 127.0.0.1:9092 [LOG]`.
//!
//! The node must run with `group.initial.rebalance.delay.ms=0` and `group.min.session.timeout.ms=500`, and have the
//! topics `t` and `u` with one partition each. With LOG, the records that the coordinator here has written are put
//! into that file as a segment, for `kafka-dump-log --offsets-decoder`. Exits with 1 when any answer differs.
//!
//! One difference is left out: a JoinGroup that the same member's next JoinGroup replaces is answered here with
//! REBALANCE_IN_PROGRESS, and by Kafka never.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a tool that a developer runs by hand")]

mod kafka;
#[path = "../../tests/memory_log/mod.rs"]
mod memory_log;
mod ours;
mod scripts;

use kafka::Kafka;
use ottla_groups::{Request, Response};
use ottla_protocol::ErrorCode;
use ours::Ours;
use std::collections::BTreeMap;
use std::process::ExitCode;

/// One of the two that are compared.
trait Side {
    /// Sends a request on a client's connection.
    fn send(&mut self, client: &str, version: i16, request: &Request);
    /// The answers that have come since, by client; waits for as many as are expected.
    fn answers(&mut self, expected: usize) -> Vec<(String, Response)>;
    /// A new script begins: nobody waits for answers of the old one.
    fn begin(&mut self);
    /// Lets time pass.
    fn sleep(&mut self, milliseconds: u64);
}

/// Member ids of one side by the names that both sides share.
#[derive(Default)]
struct Names {
    by_id: BTreeMap<String, String>,
}

impl Names {
    /// Names new member ids in the order in which they appear.
    fn learn(&mut self, response: &Response) {
        match response {
            Response::JoinGroup(join) => {
                self.learn_id(&join.member_id);
                join.members.iter().for_each(|member| self.learn_id(&member.member_id));
            }
            Response::DescribeGroups(described) => {
                let members = described.groups.iter().flat_map(|group| &group.members);
                members.for_each(|member| self.learn_id(&member.member_id));
            }
            _ => {}
        }
    }

    fn learn_id(&mut self, id: &str) {
        if !id.is_empty() && !self.by_id.contains_key(id) {
            self.by_id.insert(id.to_owned(), format!("M{}", self.by_id.len() + 1));
        }
    }

    fn id(&self, name: &str) -> String {
        let known = self.by_id.iter().find(|(_, other)| *other == name);
        known.map_or_else(|| name.to_owned(), |(id, _)| id.clone())
    }

    /// The answer as text, with names in place of ids and members in the order of their names.
    fn text(&self, mut response: Response) -> String {
        let name = |id: &str| self.by_id.get(id).cloned().unwrap_or_else(|| id.to_owned());
        match &mut response {
            Response::JoinGroup(join) => join.members.sort_by_key(|member| name(&member.member_id)),
            Response::OffsetFetch(group) => group.topics.sort_by(|a, b| a.name.cmp(&b.name)),
            Response::ListGroups(listed) => listed.groups.sort_by(|a, b| a.group_id.cmp(&b.group_id)),
            Response::DescribeGroups(described) => described
                .groups
                .iter_mut()
                .for_each(|group| group.members.sort_by_key(|member| name(&member.member_id))),
            _ => {}
        }
        let mut text = format!("{response:?}");
        for (id, name) in &self.by_id {
            text = text.replace(id, name);
        }
        text
    }
}

/// Both sides, and what they have said so far.
struct Comparison {
    sides: [(Box<dyn Side>, Names); 2],
    script: String,
    steps: usize,
    answers: usize,
    differences: usize,
}

impl Comparison {
    fn begin(&mut self, script: String) {
        self.script = script;
        for (side, names) in &mut self.sides {
            side.begin();
            names.by_id.clear();
        }
    }

    /// The group of this script.
    fn group(&self) -> String {
        self.script.clone()
    }

    /// Sends a request to both sides; `make` is given what translates names into ids.
    fn send(&mut self, client: &str, version: i16, make: impl Fn(&dyn Fn(&str) -> String) -> Request) {
        let client = format!("{}/{client}", self.script);
        let mut sent = String::new();
        for (side, names) in &mut self.sides {
            let request = make(&|name| names.id(name));
            side.send(&client, version, &request);
            sent = format!("{client} v{version} {request:?}");
        }
        self.compare(&sent);
    }

    fn sleep(&mut self, milliseconds: u64) {
        for (side, _) in &mut self.sides {
            side.sleep(milliseconds);
        }
        self.compare(&format!("sleep {milliseconds}"));
    }

    fn compare(&mut self, step: &str) {
        self.steps += 1;
        let mut expected = 0;
        // Those here come first: they tell how many to wait for.
        let texts = self.sides.each_mut().map(|(side, names)| {
            let mut answers = side.answers(expected);
            answers.sort_by(|(a, _), (b, _)| a.cmp(b));
            answers.iter().for_each(|(_, response)| names.learn(response));
            let is_explained = |response: &Response| match response {
                Response::JoinGroup(join) => join.error_code == ErrorCode::RebalanceInProgress.code(),
                _ => false,
            };
            answers.retain(|(_, response)| !is_explained(response));
            expected = answers.len();
            let texts = answers.into_iter().map(|(client, response)| format!("{client}: {}", names.text(response)));
            texts.collect::<Vec<String>>()
        });
        self.answers += texts[0].len();
        if texts[0] != texts[1] {
            self.differences += 1;
            println!("{}: {step}\n  here  {:#?}\n  Kafka {:#?}", self.script, texts[0], texts[1]);
        }
    }
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().expect("the address of a running Kafka");
    let ours = Ours::new();
    let log = ours.log();
    let mut comparison = Comparison {
        sides: [(Box::new(ours), Names::default()), (Box::new(Kafka::new(&address)), Names::default())],
        script: String::new(),
        steps: 0,
        answers: 0,
        differences: 0,
    };
    scripts::run(&mut comparison);
    println!("{} steps, {} answers, {} differences", comparison.steps, comparison.answers, comparison.differences);
    if let Some(path) = arguments.next() {
        std::fs::write(path, log.bytes()).expect("the log file can't be written");
    }
    if comparison.differences == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
