//! Programs that cargo made of a crate's tests, and what they say.

use crate::outcomes::{Outcomes, test_program};
use ottla_tests::{Target, workspace};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// The programs made of a library's tests, with the names of the files that they were made of.
pub(crate) fn programs(library: &str) -> Vec<(String, PathBuf)> {
    let folder = workspace().join("target/own-tests/programs").join(library);
    let entries = fs::read_dir(folder).expect("cargo xtask test clients builds the libraries' own tests");
    let mut programs: Vec<_> = entries
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), entry.path()))
        .collect();
    programs.sort();
    programs
}

/// Runs all programs of a library, each with its tests at the same time, for they mostly wait. `prepare` gives a program what
/// the library wants.
pub(crate) fn run_all(library: &str, target: &Target, prepare: impl Fn(&mut Command)) -> Outcomes {
    let run = |(file, program): (String, PathBuf)| run(library, target, &file, Command::new(program), &prepare);
    programs(library).into_iter().flat_map(run).collect()
}

/// Runs a program, and gives what became of its tests under names with the file's before it.
pub(crate) fn run(
    library: &str,
    target: &Target,
    file: &str,
    mut program: Command,
    prepare: impl Fn(&mut Command),
) -> Outcomes {
    let folder = tempfile::tempdir().unwrap();
    program.args(["--test-threads", "8"]).current_dir(&folder);
    prepare(&mut program);
    let said = test_program(&format!("{library}-{file}"), target, &mut program);
    let outcomes = read(&said);
    assert!(said.contains("test result: ") || !outcomes.is_empty(), "{library}'s {file} has not run: {said}");
    outcomes.into_iter().map(|(name, outcome)| (format!("{file} {name}"), outcome)).collect()
}

/// The names of tests and how they ended, of the lines `test NAME ... ok`. What a test prints by itself may come between.
fn read(said: &str) -> Outcomes {
    let of_line = |line: &str| {
        let (name, outcome) = line.strip_prefix("test ")?.split_once(" ... ")?;
        let outcome = match outcome {
            "ok" => "passed",
            "FAILED" => "failed",
            "ignored" => "skipped",
            _ => return None,
        };
        Some((name.to_owned(), outcome.to_owned()))
    };
    said.lines().filter_map(of_line).collect()
}
