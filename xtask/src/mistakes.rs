//! The simulator of whole clusters is checked: deliberate mistakes, made one at a time, that it must find.
//!
//! They are edits of a *copy* of the sources, in which every place asks an environment variable. So one build serves all of them,
//! and what is shipped has no switch, not even one that is compiled out: there is nothing that could be left on. A test holds
//! that each edit still finds its place.

pub mod list;

use list::{MISTAKES, Mistake};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;
use std::{fs, io};

/// Which mistake a run makes.
const VARIABLE: &str = "OTTLA_MISTAKE";
/// How many seeds it may take until one finds it.
const SEEDS_MAX: u64 = 2_000;

/// What is asked in the copy; appended to a crate that all others know.
const QUESTION: &str = r#"
/// Deliberate mistakes.
pub mod mistake {
    /// Whether this one is to be made.
    pub fn is_made(name: &str) -> bool {
        static MADE: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
        MADE.get_or_init(|| std::env::var("OTTLA_MISTAKE").ok()).as_deref() == Some(name)
    }
}
"#;

/// The file with an edit made; `None` if what is to be edited does not stand there exactly once.
fn edited(text: &str, mistake: &Mistake) -> Option<String> {
    let question = format!("ottla_types::mistake::is_made(\"{}\")", mistake.name);
    let is_once = text.matches(mistake.from).count() == 1;
    is_once.then(|| text.replace(mistake.from, &mistake.to.replace("MADE", &question)))
}

/// Mistakes whose place has changed, so that they can't be made any more.
pub fn stale(root: &Path) -> Vec<String> {
    let is_stale = |mistake: &&Mistake| {
        fs::read_to_string(root.join(mistake.file)).is_ok_and(|text| edited(&text, mistake).is_none())
            || !root.join(mistake.file).exists()
    };
    let told =
        |mistake: &Mistake| format!("{}: the mistake {} has no place there any more", mistake.file, mistake.name);
    MISTAKES.iter().filter(is_stale).map(told).collect()
}

/// Builds the simulator with all mistakes in it, and lets it look for each; prints the table of
/// `docs/internals/simulation.md`.
pub fn run(root: &Path, names: &[&str]) -> ExitCode {
    match look(root, names) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn look(root: &Path, names: &[&str]) -> io::Result<bool> {
    let simulator = build(root)?;
    if let Some(found) = first_that_fails(&simulator, None, 5)? {
        eprintln!("without any mistake seed {} fails: {}", found.seed, found.promise);
        return Ok(false);
    }
    println!("| mistake | where it comes from | found by seed | seconds | as |\n|---|---|--:|--:|---|");
    let mut all_found = true;
    for mistake in MISTAKES.iter().filter(|mistake| names.is_empty() || names.contains(&mistake.name)) {
        let began = Instant::now();
        let found = first_that_fails(&simulator, Some(mistake.name), SEEDS_MAX)?;
        all_found &= found.is_some();
        let (seed, promise) = match found {
            Some(found) => (found.seed, found.promise),
            None => ("not found".to_owned(), String::new()),
        };
        let seconds = began.elapsed().as_secs();
        println!("| {} | {} | {seed} | {seconds} | {promise} |", mistake.name, mistake.history);
    }
    Ok(all_found)
}

/// What a run that ended badly says of itself.
struct Found {
    seed: String,
    /// The promise that was broken.
    promise: String,
}

/// The first seed that ends badly.
fn first_that_fails(simulator: &Path, mistake: Option<&str>, seeds: u64) -> io::Result<Option<Found>> {
    let mut command = Command::new(simulator);
    command.args(["what_was_promised_holds_whatever_happens", "--exact", "--nocapture"]);
    command.env("OTTLA_SIMULATION_FIRST_SEED", "1").env("OTTLA_SIMULATION_SEEDS", seeds.to_string());
    // One after the other, so that it is the same seed wherever this runs.
    command.env("OTTLA_SIMULATION_THREADS", "1").env("RUST_BACKTRACE", "0").env_remove(VARIABLE);
    command.envs(mistake.map(|mistake| (VARIABLE, mistake)));
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let is_named = |line: &&str| line.starts_with("seed ") && line.contains("run it alone with");
    let seed = said.lines().find(is_named).and_then(|line| line.strip_prefix("seed ")?.split(':').next());
    match seed {
        Some(seed) => Ok(Some(Found { seed: seed.to_owned(), promise: promise(&said) })),
        None if output.status.success() => Ok(None),
        None => Err(io::Error::other(format!("the simulator ended with {}: {said}", output.status))),
    }
}

/// The beginning of the message of a panic.
fn promise(said: &str) -> String {
    let mut lines = said.lines().skip_while(|line| !line.contains("panicked at"));
    let message = lines.nth(1).unwrap_or_default();
    let message = message.strip_prefix("assertion `left == right` failed: ").unwrap_or(message);
    let message = message.strip_prefix("assertion `left != right` failed: ").unwrap_or(message);
    message.split_once(':').map_or(message, |(promise, _)| promise).chars().take(60).collect()
}

fn build(root: &Path) -> io::Result<PathBuf> {
    let copy = root.join("target/mistakes");
    copy_sources(root, &copy)?;
    for mistake in MISTAKES {
        let path = copy.join(mistake.file);
        let text = fs::read_to_string(&path)?;
        let missing = || io::Error::other(format!("{} has no place in {}", mistake.name, mistake.file));
        fs::write(&path, edited(&text, mistake).ok_or_else(missing)?)?;
    }
    let types = copy.join("crates/types/src/lib.rs");
    fs::write(&types, fs::read_to_string(&types)? + QUESTION)?;
    let output = Command::new("cargo")
        .args(["test", "--release", "-p", "ottla-broker", "--test", "simulation", "--no-run"])
        .args(["--message-format=json-render-diagnostics", "--config", "profile.release.debug-assertions=true"])
        .env("CARGO_TARGET_DIR", root.join("target"))
        .current_dir(&copy)
        .stderr(std::process::Stdio::inherit())
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let executable = said.rsplit("\"executable\":\"").next().and_then(|rest| rest.split('"').next());
    let executable = executable.filter(|_| output.status.success());
    executable.map(PathBuf::from).ok_or_else(|| io::Error::other("the simulator was not built"))
}

/// Copies what git knows of; files that are as before keep their times, so that little is built anew.
fn copy_sources(root: &Path, copy: &Path) -> io::Result<()> {
    let mut listing = Command::new("git");
    let listed =
        listing.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(root).output()?;
    for name in String::from_utf8_lossy(&listed.stdout).split('\0').filter(|name| !name.is_empty()) {
        let (from, to) = (root.join(name), copy.join(name));
        let Ok(contents) = fs::read(&from) else { continue };
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        if fs::read(&to).is_ok_and(|known| known == contents) {
            continue;
        }
        fs::write(&to, contents)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_mistake_can_still_be_made() {
        assert_eq!(super::stale(crate::workspace()), Vec::<String>::new());
    }
}
