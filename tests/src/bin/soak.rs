//! A long run without kills: `soak [--minutes N] [--rate RECORDS_A_SECOND] [--every SECONDS] [--table FILE]`.
//!
//! Without a rate it finds out first how many records of 1 KiB a second go, and then runs at half of that. The table has a
//! line of figures for each sample; the verdict is said at the end, and is the program's exit code.

use ottla_tests::Server;
use ottla_tests::mixed_load::{LARGE_SEGMENT_BYTES, MixedLoad, SETTINGS, Strangers, World};
use ottla_tests::soak::{Bulk, GROUP, Process, Sample, directory_bytes, judge, percentiles, warnings};
use std::fs::File;
use std::io::{self, Write};
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long the capacity is looked for, and after which part of that it counts.
const SEARCH: Duration = Duration::from_secs(20);
const SEARCH_WARM_UP: Duration = Duration::from_secs(5);

/// How long the other loads rest after each step: about what kills leave them.
const REST: Duration = Duration::from_millis(20);

/// How long groups may take to read what is left.
const CALM: Duration = Duration::from_secs(60);

struct Wanted {
    minutes: f64,
    rate: Option<u64>,
    every: Duration,
    table: String,
}

fn wanted() -> Option<Wanted> {
    let mut wanted =
        Wanted { minutes: 120.0, rate: None, every: Duration::from_secs(10), table: "soak.csv".to_owned() };
    let mut arguments = std::env::args().skip(1);
    while let Some(option) = arguments.next() {
        let value = arguments.next()?;
        match option.as_str() {
            "--minutes" => wanted.minutes = value.parse().ok().filter(|minutes: &f64| *minutes > 0.0)?,
            "--rate" => wanted.rate = Some(value.parse().ok()?),
            "--every" => wanted.every = Duration::from_secs(value.parse().ok().filter(|seconds| *seconds > 0)?),
            "--table" => wanted.table = value,
            _ => return None,
        }
    }
    Some(wanted)
}

fn main() -> ExitCode {
    let Some(wanted) = wanted() else {
        eprintln!("soak [--minutes N] [--rate RECORDS_A_SECOND] [--every SECONDS] [--table FILE]");
        return ExitCode::from(2);
    };
    match soak(&wanted) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all is as it should be.
fn soak(wanted: &Wanted) -> io::Result<bool> {
    let server = Server::start(&SETTINGS)?;
    let world = World::new(&server.bootstrap(), 1, REST);
    let mut load = MixedLoad::start(world, Strangers::Absent, LARGE_SEGMENT_BYTES)?;
    let bulk = Bulk::start(&server.bootstrap())?;
    let rate = match wanted.rate {
        Some(rate) => rate,
        None => capacity(&bulk) / 2,
    };
    println!("{rate} records a second for {} minutes", wanted.minutes);
    bulk.measured.set_rate(rate.max(1));
    // What the search has left in the buffers is no part of the run.
    sleep(SEARCH_WARM_UP);
    bulk.measured.take();
    let samples = sample(wanted, &server, &mut load, &bulk)?;
    let failed = bulk.measured.failed();
    let is_ended = bulk.end();
    load.calm_down(CALM);
    let world = load.finish();
    let log = server.log();
    let warnings = warnings(&log);
    warnings.iter().for_each(|line| println!("{line}"));
    print!("{}", world.history().violations);
    let mut is_good = is_ended && failed == 0 && world.failures().is_empty();
    println!("{failed} records of the bulk failed; failures of the other loads: {:?}", world.failures());
    for finding in judge(&samples, &warnings, world.history().violations.count) {
        println!("{} {}", if finding.is_good { "good" } else { "BAD " }, finding.what);
        is_good &= finding.is_good;
    }
    Ok(is_good)
}

/// Records a second that go.
fn capacity(bulk: &Bulk) -> u64 {
    sleep(SEARCH_WARM_UP);
    let (before, began) = (bulk.measured.acknowledged(), Instant::now());
    sleep(SEARCH - SEARCH_WARM_UP);
    let rate = (bulk.measured.acknowledged() - before) as f64 / began.elapsed().as_secs_f64();
    println!("{rate:.0} records a second go");
    rate as u64
}

fn sample(wanted: &Wanted, server: &Server, load: &mut MixedLoad, bulk: &Bulk) -> io::Result<Vec<Sample>> {
    let gone = || io::Error::other("the server is gone");
    let id = server.process_id().ok_or_else(gone)?;
    let mut table = File::create(&wanted.table)?;
    writeln!(table, "{}", Sample::COLUMNS)?;
    let began = Instant::now();
    let end = Duration::from_secs_f64(wanted.minutes * 60.0);
    let (mut before, mut at) = (Process::of(id)?, began);
    let mut acknowledged = bulk.measured.acknowledged();
    let mut samples: Vec<Sample> = Vec::new();
    while began.elapsed() < end {
        sleep(wanted.every);
        let (process, now) = (Process::of(id)?, Instant::now());
        let passed = (now - at).as_secs_f64();
        let (produce, delay) = bulk.measured.take();
        let so_far = bulk.measured.acknowledged();
        let lag = load.observer.lag(GROUP, &bulk.logs).into_iter().chain(load.lag()).max();
        let sample = Sample {
            seconds: began.elapsed().as_secs_f64(),
            process,
            processors: (process.processor_seconds - before.processor_seconds) / passed,
            records_per_second: (so_far - acknowledged) as f64 / passed,
            produce_ms: percentiles(&produce),
            delay_ms: percentiles(&delay),
            lag: lag.unwrap_or(-1),
            warnings: warnings(&server.log()).len() as u64,
            directory_mib: directory_bytes(&server.directory().join("data")) as f64 / f64::from(1 << 20),
        };
        writeln!(table, "{}", sample.line())?;
        (before, at, acknowledged) = (process, now, so_far);
        samples.push(sample);
    }
    Ok(samples)
}
