//! The test command: what it installs, what it runs, how long each stage took.

use crate::command::{is_on_path, run};
use crate::{foreign, own_tests, tidy};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// The release of cargo-deny that is installed where none is found.
const DENY_VERSION: &str = "0.20.2";

/// One stage: a name to call it by, what it does, and the work.
struct Stage {
    name: &'static str,
    purpose: &'static str,
    work: Work,
}

/// What a stage does.
enum Work {
    /// One thing that passes or fails.
    Check(fn(&Path) -> Result<(), String>),
    /// All tests, counted one by one.
    Tests,
}

/// How many tests passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    passed: usize,
    failed: usize,
}

const STAGES: [Stage; 10] = [
    Stage { name: "format", purpose: "rustfmt has nothing to change", work: Work::Check(format) },
    Stage { name: "tidy", purpose: "the house rules hold", work: Work::Check(tidy_house) },
    Stage { name: "jars", purpose: "Apache Kafka is installed by Maven", work: Work::Check(jars) },
    Stage {
        name: "clients",
        purpose: "foreign clients are installed: Python, Go, Node and Java ones, kcat, PostgreSQL, Spring applications",
        work: Work::Check(clients),
    },
    Stage {
        name: "own-tests",
        purpose: "the tests that Rust's clients and librdkafka bring are built",
        work: Work::Check(own_tests::install),
    },
    Stage { name: "deny", purpose: "licences, bans, sources and advisories of dependencies", work: Work::Check(deny) },
    Stage { name: "clippy", purpose: "clippy has no warning", work: Work::Check(clippy) },
    Stage { name: "build", purpose: "programs and tests are built", work: Work::Check(build) },
    Stage { name: "test", purpose: "all tests pass", work: Work::Tests },
    Stage { name: "doc", purpose: "the documentation builds without a warning", work: Work::Check(doc) },
];

/// The names of all stages.
pub fn names() -> impl Iterator<Item = &'static str> {
    STAGES.iter().map(|stage| stage.name)
}

/// Runs the stages called `only`, or all, in order. A failed one does not keep the others from running: one look at the
/// end tells all that is wrong.
pub fn test(workspace: &Path, only: &[&str]) -> ExitCode {
    if let Some(unknown) = only.iter().find(|name| !names().any(|known| known == **name)) {
        eprintln!("there is no stage {unknown}; there are: {}", names().collect::<Vec<_>>().join(", "));
        return ExitCode::from(2);
    }
    let mut results = Vec::new();
    let mut count = Count::default();
    for stage in STAGES.iter().filter(|stage| only.is_empty() || only.contains(&stage.name)) {
        println!("\n=== {}: {}", stage.name, stage.purpose);
        let begin = Instant::now();
        let result = match stage.work {
            Work::Check(check) => {
                let result = check(workspace);
                if result.is_ok() {
                    count.passed += 1
                } else {
                    count.failed += 1
                }
                result
            }
            Work::Tests => test_all(workspace, &mut count),
        };
        if let Err(problem) = &result {
            println!("{problem}");
        }
        results.push((stage.name, begin.elapsed(), result.is_ok()));
    }
    summary(&results, count)
}

