//! `kafka-dump-log` of Ottla and of Apache Kafka on the same files, written by either: the allowed difference is none. On
//! damaged files both end with the same exit code.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on ends")]

use ottla_oracle::{Captured, Node, NodeOptions, Oracle, run};
use ottla_tests::{Server, binary};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const TOOL: &str = "kafka-dump-log";
const DECODERS: [&str; 5] =
    ["offsets", "transaction-log", "cluster-metadata", "remote-log-metadata", "share-group-state"];
const PATIENCE: Duration = Duration::from_secs(60);

fn ours(arguments: &[String]) -> Captured {
    run(Command::new(binary().unwrap()).arg(TOOL).args(arguments), PATIENCE).unwrap()
}

/// All files below a folder, in order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

fn with_ending(files: &[PathBuf], ending: &str) -> Vec<String> {
    let names = files.iter().map(|path| path.to_str().unwrap());
    names.filter(|name| name.ends_with(ending)).map(str::to_owned).collect()
}

/// Calls that together use every option on every kind of file.
fn calls(folder: &Path) -> Vec<Vec<String>> {
    let files = files(folder);
    let of = |ending: &str| with_ending(&files, ending).join(",");
    let logs = of(".log");
    let indexes = [of(".index"), of(".timeindex")].join(",");
    let mut calls: Vec<Vec<&str>> = vec![
        vec!["--files", &logs],
        vec!["--deep-iteration", "--files", &logs],
        vec!["--print-data-log", "--files", &logs],
        vec!["--skip-record-metadata", "--print-data-log", "--files", &logs],
        vec!["--max-bytes", "5000", "--deep-iteration", "--files", &logs],
        vec!["--max-bytes=0", "--files", &logs],
        vec!["--value-decoder-class", "--files", &logs],
        vec!["--key-decoder-class", "org.apache.kafka.tools.api.StringDecoder", "--files", &logs],
        vec!["--key-decoder-class", "com.example.None", "--files", &logs],
    ];
    let singles =
        [&[".index", ".timeindex", ".snapshot", ".txnindex", ".checkpoint"][..], &["checkpoint", "properties"]];
    let singles: Vec<_> = singles.concat().into_iter().flat_map(|ending| with_ending(&files, ending)).collect();
    for file in &singles {
        calls.push(vec!["--files", file]);
    }
    for file in indexes.split(',') {
        calls.push(vec!["--index-sanity-check", "--files", file]);
        calls.push(vec!["--verify-index-only", "--files", file]);
        calls.push(vec!["--max-message-size", "100", "--files", file]);
    }
    let decoders = DECODERS.map(|name| format!("--{name}-decoder"));
    let records: Vec<_> = [".log", ".checkpoint"].into_iter().flat_map(|ending| with_ending(&files, ending)).collect();
    for decoder in &decoders {
        calls.extend(records.iter().map(|file| vec![decoder.as_str(), "--files", file]));
    }
    calls.into_iter().map(|call| call.into_iter().map(str::to_owned).collect()).collect()
}

/// Output without the reasons for which a record could not be decoded or a snapshot not be read: each has its own
/// sentences. And a tool that has ended with an exception may have said less or more before.
fn comparable(ran: &Captured) -> (Option<i32>, Vec<String>, Vec<String>) {
    if ran.code != Some(0) {
        return (ran.code, Vec::new(), Vec::new());
    }
    let line = |line: &str| match line.split_once(", skipping. ") {
        Some((start, why)) if !why.is_empty() => start.to_owned(),
        _ if line.starts_with("Snapshot ") => "the snapshot is unreadable".to_owned(),
        _ => line.to_owned(),
    };
    (ran.code, ran.stdout.lines().map(line).collect(), ran.stderr.lines().map(line).collect())
}

/// Runs the calls with both tools. Gives how many bytes were alike.
fn compare(oracle: &Oracle, calls: &[Vec<String>]) -> usize {
    let runs: Vec<_> = calls.iter().map(|call| (TOOL, call.clone())).collect();
    let theirs = oracle.run_tools(&runs).unwrap();
    assert_eq!(theirs.len(), calls.len());
    let mut bytes = 0;
    let mut differences = Vec::new();
    for (call, theirs) in calls.iter().zip(&theirs) {
        let ours = ours(call);
        assert!(!ours.stderr.contains("panicked"), "{call:?}: {}", ours.stderr);
        let ((our_code, our_output, our_errors), (code, output, errors)) = (comparable(&ours), comparable(theirs));
        let first = our_output.iter().zip(&output).find(|(ours, theirs)| ours != theirs);
        if our_code != code || our_output != output || our_errors != errors {
            differences.push(format!(
                "{call:?}\n  exit codes {our_code:?} and {code:?}, lines {} and {}\n  {first:?}\n  errors: {}\n  and: {}",
                our_output.len(),
                output.len(),
                ours.stderr,
                theirs.stderr
            ));
        }
        bytes += theirs.stdout.len();
    }
    let shown: Vec<_> = differences.iter().take(10).map(String::as_str).collect();
    assert!(differences.is_empty(), "{} of {} differ:\n{}", differences.len(), calls.len(), shown.join("\n"));
    bytes
}

