//! Members of both protocols in the same groups, under each policy of migration: the same random requests to Ottla and to Apache
//! Kafka, answer against answer, those that wait for other members included. `OTTLA_MIGRATION_SEED` and `OTTLA_MIGRATION_STEPS`
//! choose another or a longer schedule; with `OTTLA_MIGRATION_TRACE` it is printed.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on ends")]

#[path = "group_migration/schedule.rs"]
mod schedule;
#[path = "group_migration/side.rs"]
mod side;

use ottla_oracle::{NodeOptions, Oracle};
use ottla_tests::{Server, number};
use schedule::Schedule;
use side::Side;
use std::collections::BTreeMap;

/// Nobody is silent for too long, and assignments come at once, by the assignor that doesn't hang on the hashes of ids.
const SETTINGS: [(&str, &str); 8] = [
    ("group.initial.rebalance.delay.ms", "0"),
    ("group.consumer.assignment.interval.ms", "0"),
    ("group.consumer.assignors", "range"),
    ("group.consumer.max.session.timeout.ms", "600000"),
    ("group.consumer.session.timeout.ms", "600000"),
    ("group.max.size", "4"),
    ("group.consumer.max.size", "4"),
    ("offsets.topic.num.partitions", "1"),
];
const STEPS: u64 = 600;

/// Plays one schedule to both, and counts the outcomes.
fn play(policy: &str, seed: u64) -> BTreeMap<String, u64> {
    let settings: Vec<_> = SETTINGS.into_iter().chain([("group.consumer.migration.policy", policy)]).collect();
    let options = settings.iter().fold(NodeOptions::default(), |options, (key, value)| options.property(key, value));
    let kafka = Oracle::at_home().start(&options).unwrap();
    let ottla = Server::start(&settings).unwrap();
    let (mut ours, mut theirs) = (Side::new(ottla.bootstrap()), Side::new(kafka.bootstrap_server()));
    let mut schedule = Schedule::new(seed);
    let mut outcomes: BTreeMap<String, u64> = BTreeMap::new();
    let mut differences = Vec::new();
    let traces = std::env::var_os("OTTLA_MIGRATION_TRACE").is_some();
    for step in 0..number("OTTLA_MIGRATION_STEPS", STEPS) {
        let question = schedule.next();
        if traces {
            println!(
                "{policy} {step} {:?} {} {} {}",
                question.from,
                question.api.name(),
                question.version,
                question.body
            );
        }
        ours.send(&question);
        theirs.send(&question);
        let both = side::answers_of_both(&question.from, &mut ours, &mut theirs);
        // Ids that are new get names first: the answers of others may show them.
        for (question, our, their) in &both {
            if let Some(name) = schedule.name_of_new_id(question, our, their) {
                ours.learn(&name, &our["memberId"]);
                theirs.learn(&name, &their["memberId"]);
            }
        }
        for (question, our, their) in both {
            let (our, their) = schedule.hear(&question, ours.comparable(&our), theirs.comparable(&their));
            if traces {
                println!("    {:?} {} -> {our}", question.from, question.api.name());
            }
            let asked = format!("{:?} {} {} {}", question.from, question.api.name(), question.version, question.body);
            if our != their {
                differences.push(format!("{policy}, step {step}: {asked}\n  Ottla {our}\n  Kafka {their}"));
                schedule.abandon(&question.from.0);
            }
            *outcomes.entry(format!("{} {}", question.api.name(), our["errorCode"])).or_default() += 1;
        }
        for group in schedule.take_abandoned() {
            ours.forget(&group);
            theirs.forget(&group);
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    outcomes
}

#[test]
fn members_of_both_protocols_get_the_same_answers_under_each_policy() {
    let seed = number("OTTLA_MIGRATION_SEED", 1);
    let policies = ["bidirectional", "upgrade", "downgrade", "disabled"];
    let chosen = std::env::var("OTTLA_MIGRATION_POLICY").ok();
    for policy in policies.into_iter().filter(|policy| chosen.as_deref().is_none_or(|chosen| chosen == *policy)) {
        let outcomes = play(policy, seed);
        println!("{policy}: {outcomes:?}");
        assert!(outcomes.len() > 15, "{policy}: {outcomes:?}");
    }
}
