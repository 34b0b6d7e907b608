//! One node is killed again and again, at random moments, while everything that clients do is done at once: nothing that
//! was acknowledged is lost, doubled, out of order, half done or back again. And the checker is checked: where something
//! is taken away between a kill and the next start, it says so.
//!
//! The long form: `OTTLA_KILL_CYCLES=1000 OTTLA_KILL_SEED=7 OTTLA_KILL_STRANGERS=1 cargo test --release -p ottla-tests
//! --test kill_cycles cycles -- --nocapture`. The seed rules the moments and manners of the kills and what the loads do,
//! as far as that does not hang on time.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on ends")]

#[path = "kill_cycles/damage.rs"]
mod damage;
#[path = "kill_cycles/strike.rs"]
mod strike;

use ottla_tests::mixed_load::{MixedLoad, SESSION, SETTINGS, SMALL_SEGMENT_BYTES, Strangers, World};
use ottla_tests::{Dice, Server, number};
use std::process::Command;
use std::time::{Duration, Instant};
use strike::{Count, Strike};

/// How long the loads may take to work on what is left when the kills are over: for a start, and for each cycle, in which
/// the kills keep readers from their work more than writers.
const CALM: Duration = Duration::from_secs(120);
const CALM_PER_CYCLE: Duration = Duration::from_secs(1);

#[test]
fn cycles_of_kills_lose_nothing_that_was_acknowledged() {
    let (cycles, seed) = (number("OTTLA_KILL_CYCLES", 6), number("OTTLA_KILL_SEED", 1));
    let strangers = if number("OTTLA_KILL_STRANGERS", 0) > 0 { Strangers::Welcome } else { Strangers::Absent };
    println!("OTTLA_KILL_SEED={seed}");
    let mut server = Server::start(&SETTINGS).unwrap();
    let world = World::new(&server.bootstrap(), seed, Duration::from_millis(number("OTTLA_KILL_REST", 10)));
    let mut load = MixedLoad::start(world, strangers, SMALL_SEGMENT_BYTES).unwrap();
    let mut dice = Dice(seed);
    let mut count = Count::default();
    let began = Instant::now();
    for cycle in 0..cycles {
        std::thread::sleep(work_time(cycle, &mut dice));
        let strike = Strike::roll(&mut dice);
        strike.fall(&mut server, &mut count).unwrap_or_else(|error| end(&mut server, &load.world, cycle, &error));
        load.observer.look(&load.world);
        if is_wrong(&load.world) {
            end(&mut server, &load.world, cycle, &strike);
        }
        if cycle % 50 == 49 {
            println!("{} cycles after {:.0?}: {}", cycle + 1, began.elapsed(), figures(&load.world));
        }
    }
    load.calm_down(CALM + CALM_PER_CYCLE * u32::try_from(cycles).unwrap());
    let world = load.finish();
    println!("{cycles} cycles, {:.0?}: {count:?}", began.elapsed());
    println!("  {}", figures(&world));
    let log = server.log();
    let with = |level: &str| log.lines().filter(|line| line.contains(level)).collect::<Vec<_>>();
    let (warnings, errors) = (with("WARN"), with("ERROR").len());
    println!("  {} warnings, of which the first are {:#?}", warnings.len(), &warnings[..warnings.len().min(10)]);
    if is_wrong(&world) || errors > 0 {
        // A kill is nothing that a person must act upon, which is what an error says.
        end(&mut server, &world, cycles, &format!("{errors} errors in the server's log"));
    }
    assert_something_was_done(&world);
}

/// How long the server works before the next kill. Every tenth time so long that members that died are given up: each start
/// gives them a new session, and their group would wait for them for ever.
fn work_time(cycle: u64, dice: &mut Dice) -> Duration {
    let more = Duration::from_millis(100 + dice.roll(800));
    if cycle % 10 == 9 { 2 * SESSION + more } else { more }
}

fn is_wrong(world: &World) -> bool {
    !world.history().violations.is_empty() || !world.failures().is_empty()
}

fn figures(world: &World) -> String {
    let history = world.history();
    let (committed, aborted) = history.transactions.count();
    format!(
        "{} records, {} commits of offsets, {committed} transactions committed and {aborted} given up, {} changes of \
         topics, {} partitions handed out",
        history.records.count(),
        history.offsets.count,
        history.catalog.count(),
        history.ownership.count,
    )
}

/// A run in which nothing happened would prove nothing.
fn assert_something_was_done(world: &World) {
    let history = world.history();
    let (committed, aborted) = history.transactions.count();
    assert!(history.records.count() > 100, "hardly any records");
    assert!(history.offsets.count > 10, "hardly any commits");
    assert!(committed > 0 && aborted > 0, "no transactions");
    assert!(history.catalog.count() > 0, "no changes of topics");
    assert!(history.ownership.count > 0, "no partition was handed out");
}

/// Says all that is needed to find out why, and keeps the files.
fn end(server: &mut Server, world: &World, cycle: u64, what: &dyn std::fmt::Debug) -> ! {
    let _ = server.kill();
    let kept = std::env::temp_dir().join(format!("ottla-kill-cycles-{}", std::process::id()));
    let _ = Command::new("cp").arg("-a").arg(server.directory()).arg(&kept).status();
    let log = server.log();
    let last: Vec<&str> = log.lines().rev().take(40).collect();
    println!("{}", last.into_iter().rev().collect::<Vec<_>>().join("\n"));
    panic!(
        "cycle {cycle}, seed {}, {what:?}: {}{:#?}\nthe server's files: {}",
        world.seed,
        world.history().violations,
        world.failures(),
        kept.display()
    );
}
