//! Holds a running Ottla against a running Apache Kafka on the same machine.
//!
//! `cargo run --release` in this directory builds Ottla, starts both, and prints a table of ratios; `-- --quick` does less
//! of everything and takes two minutes instead of ten. Both run during the whole of it, only one of them is loaded at a
//! time, and the two take turns in every cell.
//!
//! Parts of their own: `-- --restart` compares starting again, `-- --compaction` compaction, `-- --coordinators`
//! transactions and groups, `-- --crowds` many partitions and many connections (`-- --crowds --quick`: one round),
//! `-- --latencies` latencies at fixed rates, five rounds. `-- --everything` runs all parts. Each run leaves every figure of
//! every round in `target/compare/raw.csv`.
//!
//! Three nodes of each server: `-- --failover` kills and cuts off nodes (as root: each has a network namespace), `-- --rolling`
//! restarts them one after the other, `-- --throughput` loads them, `-- --catch-up` has followers fetch gigabytes,
//! `-- --partitions-memory` makes ten thousand partitions. `-- --cluster` runs all of these, and leaves the figures in
//! `target/compare/cluster.csv`. Less of it: `--rounds 3`, `--kafka-rounds 2`, `--strikes TEXT` (only those whose name holds it),
//! `--rolling-rounds`, `--throughput-rounds`, `--gib 0.5`, `--partitions 1000`. `--only ottla`,
//! `--ottla PATH` (takes a server that is built).

mod admin;
mod awake;
mod bare;
mod broker;
mod cluster;
mod compaction;
mod crowds;
mod failover;
mod groups;
mod librdkafka;
mod load;
mod netns;
mod probe;
mod process;
mod replicated;
mod report;
mod restart;
mod rolling;
mod suite;
mod transactions;
mod wire;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use broker::{Broker, Kind, Shop};
use ottla_oracle::Oracle;
use report::Report;
use suite::Effort;

/// A group's first rebalance waits for nobody: what is compared is the work and not the wait.
const NO_DELAY: &[(&str, &str)] = &[("group.initial.rebalance.delay.ms", "0")];

/// Why the comparison can't go on. It is a program for people who watch it: a sentence is enough.
#[derive(Debug)]
pub struct Failure(String);

impl<E: Into<Box<dyn std::error::Error>>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.into().to_string())
    }
}

/// A part that does not run with the others.
type Part = fn(&Shop, &mut Report) -> Result<(), Failure>;

const PARTS: [(&str, Part); 5] = [
    ("--restart", restart::compare),
    ("--compaction", compaction::compare),
    ("--coordinators", coordinators),
    ("--crowds", crowds::compare),
    ("--latencies", latencies),
];

/// Parts with three nodes, with figures of their own.
const CLUSTER_PARTS: [(&str, Part); 5] = [
    ("--failover", failover::compare),
    ("--rolling", rolling::compare),
    ("--throughput", replicated::throughput),
    ("--catch-up", replicated::catch_up),
    ("--partitions-memory", replicated::partitions),
];

fn main() -> ExitCode {
    let compared = match PARTS.iter().find(|(name, _)| is_asked(name)) {
        _ if is_asked(broker::BARE) => bare_probe(),
        _ if is_asked("--cluster") || CLUSTER_PARTS.iter().any(|(name, _)| is_asked(name)) => clusters(),
        _ if is_asked("--everything") => everything(),
        Some((_, part)) => alone(*part),
        None => compare(if is_asked("--quick") { &Effort::QUICK } else { &Effort::FULL }),
    };
    match compared {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(reason)) => {
            eprintln!("the comparison has failed: {reason}");
            ExitCode::FAILURE
        }
    }
}

/// Whether the program was started with this argument.
fn is_asked(name: &str) -> bool {
    std::env::args().any(|argument| argument == name)
}

/// What stands behind this argument.
fn option_text(name: &str) -> Option<String> {
    std::env::args().skip_while(|argument| argument != name).nth(1)
}

/// The servers that three nodes are made of: both, or the one behind `--only`.
fn servers() -> Vec<Kind> {
    let only = option_text("--only");
    let is_wanted = |kind: &Kind| only.as_ref().is_none_or(|only| format!("{kind:?}").eq_ignore_ascii_case(only));
    [Kind::Ottla, Kind::Kafka].into_iter().filter(is_wanted).collect()
}

/// The number behind this argument; `usual` without it.
fn option<N: std::str::FromStr>(name: &str, usual: N) -> Result<N, Failure> {
    let wrong = |text: &str| Failure::from(format!("{name} {text}: not a number"));
    option_text(name).map_or(Ok(usual), |text| text.parse().map_err(|_| wrong(&text)))
}

fn shop() -> Result<Shop, Failure> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let directory = repository.join("target/compare/data");
    std::fs::create_dir_all(&directory)?;
    let ottla = option_text("--ottla").map_or_else(|| build(&repository), |built| Ok(PathBuf::from(built)))?;
    Ok(Shop { ottla, oracle: Oracle::install()?, directory })
}

