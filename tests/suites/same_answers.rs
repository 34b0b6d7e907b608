//! The same requests to Ottla and to Apache Kafka, answer against answer: `tests/requests/*.json` holds them, a file for a
//! subject, asked in the order of their names. `OTTLA_REQUESTS=55` asks those of files whose names begin so, and no others.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on ends")]

use ottla_tests::answers::{Pair, api};
use ottla_tests::workspace;
use serde_json::Value;
use std::fs;
use std::path::Path;

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
    api(case["api"].as_str().unwrap()).unwrap().versions().iter().map(in_version).collect()
}

/// Asks all of a file and answers with what differed.
fn run(file: &Path, pair: &mut Pair) -> (usize, Vec<String>) {
    let cases: Vec<Value> = serde_json::from_str(&fs::read_to_string(file).unwrap())
        .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let (mut asked, mut failures) = (0, Vec::new());
    for case in cases.iter().flat_map(by_version) {
        asked += 1;
        let (ours, theirs, found) = pair.ask(&case).unwrap();
        println!("{}: Ottla {ours}\n    Apache Kafka {theirs}", case["case"]);
        if !found.is_empty() {
            let file = file.file_stem().unwrap().to_string_lossy();
            let title = format!("{file} / {} ({} v{})", case["case"], case["api"], case["version"]);
            failures.push(format!("{title}\n    {}", found.join("\n    ")));
        }
    }
    (asked, failures)
}

#[test]
fn ottla_and_apache_kafka_answer_the_same() {
    let folder = workspace().join("tests/requests");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    let beginning = std::env::var("OTTLA_REQUESTS").unwrap_or_default();
    files.retain(|file| file.file_name().unwrap().to_string_lossy().starts_with(&beginning));
    assert!(!files.is_empty(), "no file's name begins with {beginning}");
    files.sort();
    let mut pair = Pair::start().unwrap();
    let (mut asked, mut failures) = (0, Vec::new());
    for file in files {
        let (count, found) = run(&file, &mut pair);
        asked += count;
        failures.extend(found);
    }
    println!("{asked} requests, {} answered differently", failures.len());
    assert!(failures.is_empty(), "{}\n{}", failures.join("\n"), pair.ottla.log());
}
