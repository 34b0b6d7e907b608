//! More connections than one process may have files open: the clients are several processes, the server is one.

use ottla_tests::Besieged;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

/// How many connections there are to be at a time.
const CONNECTIONS: u64 = 20_000;

/// How many processes they are divided up between.
const CROWDS: u64 = 4;

/// What a server keeps at the most of the files that it may open: 4,096 for segments, 512 for others and 64 for connections of
/// controllers (`crates/ottla/src/descriptors.rs`); and the connections that are there beside the crowds.
const KEPT_MAX: u64 = 4_096 + 512 + 64 + 8;

/// Makes a process have as many files open as its hard limit says.
const ALL_FILES: &str = r#"ulimit -n "$(ulimit -H -n)" && exec "$0" "$@""#;

/// Clients in a process of its own, which are there until it is sent away.
struct Crowd {
    process: Child,
    input: Option<ChildStdin>,
}

impl Crowd {
    /// Clients that come at once, all of them while this is called for other crowds, too.
    fn come(bootstrap: &str, count: u64) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", ALL_FILES, env!("CARGO_BIN_EXE_crowd"), bootstrap, &count.to_string()]);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let input = process.stdin.take();
        Self { process, input }
    }

    /// How many of them were answered, and how many refused.
    fn counts(&mut self) -> (u64, u64) {
        let mut line = String::new();
        BufReader::new(self.process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let (answered, refused) = line.trim().split_once(' ').expect("a crowd says how many were answered");
        (answered.parse().unwrap(), refused.parse().unwrap())
    }

    fn go(mut self) {
        drop(self.input.take());
        assert!(self.process.wait().unwrap().success());
    }
}

/// How many clients there must at least be room for.
fn room_min() -> u64 {
    use rustix::process::{Resource, getrlimit};
    let files = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    assert!(files >= CONNECTIONS / CROWDS * 2, "a hard limit on open files of {files} is too low for this test");
    files.saturating_sub(KEPT_MAX).min(CONNECTIONS)
}

#[test]
fn of_twenty_thousand_clients_all_are_served_for_whom_there_are_descriptors_in_a_small_memory() {
    let besieged = Besieged::start(&[]).unwrap();
    let before = besieged.resident_kib().unwrap();
    let come = |_| Crowd::come(&besieged.server().bootstrap(), CONNECTIONS / CROWDS);
    let mut crowds: Vec<Crowd> = (0..CROWDS).map(come).collect();
    let counts: Vec<(u64, u64)> = crowds.iter_mut().map(Crowd::counts).collect();
    let answered: u64 = counts.iter().map(|(answered, _)| answered).sum();
    let refused: u64 = counts.iter().map(|(_, refused)| refused).sum();
    assert_eq!(answered + refused, CONNECTIONS);
    assert!(answered >= room_min(), "{answered} clients are served where there is room for {}", room_min());
    besieged.serves_another_record().unwrap();
    let grown = besieged.resident_kib().unwrap() - before;
    println!("{answered} clients are served, {refused} are refused, they take {grown} KiB");
    assert!(grown < 3 * CONNECTIONS, "{CONNECTIONS} clients take {grown} KiB");
    let log = besieged.server().log();
    assert_eq!(log.contains("limit of the process on file descriptors"), refused > 0, "{log}");
    assert!(log.len() < 100_000, "{log}");
    // Who goes makes room for others, as soon as the server has noticed.
    crowds.remove(0).go();
    let (since, half) = (Instant::now(), counts[0].0 / 2);
    let newcomers = loop {
        let mut crowd = Crowd::come(&besieged.server().bootstrap(), half);
        if crowd.counts() == (half, 0) {
            break crowd;
        }
        crowd.go();
        assert!(since.elapsed() < Duration::from_secs(60), "those who come later are refused though others have gone");
    };
    crowds.into_iter().chain([newcomers]).for_each(Crowd::go);
    besieged.stand("twenty thousand clients").unwrap();
}
