//! The tests that client libraries bring in their crates: copied out of the registry's crates, compiled, and laid where the
//! suite `own_tests` finds them. Nothing of them is kept in the repository; the lock file names the crates and their checksums.

use crate::command::run;
use crate::foreign::once;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The workspace that compiles them, with a member of each library's name.
const WORKSPACE: &str = "tests/clients/own-tests";

/// The crates whose folder `tests` is compiled.
const CRATES: [&str; 3] = ["rdkafka", "rskafka", "samsa"];

/// The crate that brings librdkafka's source, with its tests.
const C_LIBRARY: &str = "rdkafka-sys";

/// The file of rskafka's tests that runs a Java machine inside; ours stands in.
const STAND_IN: &str = "rskafka/java_helper.rs";

/// A file of rskafka's tests, a line in it, and the line instead: the tests are for an older rdkafka, whose delivery is a pair.
/// With it librdkafka would be built twice.
const FOR_NEWER: (&str, &str, &str) = (
    "rskafka/tests/rdkafka_helper.rs",
    "let (_partition, offset) =",
    "let rdkafka::producer::future_producer::Delivery { offset, .. } =",
);

/// What the C and C++ compilers are told: the tests are compiled once and run once.
const FLAGS: &str = "-O0 -w -fPIC -pthread -I../src";

/// Where everything is laid.
struct Places<'a> {
    workspace: &'a Path,
    manifests: PathBuf,
    target: PathBuf,
}

/// Builds all of them. What is there already takes a second.
pub(crate) fn install(workspace: &Path) -> Result<(), String> {
    let places = Places { workspace, manifests: workspace.join(WORKSPACE), target: workspace.join("target/own-tests") };
    copy_sources(&places)?;
    let messages = build(&places)?;
    lay_programs(&places, &messages)?;
    librdkafka(&places, &messages)
}

/// Copies the tests out of the crates, once: a copy that is newer would be compiled again.
fn copy_sources(places: &Places<'_>) -> Result<(), String> {
    let sources = places.target.join("sources");
    let (lock, stand_in) = (places.manifests.join("Cargo.lock"), places.manifests.join(STAND_IN));
    once(&sources.join("copied"), &[&lock, &stand_in], || {
        let metadata: Value =
            serde_json::from_slice(&cargo(places, &["metadata", "--locked", "--format-version", "1"])?)
                .map_err(|error| format!("cargo metadata: {error}"))?;
        for name in CRATES {
            let from = folder_of(&metadata, name).ok_or_else(|| format!("{name} is not in the lock file"))?;
            let to = sources.join(name);
            remove(&to)?;
            make(&to)?;
            run(Command::new("cp").arg("-r").arg(from.join("tests")).arg(&to))?;
        }
        let (file, old, new) = FOR_NEWER;
        let text = read(&sources.join(file))?;
        if !text.contains(old) {
            return Err(format!("{file} has changed: there is no {old}"));
        }
        write(&sources.join(file), &text.replace(old, new))?;
        write(&sources.join("rskafka/tests/java_helper.rs"), &read(&stand_in)?)
    })
}

/// Where a package of this name lies.
fn folder_of(metadata: &Value, name: &str) -> Option<PathBuf> {
    let package = metadata["packages"].as_array()?.iter().find(|package| package["name"] == name)?;
    Path::new(package["manifest_path"].as_str()?).parent().map(Path::to_owned)
}

/// Compiles all of them, and gives what cargo tells of each piece.
fn build(places: &Places<'_>) -> Result<Vec<Value>, String> {
    let output = cargo(places, &["build", "--quiet", "--locked", "--tests", "--message-format", "json"])?;
    Ok(output.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect())
}

