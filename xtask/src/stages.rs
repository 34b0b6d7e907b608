//! The test command: what it installs, what it runs, how long each stage took.

use crate::tidy;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// The release of cargo-deny that is installed where none is found.
const DENY_VERSION: &str = "0.20.2";

/// One stage: a name to call it by, what it does, and the work.
struct Stage {
    name: &'static str,
    purpose: &'static str,
    run: fn(&Path) -> Result<(), String>,
}

const STAGES: [Stage; 9] = [
    Stage { name: "format", purpose: "rustfmt has nothing to change", run: format },
    Stage { name: "tidy", purpose: "the house rules hold", run: tidy_house },
    Stage { name: "jars", purpose: "Apache Kafka is installed by Maven", run: jars },
    Stage { name: "clients", purpose: "foreign clients are installed: Python packages, kcat", run: clients },
    Stage { name: "deny", purpose: "licences, bans, sources and advisories of dependencies", run: deny },
    Stage { name: "clippy", purpose: "clippy has no warning", run: clippy },
    Stage { name: "build", purpose: "programs and tests are built", run: build },
    Stage { name: "test", purpose: "all tests pass", run: test_all },
    Stage { name: "doc", purpose: "the documentation builds without a warning", run: doc },
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
    for stage in STAGES.iter().filter(|stage| only.is_empty() || only.contains(&stage.name)) {
        println!("\n=== {}: {}", stage.name, stage.purpose);
        let begin = Instant::now();
        let result = (stage.run)(workspace);
        if let Err(problem) = &result {
            println!("{problem}");
        }
        results.push((stage.name, begin.elapsed(), result.is_ok()));
    }
    summary(&results)
}

fn summary(results: &[(&str, Duration, bool)]) -> ExitCode {
    println!();
    for (name, took, good) in results {
        println!("{:<8} {:>7.1} s  {}", name, took.as_secs_f64(), if *good { "passed" } else { "FAILED" });
    }
    let failed = results.iter().filter(|(_, _, good)| !good).count();
    println!("{} stages passed, {failed} failed", results.len() - failed);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
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
    python(workspace)?;
    if !is_on_path("kcat") {
        // Without the right to install packages this fails with apt's own words.
        run(Command::new("apt-get").args(["install", "-y", "--no-install-recommends", "kcat"]))?;
    }
    Ok(())
}

/// The Python that foreign clients run in, with the packages of the tests' list.
fn python(workspace: &Path) -> Result<(), String> {
    let venv = workspace.join("target/venv");
    let list = workspace.join("tests/clients/python/requirements.txt");
    if !venv.join("bin/python").exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    }
    let wanted = std::fs::read_to_string(&list).map_err(|error| format!("{}: {error}", list.display()))?;
    // The list is kept beside what was installed from it, so that a second run needs no network.
    let installed = venv.join("requirements.txt");
    if std::fs::read_to_string(&installed).is_ok_and(|there| there == wanted) {
        return Ok(());
    }
    run(Command::new(venv.join("bin/python")).args(["-m", "pip", "install", "--quiet", "-r"]).arg(&list))?;
    std::fs::write(&installed, wanted).map_err(|error| format!("{}: {error}", installed.display()))
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
    run(cargo(workspace)
        .args(["install", "--quiet", "--locked", "cargo-deny", "--version", DENY_VERSION, "--root"])
        .arg(&tools))?;
    Ok(own)
}

fn clippy(workspace: &Path) -> Result<(), String> {
    run(cargo(workspace).args(["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

fn build(workspace: &Path) -> Result<(), String> {
    run(cargo(workspace).args(["build", "--quiet", "--workspace", "--bins"]))?;
    run(cargo(workspace).args(["test", "--quiet", "--workspace", "--no-run"]))
}

fn test_all(workspace: &Path) -> Result<(), String> {
    let venv = workspace.join("target/venv/bin");
    let path = std::env::var("PATH").unwrap_or_default();
    run(cargo(workspace)
        .args(["test", "--workspace", "--no-fail-fast"])
        .env("PATH", format!("{}:{path}", venv.display())))
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

fn is_on_path(program: &str) -> bool {
    std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).any(|folder| folder.join(program).is_file())
}

/// Runs `command`, its output straight to ours.
fn run(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{program} ended with {status}")),
        Err(error) => Err(format!("{program} can't be run: {error}")),
    }
}
