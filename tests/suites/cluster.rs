//! Several servers of this build are one cluster, for clients and tools that are not ours.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on ends")]

#[path = "cluster/deaths.rs"]
mod deaths;
#[path = "cluster/leaderless.rs"]
mod leaderless;
#[path = "cluster/racks.rs"]
mod racks;
#[path = "cluster/recipe.rs"]
mod recipe;
#[path = "cluster/wrong.rs"]
mod wrong;

use ottla_oracle::Oracle;
use std::time::{Duration, Instant};

/// How long something may take that takes a few seconds on a machine with nothing else to do.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a tool of Apache Kafka says, run with these words behind the bootstrap server.
fn tool(name: &str, bootstrap: &str, arguments: &[&str]) -> String {
    let all: Vec<&str> = ["--bootstrap-server", bootstrap].into_iter().chain(arguments.iter().copied()).collect();
    let ran = Oracle::install().unwrap().run_tool(name, &all).unwrap();
    assert_eq!(ran.code, Some(0), "{name} {all:?}: {}{}", ran.stdout, ran.stderr);
    ran.stdout
}

fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "never came to pass: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
