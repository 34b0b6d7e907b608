//! The fuzz targets of `fuzz/`: built with coverage and AddressSanitizer by the nightly toolchain alone, and run to a number of
//! executions.

mod ledger;

use ledger::Measured;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// The targets, and which part in a thousand of all executions each gets: those where a mutation reaches far and costs
/// little get more.
const TARGETS: [(&str, u64); 15] = [
    ("coordinator_records", 70),
    ("log_files", 110),
    ("log_recovery", 5),
    ("messages", 80),
    ("metadata_records", 45),
    ("otlp", 110),
    ("properties", 50),
    ("records_batches", 110),
    ("records_gzip", 50),
    ("records_legacy", 50),
    ("records_lz4", 80),
    ("records_produce", 110),
    ("records_round_trip", 5),
    ("records_snappy", 75),
    ("records_zstd", 50),
];

/// How many executions all targets together get when nothing else is asked for.
const EXECUTIONS: u64 = 100_000_000;

/// The longest input that is tried.
const LENGTH_MAX: usize = 4096;

/// The greatest memory of a target.
const RESIDENT_MB_MAX: usize = 2048;

/// Where nightly's sanitizers are built for.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// What makes the compiler tell libFuzzer which edges were taken and what was compared.
const FLAGS: [&str; 9] = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Zsanitizer=address",
    "-Cdebug-assertions",
    "-Coverflow-checks",
];

/// What is asked of the fuzzer.
#[derive(Debug, PartialEq, Eq)]
struct Request<'a> {
    targets: Vec<(&'a str, u64)>,
    seconds_max: Option<u64>,
    merges: bool,
    keeps_ledger: bool,
}

impl<'a> Request<'a> {
    fn parse(arguments: &[&'a str]) -> Result<Self, String> {
        let (mut names, mut executions, mut seconds_max) = (Vec::new(), EXECUTIONS, None);
        let (mut merges, mut keeps_ledger) = (false, false);
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let mut number = || {
                let text = rest.next().ok_or_else(|| format!("{argument} wants a number"))?;
                text.parse::<u64>().map_err(|_| format!("{text} is not a number"))
            };
            match *argument {
                "--executions" => executions = number()?,
                "--seconds" => seconds_max = Some(number()?),
                "--merge" => merges = true,
                "--ledger" => keeps_ledger = true,
                name if TARGETS.iter().any(|(known, _)| *known == name) => names.push(name),
                other => return Err(format!("there is no target {other}; there are: {}", known().join(", "))),
            }
        }
        let chosen = TARGETS.iter().filter(|(name, _)| names.is_empty() || names.contains(name));
        let parts: u64 = chosen.clone().map(|(_, part)| part).sum();
        let targets = chosen.map(|(name, part)| (*name, (executions * part).div_ceil(parts.max(1)))).collect();
        Ok(Self { targets, seconds_max, merges, keeps_ledger })
    }
}

fn known() -> Vec<&'static str> {
    TARGETS.iter().map(|(name, _)| *name).collect()
}