/// Gives what cargo writes to its standard output. Into the project's own folder, where most of what the crates need is or
/// will be compiled for the adapters.
fn cargo(places: &Places<'_>, arguments: &[&str]) -> Result<Vec<u8>, String> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(arguments).current_dir(&places.manifests).env("CARGO_TARGET_DIR", places.workspace.join("target"));
    let output = cargo.stderr(Stdio::inherit()).output().map_err(|error| format!("cargo can't be run: {error}"))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stdout);
    let rendered = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let rendered: Vec<String> =
        rendered.filter_map(|message| Some(message["message"]["rendered"].as_str()?.to_owned())).collect();
    Err(format!("{}\ncargo {} ended with {}", rendered.join("\n"), arguments.join(" "), output.status))
}

/// Lays the programs where their names tell them: `programs/LIBRARY/FILE`.
fn lay_programs(places: &Places<'_>, messages: &[Value]) -> Result<(), String> {
    let programs = places.target.join("programs");
    remove(&programs)?;
    for name in CRATES {
        let folder = programs.join(name);
        make(&folder)?;
        let own = format!("/{name}#");
        let is_own = |message: &&Value| message["package_id"].as_str().is_some_and(|id| id.contains(&own));
        for message in messages.iter().filter(is_own) {
            let (Some(program), Some(test)) = (message["executable"].as_str(), message["target"]["name"].as_str())
            else {
                continue;
            };
            let link = folder.join(test);
            std::os::unix::fs::symlink(program, &link).map_err(|error| format!("{}: {error}", link.display()))?;
        }
    }
    Ok(())
}

/// librdkafka's test program, beside a copy of the library that its crate has built.
fn librdkafka(places: &Places<'_>, messages: &[Value]) -> Result<(), String> {
    let is_library = |message: &&Value| {
        message["reason"] == "build-script-executed"
            && message["package_id"].as_str().is_some_and(|id| id.contains(&format!("{C_LIBRARY}@")))
    };
    let built = messages.iter().find(is_library).and_then(|message| message["out_dir"].as_str());
    let built = Path::new(built.ok_or_else(|| format!("cargo does not tell where it built {C_LIBRARY}"))?);
    let copy = places.target.join("librdkafka");
    let lock = places.manifests.join("Cargo.lock");
    once(&copy.join("tests/built"), &[&lock], || {
        remove(&copy)?;
        run(Command::new("cp").arg("-a").arg(built).arg(&copy))?;
        let jobs = std::thread::available_parallelism().map_or(1, |cores| cores.get()).to_string();
        let mut make = Command::new("make");
        make.args(["--silent", "--jobs", &jobs, "-C"]).arg(copy.join("tests")).arg("test-runner");
        make.arg(format!("CFLAGS={FLAGS}")).arg(format!("CXXFLAGS={FLAGS} -I../src-cpp"));
        run(make.stdout(Stdio::null()))
    })
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

fn remove(folder: &Path) -> Result<(), String> {
    if !folder.exists() {
        return Ok(());
    }
    fs::remove_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))
}

fn make(folder: &Path) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_crate_with_tests_is_a_member_and_pinned() {
        let manifests = crate::workspace().join(WORKSPACE);
        let lock = fs::read_to_string(manifests.join("Cargo.lock")).unwrap();
        for name in CRATES {
            let manifest = fs::read_to_string(manifests.join(name).join("Cargo.toml")).unwrap();
            let line = manifest.lines().find(|line| line.starts_with(&format!("{name} = "))).unwrap();
            let version = line.split("\"=").nth(1).unwrap().split('"').next().unwrap();
            assert!(lock.contains(&format!("name = \"{name}\"\nversion = \"{version}\"\n")), "{name} {version}");
        }
    }

    #[test]
    fn a_package_is_found_by_its_name() {
        let metadata = json!({"packages": [
            {"name": "other", "manifest_path": "/a/other/Cargo.toml"},
            {"name": "samsa", "manifest_path": "/a/samsa-1/Cargo.toml"},
        ]});
        assert_eq!(folder_of(&metadata, "samsa"), Some(PathBuf::from("/a/samsa-1")));
        assert_eq!(folder_of(&metadata, "rskafka"), None);
    }
}
