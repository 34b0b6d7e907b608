//! A server whose disk fails at any of its calls: nothing that was acknowledged is lost or doubled, and the server goes on, goes on
//! with what is left, or stops and says why. `OTTLA_FAILING_DISK_CASES` is how many failures, `OTTLA_FAILING_DISK_SEED` which; `OTTLA_FAILING_DISK_CASE`
//! is a single one, played as often.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on ends")]

#[path = "failing_disk/case.rs"]
mod case;
#[path = "failing_disk/check.rs"]
mod check;
#[path = "failing_disk/clients.rs"]
mod clients;
#[path = "failing_disk/line.rs"]
mod line;
#[path = "failing_disk/working.rs"]
mod working;

use case::{Case, Outcome, usual_calls};
use ottla_tests::{Call, Dice, Rule, number};
use std::collections::BTreeMap;
use std::panic::catch_unwind;
use std::sync::Mutex;
use std::thread;

/// What can become of calls of each kind.
const EFFECTS: [(&str, &[&str]); 10] = [
    ("write", &["EIO", "ENOSPC", "EROFS", "short", "half-EIO", "half-ENOSPC", "torn", "kill"]),
    ("sync", &["EIO", "ENOSPC", "kill"]),
    ("rename", &["EIO", "ENOSPC", "EACCES", "kill"]),
    ("resize", &["EIO", "ENOSPC", "kill"]),
    ("reserve", &["EIO", "ENOSPC", "kill"]),
    ("create", &["EIO", "ENOSPC", "EACCES", "kill"]),
    ("mkdir", &["EIO", "ENOSPC", "kill"]),
    ("remove", &["EIO", "EACCES", "kill"]),
    ("open", &["EIO", "kill"]),
    ("read", &["EIO"]),
];

/// A failure at random: of any kind of call, at any such call of a run.
fn case(dice: &mut Dice, usual: &[Vec<Call>; 2]) -> Case {
    let (kind, effects) = dice.pick(&EFFECTS);
    let directories = 1 + dice.roll(2) as usize;
    let folder = if directories == 2 && dice.roll(3) > 0 { "directory-2" } else { "" };
    let pattern = format!("DATA/{folder}*");
    let is_such = |call: &&Call| call.kind == kind && call.path.contains(folder);
    // Not to the last one: how many there are differs from run to run.
    let count = usual[directories - 1].iter().filter(is_such).count() as u64 * 4 / 5;
    let rule = Rule {
        kind: kind.to_owned(),
        pattern,
        first: 1 + dice.roll(count.max(1)),
        count: dice.roll(2),
        effect: dice.pick(effects).to_owned(),
    };
    Case { directories, rule }
}

/// Cases in which something was wrong once, as [`named_case`] reads them.
const KNOWN: [&str; 8] = [
    "2 create DATA/directory-2* 44 0 kill",
    "1 create DATA/* 36 0 EACCES",
    "1 open DATA/*.txnindex 1 1 EIO",
    "1 reserve DATA/*.txnindex 1 0 ENOSPC",
    "1 write DATA/*/__cluster_metadata-0/*.checkpoint.tmp 2 1 EIO",
    "1 mkdir DATA/*/made-* 1 0 ENOSPC",
    "1 open DATA/*/made-*/partition.metadata 1 1 EIO",
    "1 create DATA/*/meta.properties.tmp 1 1 kill",
];

/// The case that a text describes: directories, kind, pattern, first, count and effect, with spaces between.
fn named_case(text: &str) -> Case {
    let words: Vec<&str> = text.split(' ').collect();
    let [directories, kind, pattern, first, count, effect] = words[..] else { panic!("{text} is no case") };
    let rule = Rule {
        kind: kind.to_owned(),
        pattern: pattern.to_owned(),
        first: first.parse().unwrap(),
        count: count.parse().unwrap(),
        effect: effect.to_owned(),
    };
    Case { directories: directories.parse().unwrap(), rule }
}

/// Plays cases, as many at a time as there are processors. Gives how often each thing came of it.
fn play(cases: Vec<Case>) -> BTreeMap<Outcome, usize> {
    let queue = Mutex::new(cases.into_iter());
    let outcomes = Mutex::new(BTreeMap::new());
    let failed = Mutex::new(Vec::new());
    let worker = || {
        loop {
            let Some(case) = queue.lock().unwrap().next() else { return };
            match catch_unwind(|| case.play()) {
                Ok(outcome) => *outcomes.lock().unwrap().entry(outcome).or_default() += 1,
                Err(_) => failed.lock().unwrap().push(case),
            }
        }
    };
    thread::scope(|scope| {
        scope.spawn(worker);
        scope.spawn(worker);
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} failed: {failed:#?}", failed.len());
    outcomes.into_inner().unwrap()
}

#[test]
fn what_was_wrong_once_is_right() {
    let outcomes = play(KNOWN.iter().map(|text| named_case(text)).collect());
    println!("{outcomes:?}");
    assert!(outcomes.get(&Outcome::Missed).is_none_or(|missed| *missed < KNOWN.len()), "{outcomes:?}");
}

#[test]
fn whatever_call_of_the_disk_fails_no_promise_is_broken() {
    let usual = [1, 2].map(usual_calls);
    let mut dice = Dice(number("OTTLA_FAILING_DISK_SEED", 1));
    let named = std::env::var("OTTLA_FAILING_DISK_CASE").ok().map(|text| named_case(&text));
    let cases =
        (0..number("OTTLA_FAILING_DISK_CASES", 24)).map(|_| named.clone().unwrap_or_else(|| case(&mut dice, &usual)));
    let cases = cases.collect();
    let outcomes = play(cases);
    println!("{:?} calls in a run; {outcomes:?}", usual.map(|calls| calls.len()));
    assert!(outcomes.keys().any(|outcome| *outcome != Outcome::Missed), "{outcomes:?}");
}
