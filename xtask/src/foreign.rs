//! The client libraries that we did not write: what is installed of them, and the adapters that are built around them.

use crate::command::{is_on_path, run};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// The oldest Go that the libraries' modules say they need.
const GO: &str = "1.26";

/// The oldest Node that the libraries say they run on.
const NODE: &str = "20";

/// Installs all of them. What is there already takes no time and no network.
pub(crate) fn install(workspace: &Path) -> Result<(), String> {
    python(workspace)?;
    go(workspace)?;
    javascript(workspace)?;
    oldest_java(workspace)
}

/// The Python that foreign clients run in, with the packages of the tests' list.
fn python(workspace: &Path) -> Result<(), String> {
    let venv = workspace.join("target/venv");
    let list = workspace.join("tests/clients/python/requirements.txt");
    if !venv.join("bin/python").exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    }
    once(&venv.join("requirements.txt"), &[&list], || {
        let python = || Command::new(venv.join("bin/python"));
        run(python().args(["-m", "pip", "install", "--quiet", "-r"]).arg(&list))?;
        let wanted = fs::read_to_string(&list).map_err(|error| format!("{}: {error}", list.display()))?;
        tests_of_kafka_python(&venv, &wanted, &python)
    })
}

/// The source of kafka-python, of the version in the tests' list: its tests are not in the package that is installed.
fn tests_of_kafka_python(venv: &Path, list: &str, python: &dyn Fn() -> Command) -> Result<(), String> {
    let package = list.lines().find(|line| line.starts_with("kafka-python==")).ok_or("kafka-python is not listed")?;
    let folder = venv.join("own-tests");
    // What an earlier version left would be found first.
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    run(python()
        .args(["-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "kafka-python", package, "--dest"])
        .arg(&folder))?;
    let archive = folder.join(format!("{}.tar.gz", package.replace("==", "-").replace("kafka-python", "kafka_python")));
    run(python().args(["-m", "tarfile", "--extract"]).arg(archive).arg(&folder))
}

/// A program of each Go library in `target/clients/go`. Go knows what has changed since it built them.
fn go(workspace: &Path) -> Result<(), String> {
    if !is_on_path("go") {
        return Err(format!("go is missing: install Go {GO} or later from https://go.dev/dl"));
    }
    let programs = workspace.join("target/clients/go");
    fs::create_dir_all(&programs).map_err(|error| format!("{}: {error}", programs.display()))?;
    // A slash at the end makes it the folder of several programs.
    run(Command::new("go")
        .arg("build")
        .arg("-o")
        .arg(programs.join(""))
        .arg("./...")
        .current_dir(workspace.join("tests/clients/go")))
}

/// The packages of the lock file beside the adapters, and librdkafka for the one that is a binding of it.
fn javascript(workspace: &Path) -> Result<(), String> {
    if !is_on_path("npm") {
        return Err(format!("npm is missing: install Node.js {NODE} or later from https://nodejs.org"));
    }
    let folder = workspace.join("tests/clients/js");
    let binding = folder.join("node_modules/node-rdkafka");
    once(&folder.join("node_modules/installed"), &[&folder.join("package-lock.json")], || {
        // No package runs a program of its own; the only one that has to be built is told to.
        run(Command::new("npm").args(["ci", "--silent", "--ignore-scripts"]).current_dir(&folder))?;
        // librdkafka is built first, several files at a time, which npm's own build of it can't.
        run(Command::new("node").arg("util/configure.js").current_dir(&binding).stdout(Stdio::null()))?;
        let jobs = std::thread::available_parallelism().map_or(1, |cores| cores.get()).to_string();
        let library = binding.join("deps/librdkafka");
        run(Command::new("make")
            .args(["--silent", "--jobs", &jobs, "-C"])
            .arg(&library)
            .arg("libs")
            .stdout(Stdio::null()))?;
        let mut build = Command::new("npm");
        build.args(["rebuild", "--silent", "node-rdkafka"]).current_dir(&folder);
        if let Some(headers) = node_headers() {
            build.env("npm_config_nodedir", headers);
        }
        run(&mut build)
    })
}

/// Where Node's own headers lie, if it was installed with them; otherwise npm fetches them.
fn node_headers() -> Option<String> {
    let told = Command::new("node").args(["-p", "path.resolve(process.execPath, '../..')"]).output().ok()?;
    let prefix = String::from_utf8(told.stdout).ok()?.trim().to_owned();
    Path::new(&prefix).join("include/node/node.h").exists().then_some(prefix)
}

/// The Java adapter with the oldest client, in `target/clients/old-jvm`.
fn oldest_java(workspace: &Path) -> Result<(), String> {
    let folder = workspace.join("tests/clients/jvm");
    let list = folder.join("old/pom.xml");
    let sources = [list.clone(), folder.join("Adapter.java"), folder.join("old/Dialect.java")];
    let sources: Vec<&Path> = sources.iter().map(|path| path.as_path()).collect();
    once(&workspace.join("target/clients/old-jvm/built"), &sources, || {
        run(Command::new("mvn").args(["-q", "-B", "-f"]).arg(&list).arg("package"))
    })
}

/// Does the work unless it was done for `sources` as they are. Their text is kept in `stamp`, beside what was made of it.
pub(crate) fn once(stamp: &Path, sources: &[&Path], work: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    let mut wanted = String::new();
    for source in sources {
        wanted += &fs::read_to_string(source).map_err(|error| format!("{}: {error}", source.display()))?;
    }
    if fs::read_to_string(stamp).is_ok_and(|there| there == wanted) {
        return Ok(());
    }
    work()?;
    fs::write(stamp, wanted).map_err(|error| format!("{}: {error}", stamp.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_is_done_again_only_when_its_source_changes() {
        let folder = std::env::temp_dir().join(format!("xtask-once-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (stamp, source) = (folder.join("stamp"), folder.join("source"));
        fs::write(&source, "1").unwrap();
        let mut done = 0;
        let mut work = |result: Result<(), String>| {
            once(&stamp, &[&source], || {
                done += 1;
                result
            })
        };
        assert!(work(Err("no network".to_owned())).is_err());
        assert!(work(Ok(())).is_ok());
        assert!(work(Err("not asked for".to_owned())).is_ok());
        fs::write(&source, "2").unwrap();
        assert!(work(Ok(())).is_ok());
        assert_eq!(done, 3);
        fs::remove_dir_all(&folder).unwrap();
    }
}