/// A broker of Apache Kafka writes files of all kinds.
fn apache_writes(oracle: &Oracle, extra: &Path) -> Node {
    let mut options = NodeOptions::default();
    for key in ["offsets.topic", "transaction.state.log", "share.coordinator.state.topic"] {
        options = options.property(&format!("{key}.num.partitions"), 1);
    }
    let options = options
        .property("group.initial.rebalance.delay.ms", 0)
        .property("log.cleaner.backoff.ms", 200)
        .property("metadata.log.max.record.bytes.between.snapshots", 2000);
    let node = oracle.start(&options).unwrap();
    oracle.run_program("WriteLogFiles", &[&node.bootstrap_server(), "all", extra.to_str().unwrap()]).unwrap();
    let checkpoint = node.directory().join("data/cleaner-offset-checkpoint");
    let end = Instant::now() + PATIENCE;
    while !fs::read_to_string(&checkpoint).is_ok_and(|text| text.contains("compacted 0")) {
        assert!(Instant::now() < end, "nothing was compacted");
        std::thread::sleep(Duration::from_millis(50));
    }
    node
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (source, target) = {
            let entry = entry.unwrap();
            (entry.path(), to.join(entry.file_name()))
        };
        if source.is_dir() {
            copy(&source, &target);
        } else if !source.to_str().unwrap().ends_with(".deleted") {
            // A running broker may remove a file at any time.
            let _ = fs::copy(source, target);
        }
    }
}

#[test]
fn files_of_apache_kafka_are_shown_like_apache_kafka_shows_them() {
    let oracle = Oracle::install().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let extra = folder.path().join("extra");
    let mut node = apache_writes(&oracle, &extra);
    // As a crash leaves them: with indexes full of zeros, without producer snapshots.
    copy(&node.directory().join("data"), &folder.path().join("running"));
    node.stop().unwrap();
    copy(&node.directory().join("data"), &folder.path().join("stopped"));
    let bytes = compare(&oracle, &calls(folder.path()));
    println!("{bytes} bytes of output alike");
    damage(&folder.path().join("stopped"), &folder.path().join("damaged"));
    compare(&oracle, &damaged_calls(&folder.path().join("damaged")));
}

#[test]
fn files_of_ottla_are_shown_like_apache_kafka_shows_them() {
    let oracle = Oracle::install().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(&[("offsets.topic.num.partitions", "1")]).unwrap();
    let extra = folder.path().join("extra");
    oracle.run_program("WriteLogFiles", &[&server.bootstrap(), "some", extra.to_str().unwrap()]).unwrap();
    copy(&server.directory().join("data"), &folder.path().join("running"));
    server.stop().unwrap();
    copy(&server.directory().join("data"), &folder.path().join("stopped"));
    let bytes = compare(&oracle, &calls(folder.path()));
    println!("{bytes} bytes of output alike");
}

/// A sequence that is the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound.max(1)
    }
}

/// Copies of files with changed bytes and cut-off ends, each in a folder with the files of its segment.
fn damage(from: &Path, to: &Path) {
    let mut numbers = Numbers(7);
    let endings = [".log", ".index", ".timeindex", ".snapshot", ".txnindex", ".checkpoint"];
    let mut number = 0;
    for file in files(from) {
        let contents = fs::read(&file).unwrap();
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        if !endings.iter().any(|ending| name.ends_with(ending)) || !(1..600_000).contains(&contents.len()) {
            continue;
        }
        for round in 0..12 {
            let folder = to.join(format!("{number}-0"));
            fs::create_dir_all(&folder).unwrap();
            number += 1;
            for sibling in files(file.parent().unwrap()).iter().filter(|_| name.contains("index")) {
                fs::copy(sibling, folder.join(sibling.file_name().unwrap())).unwrap();
            }
            let mut damaged = contents.clone();
            if round % 3 == 0 {
                damaged.truncate(numbers.below(contents.len()));
            }
            // Mostly in the first batches, where headers are.
            let area = if round % 2 == 0 { damaged.len() } else { damaged.len().min(200) };
            for _ in 0..round % 4 {
                if let Some(byte) = damaged.get_mut(numbers.below(area)) {
                    *byte ^= 1 << numbers.below(8);
                }
            }
            fs::write(folder.join(name.as_str()), damaged).unwrap();
            fs::write(folder.join("damaged"), name.as_str()).unwrap();
        }
    }
}

fn damaged_calls(folder: &Path) -> Vec<Vec<String>> {
    let marks = with_ending(&files(folder), "/damaged");
    let calls = marks.iter().flat_map(|mark| {
        let name = fs::read_to_string(mark).unwrap();
        let file = Path::new(mark).with_file_name(name).to_str().unwrap().to_owned();
        let options: &[&str] = match file.rsplit('.').next() {
            Some("log" | "checkpoint") => &["--deep-iteration", "--print-data-log", "--offsets-decoder"],
            Some("index" | "timeindex") => &["--verify-index-only", "--index-sanity-check"],
            _ => &["--deep-iteration"],
        };
        options
            .iter()
            .map(move |option| vec![(*option).to_owned(), "--files".to_owned(), file.clone()])
            .collect::<Vec<_>>()
    });
    calls.collect()
}