/// Builds the targets and runs them one after the other, or merges what they have found into the seeds.
pub fn run(workspace: &Path, arguments: &[&str]) -> ExitCode {
    match Request::parse(arguments).and_then(|request| fuzz(workspace, &request)) {
        Ok(executions) => {
            println!("{executions} executions, no finding");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

fn fuzz(workspace: &Path, request: &Request<'_>) -> Result<u64, String> {
    let folder = workspace.join("fuzz");
    build(&folder, request)?;
    let mut total = 0;
    for (name, executions) in &request.targets {
        let work = Work::prepare(&folder, name)?;
        if request.merges {
            work.merge()?;
            continue;
        }
        let (measured, said) = work.run(*executions, request.seconds_max)?;
        if request.keeps_ledger {
            ledger::add(workspace, name, measured, &[&work.corpus, &work.seeds])?;
        }
        if measured.has_found {
            return Err(format!("{name} has found something:\n{said}"));
        }
        println!("{name}: {} executions, {} per second", measured.executions, measured.per_second);
        total += measured.executions;
    }
    Ok(total)
}

fn build(folder: &Path, request: &Request<'_>) -> Result<(), String> {
    let mut command = Command::new("cargo");
    command.args(["+nightly", "build", "--release", "--target", TARGET]).current_dir(folder);
    // Nothing is built that is not run: the messages alone take minutes.
    let features: BTreeSet<&str> = request.targets.iter().filter_map(|(name, _)| feature(name)).collect();
    let features: Vec<&str> = features.into_iter().collect();
    command.args(["--no-default-features", "--features", &features.join(",")]);
    for (name, _) in &request.targets {
        command.args(["--bin", name]);
    }
    // The toolchain that runs this must not choose the one that builds.
    command.env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO").env("RUSTFLAGS", FLAGS.join(" "));
    succeed(command.status(), "the targets can't be built; they need `rustup toolchain install nightly`")
}

/// The feature that a target needs.
fn feature(name: &str) -> Option<&'static str> {
    match name {
        "messages" => Some("messages"),
        "otlp" => Some("metrics"),
        "log_files" | "properties" => Some("files"),
        "coordinator_records" | "metadata_records" => Some("state"),
        "log_recovery" => Some("recovery"),
        _ => None,
    }
}

fn succeed(status: std::io::Result<std::process::ExitStatus>, problem: &str) -> Result<(), String> {
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{problem} ({status})")),
        Err(error) => Err(format!("{problem}: {error}")),
    }
}

/// A target with its folders.
struct Work {
    name: String,
    program: PathBuf,
    corpus: PathBuf,
    seeds: PathBuf,
    findings: PathBuf,
}

impl Work {
    fn prepare(folder: &Path, name: &str) -> Result<Self, String> {
        let work = Self {
            name: name.to_owned(),
            program: folder.join("target").join(TARGET).join("release").join(name),
            corpus: folder.join("corpus").join(name),
            seeds: folder.join("seeds").join(name),
            findings: folder.join("artifacts").join(name),
        };
        for folder in [&work.corpus, &work.seeds, &work.findings] {
            fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        }
        Ok(work)
    }

    /// Runs to a number of executions or seconds, or to a finding; what it came to, and the end of what it said.
    fn run(&self, executions: u64, seconds_max: Option<u64>) -> Result<(Measured, String), String> {
        let mut command = Command::new(&self.program);
        command
            .arg(format!("-runs={executions}"))
            .arg(format!("-max_len={LENGTH_MAX}"))
            .arg(format!("-rss_limit_mb={RESIDENT_MB_MAX}"))
            .arg(format!("-artifact_prefix={}/", self.findings.display()))
            .args(["-print_final_stats=1", "-timeout=10"])
            .args([&self.corpus, &self.seeds]);
        if let Some(seconds) = seconds_max {
            command.arg(format!("-max_total_time={seconds}"));
        }
        let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{}: {error}", self.name))?;
        let said = String::from_utf8_lossy(&output.stderr);
        let figure = |name: &str| {
            let line = said.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|rest| rest.trim().parse().ok()).unwrap_or(0)
        };
        let measured = Measured {
            executions: figure("stat::number_of_executed_units:"),
            per_second: figure("stat::average_exec_per_sec:"),
            has_found: !output.status.success(),
        };
        let lines = said.lines().count();
        let end: Vec<&str> = said.lines().skip(lines.saturating_sub(60)).collect();
        Ok((measured, end.join("\n")))
    }

    /// Adds to the seeds what of the corpus reaches more than they do.
    fn merge(&self) -> Result<(), String> {
        let mut command = Command::new(&self.program);
        command.arg("-merge=1").arg(format!("-max_len={LENGTH_MAX}")).args([&self.seeds, &self.corpus]);
        succeed(command.stdin(Stdio::null()).status(), &format!("{} can't be merged", self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_its_part_and_all_together_a_hundred_million_executions() {
        let request = Request::parse(&[]).unwrap();
        let total: u64 = request.targets.iter().map(|(_, executions)| executions).sum();
        assert!((EXECUTIONS..EXECUTIONS + 100).contains(&total), "{total}");
        let manifest = fs::read_to_string(crate::workspace().join("fuzz/Cargo.toml")).unwrap();
        let mut declared: Vec<&str> =
            manifest.lines().filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"')).collect();
        declared.retain(|name| *name != "ottla-fuzz");
        declared.sort_unstable();
        assert_eq!(declared, known());
    }

    #[test]
    fn a_target_alone_gets_all_that_is_asked_for() {
        let request = Request::parse(&["otlp", "--executions", "500", "--seconds", "7"]).unwrap();
        let expected =
            Request { targets: vec![("otlp", 500)], seconds_max: Some(7), merges: false, keeps_ledger: false };
        assert_eq!(request, expected);
        assert!(Request::parse(&["--ledger"]).unwrap().keeps_ledger);
        assert!(Request::parse(&["nothing"]).unwrap_err().contains("there is no target nothing"));
        assert!(Request::parse(&["--seconds"]).is_err());
    }
}