/// Both run, and take turns in every row.
fn coordinators(shop: &Shop, report: &mut Report) -> Result<(), Failure> {
    const ROUNDS: usize = 5;
    let pair = [shop.start_with(Kind::Ottla, NO_DELAY)?, shop.start_with(Kind::Kafka, NO_DELAY)?];
    for round in 0..=ROUNDS {
        // The first round is for the Java machine to compile what is used, and is not counted.
        let mut unrecorded = Report::default();
        let report = if round == 0 { &mut unrecorded } else { &mut *report };
        for kind in order(round) {
            for broker in pair.iter().filter(|broker| broker.kind == kind) {
                eprintln!("round {round} of {ROUNDS}: {kind:?}");
                transactions::measure(broker, round, report)?;
                groups::measure(broker, round, report)?;
            }
        }
    }
    Ok(())
}

/// Nothing but the latencies, in more rounds: tails differ much from one round to the next.
fn latencies(shop: &Shop, report: &mut Report) -> Result<(), Failure> {
    const ROUNDS: usize = 5;
    let pair = [shop.start(Kind::Ottla)?, shop.start(Kind::Kafka)?, shop.start(Kind::Bare)?];
    for broker in &pair {
        suite::warm_up(broker, &Effort::FULL)?;
    }
    for round in 0..ROUNDS {
        eprintln!("round {} of {ROUNDS}", round + 1);
        suite::latencies(&in_order(round, &pair), &Effort::FULL, report)?;
    }
    Ok(())
}

/// This process as the bare probe: its arguments are a port and a directory.
fn bare_probe() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(2);
    let (Some(port), Some(directory)) = (arguments.next(), arguments.next()) else {
        return Err(Failure::from("the bare probe needs a port and a directory"));
    };
    bare::serve(port.parse()?, Path::new(&directory))
}

fn alone(part: Part) -> Result<(), Failure> {
    let (shop, mut report, started) = (shop()?, Report::default(), Instant::now());
    part(&shop, &mut report)?;
    show(&report, started)
}

fn compare(effort: &Effort) -> Result<(), Failure> {
    let (shop, mut report, started) = (shop()?, Report::default(), Instant::now());
    main_part(&shop, effort, &mut report)?;
    show(&report, started)
}

/// All parts in one run.
fn everything() -> Result<(), Failure> {
    let (shop, mut report, started) = (shop()?, Report::default(), Instant::now());
    main_part(&shop, &Effort::FULL, &mut report)?;
    for (name, part) in PARTS {
        eprintln!("{name}, {} s after the start", started.elapsed().as_secs());
        part(&shop, &mut report)?;
    }
    show(&report, started)
}

/// The parts with three nodes that are asked for.
fn clusters() -> Result<(), Failure> {
    let (shop, mut report, started) = (shop()?, Report::default(), Instant::now());
    for (name, part) in CLUSTER_PARTS {
        if !is_asked(name) && !is_asked("--cluster") {
            continue;
        }
        eprintln!("{name}, {} s after the start", started.elapsed().as_secs());
        // What was measured before a part failed is told all the same.
        let outcome = part(&shop, &mut report);
        let raw = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/compare/cluster.csv");
        std::fs::write(&raw, report.raw())?;
        if outcome.is_err() {
            println!("{}", report.spreads());
            return outcome;
        }
    }
    println!("{}", report.spreads());
    println!("{} seconds", started.elapsed().as_secs());
    Ok(())
}

/// Prints the table, and writes every figure of every round beside it.
fn show(report: &Report, started: Instant) -> Result<(), Failure> {
    println!("{}", report.table());
    let worse = report.worse();
    println!("{} seconds. Rows in which Ottla is worse: {}", started.elapsed().as_secs(), worse.len());
    worse.iter().for_each(|row| println!("- {row}"));
    let raw = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/compare/raw.csv");
    std::fs::write(&raw, report.raw())?;
    println!("every figure of every round: {}", raw.display());
    Ok(())
}

fn main_part(shop: &Shop, effort: &Effort, report: &mut Report) -> Result<(), Failure> {
    let mut pair: Vec<Broker> = Vec::new();
    for round in 0..effort.rounds {
        pair.clear();
        for kind in order(round) {
            eprintln!("round {}: starting {kind:?}", round + 1);
            let broker = shop.start(kind)?;
            suite::idle(&broker, effort, report)?;
            pair.push(broker);
        }
    }
    pair.push(shop.start(Kind::Bare)?);
    for broker in &pair {
        eprintln!("warming up {:?}", broker.kind);
        suite::warm_up(broker, effort)?;
    }
    for round in 0..effort.rounds {
        eprintln!("round {}: load", round + 1);
        let brokers = in_order(round, &pair);
        suite::load(&brokers, round, effort, report)?;
        suite::latencies(&brokers, effort, report)?;
    }
    Ok(())
}

/// Who comes first changes with every round.
fn order(round: usize) -> [Kind; 2] {
    if round.is_multiple_of(2) { [Kind::Ottla, Kind::Kafka] } else { [Kind::Kafka, Kind::Ottla] }
}

/// Those that run, in the order of this round.
fn in_order(round: usize, pair: &[Broker]) -> Vec<&Broker> {
    let kinds = order(round).into_iter().chain([Kind::Bare]);
    kinds.flat_map(|kind| pair.iter().filter(move |broker| broker.kind == kind)).collect()
}

/// Builds the server as it is shipped.
fn build(repository: &Path) -> Result<PathBuf, Failure> {
    let status = Command::new("cargo").args(["build", "--release", "-p", "ottla"]).current_dir(repository).status()?;
    if !status.success() {
        return Err(Failure::from("Ottla can't be built"));
    }
    Ok(repository.join("target/release/ottla"))
}