/// One line per stage, then one with all that passed and failed, tests and other stages together.
fn summary(results: &[(&str, Duration, bool)], count: Count) -> ExitCode {
    println!();
    for (name, took, good) in results {
        println!("{:<8} {:>7.1} s  {}", name, took.as_secs_f64(), if *good { "passed" } else { "FAILED" });
    }
    println!("{} passed, {} failed", count.passed, count.failed);
    if count.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn format(workspace: &Path) -> Result<(), String> {
    run(cargo(workspace).args(["fmt", "--all", "--check"]))
}

fn tidy_house(workspace: &Path) -> Result<(), String> {
    let problems = tidy::problems(workspace);
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n")) }
}

fn jars(_workspace: &Path) -> Result<(), String> {
    ottla_oracle::Oracle::install().map(|_| ()).map_err(|error| error.to_string())
}

fn clients(workspace: &Path) -> Result<(), String> {
    foreign::install(workspace)?;
    spring(workspace)?;
    if !is_on_path("kcat") {
        apt_install("kcat")?;
    }
    if !has_postgresql() {
        apt_install("postgresql")?;
    }
    Ok(())
}

/// Whether PostgreSQL's server is where Debian puts it, beside PATH.
fn has_postgresql() -> bool {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    versions.map(|version| version.path().join("bin/initdb")).any(|program| program.exists())
}

/// Without the right to install packages this fails with apt's own words.
fn apt_install(package: &str) -> Result<(), String> {
    run(Command::new("apt-get").args(["install", "-y", "--no-install-recommends", package]))
}

/// The applications of `tests/clients/spring`, each with its libraries in one jar in `target/spring`. Maven knows what has
/// changed since it built them; without the network it uses what it has.
fn spring(workspace: &Path) -> Result<(), String> {
    run(Command::new("mvn").args(["-q", "-B", "-f"]).arg(workspace.join("tests/clients/spring/pom.xml")).arg("package"))
}

fn deny(workspace: &Path) -> Result<(), String> {
    let program = deny_program(workspace)?;
    let check = |what: &[&str]| {
        run(Command::new(&program)
            .args(["--workspace", "check", "--hide-inclusion-graph"])
            .args(what)
            .current_dir(workspace))
    };
    check(&["bans", "licenses", "sources"])?;
    if run(Command::new(&program).arg("fetch").arg("db").current_dir(workspace)).is_err() {
        println!(
            "!!! The advisory database could not be fetched: ADVISORIES WERE NOT CHECKED. Run again with a network."
        );
        return Ok(());
    }
    check(&["advisories"])
}

fn deny_program(workspace: &Path) -> Result<PathBuf, String> {
    let tools = workspace.join("target/tools");
    let own = tools.join("bin/cargo-deny");
    if own.exists() {
        return Ok(own);
    }
    if is_on_path("cargo-deny") {
        return Ok(PathBuf::from("cargo-deny"));
    }
    // Its own release profile optimises all of it as one piece, for minutes; it runs for seconds here.
    run(cargo(workspace)
        .args(["install", "--quiet", "--locked", "--debug", "cargo-deny", "--version", DENY_VERSION, "--root"])
        .arg(&tools)
        .env("CARGO_PROFILE_DEV_DEBUG", "0"))?;
    Ok(own)
}

fn clippy(workspace: &Path) -> Result<(), String> {
    run(cargo(workspace).args(["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

fn build(workspace: &Path) -> Result<(), String> {
    run(cargo(workspace).args(["build", "--quiet", "--workspace", "--bins"]))?;
    run(cargo(workspace).args(["test", "--quiet", "--workspace", "--no-run"]))
}

/// Runs all tests, passes their output on and counts them.
fn test_all(workspace: &Path, count: &mut Count) -> Result<(), String> {
    let venv = workspace.join("target/venv/bin");
    let path = std::env::var("PATH").unwrap_or_default();
    let mut tests = cargo(workspace);
    tests.args(["test", "--workspace", "--no-fail-fast"]).env("PATH", format!("{}:{path}", venv.display()));
    let mut child = tests.stdout(Stdio::piped()).spawn().map_err(|error| format!("cargo can't be run: {error}"))?;
    let output = child.stdout.take().map(BufReader::new);
    for line in output.into_iter().flat_map(|lines| lines.split(b'\n')).map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        count.add(&line);
    }
    match child.wait() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => {
            // A test program that dies in the middle has counted nothing.
            count.failed = count.failed.max(1);
            Err(format!("cargo test ended with {status}"))
        }
        Err(error) => Err(format!("cargo test: {error}")),
    }
}

impl Count {
    /// Adds the figures of a line `test result: ok. 3 passed; 0 failed; ...`.
    fn add(&mut self, line: &str) {
        let Some((_, figures)) = line.split_once("test result: ") else { return };
        for figure in figures.split([';', '.']) {
            match figure.trim().split_once(' ') {
                Some((number, "passed")) => self.passed += number.parse::<usize>().unwrap_or(0),
                Some((number, "failed")) => self.failed += number.parse::<usize>().unwrap_or(0),
                _ => {}
            }
        }
    }
}

fn doc(workspace: &Path) -> Result<(), String> {
    run(cargo(workspace)
        .args(["doc", "--quiet", "--workspace", "--no-deps", "--document-private-items"])
        .env("RUSTDOCFLAGS", "-D warnings -A rustdoc::private_intra_doc_links"))
}

fn cargo(workspace: &Path) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace);
    cargo
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_all_test_programs_are_added_up() {
        let mut count = Count::default();
        for line in [
            "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s",
            "test it ... ok",
        ] {
            count.add(line);
        }
        assert_eq!(count, Count { passed: 7, failed: 2 });
    }
}
