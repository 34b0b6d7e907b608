//! What both dump tools say of files that both servers have written in turns.

use ottla_oracle::{Oracle, run};
use ottla_tests::binary;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const TOOL: &str = "kafka-dump-log";
const PATIENCE: Duration = Duration::from_secs(60);

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // What was deleted goes while it is looked at.
        let is_deleted = path.to_str().is_some_and(|name| name.ends_with("-delete") || name.ends_with(".deleted"));
        if path.is_dir() && !is_deleted {
            files(&path, found);
        } else if !is_deleted {
            found.push(path);
        }
    }
}

/// The tools agree, no batch is invalid, and no index names what is not there. Gives how many files were looked at.
pub(crate) fn agree(folder: &Path) -> usize {
    let mut all = Vec::new();
    files(folder, &mut all);
    all.sort();
    let with = |ending: &str| -> Vec<&str> {
        all.iter().filter_map(|path| path.to_str().filter(|name| name.ends_with(ending))).collect()
    };
    // Apache Kafka leaves those of the metadata log as long as they were made, with zeros at their ends.
    let is_closed = |name: &&str| !name.contains("__cluster_metadata");
    let indexes = [with(".index"), with(".timeindex")].concat().into_iter().filter(is_closed);
    let (logs, indexes) = (with(".log").join(","), indexes.collect::<Vec<_>>().join(","));
    let calls = [
        vec!["--deep-iteration", "--print-data-log", "--files", &logs],
        vec!["--index-sanity-check", "--files", &indexes],
    ];
    let calls = calls.map(|call| (TOOL, call.into_iter().map(str::to_owned).collect::<Vec<_>>()));
    let theirs = Oracle::at_home().run_tools(&calls).unwrap();
    for ((_, call), theirs) in calls.iter().zip(&theirs) {
        let ours = run(Command::new(binary().unwrap()).arg(TOOL).args(call), PATIENCE).unwrap();
        assert_eq!((theirs.code, ours.code), (Some(0), Some(0)), "{call:?}: {}{}", theirs.stderr, ours.stderr);
        let differ = theirs.stdout.lines().zip(ours.stdout.lines()).find(|(theirs, ours)| theirs != ours);
        assert!(differ.is_none() && theirs.stdout.len() == ours.stdout.len(), "{}: {differ:?}", call[0]);
        let wrong = theirs.stdout.lines().find(|line| line.contains("isvalid: false"));
        assert!(wrong.is_none(), "{wrong:?}");
    }
    all.len()
}
