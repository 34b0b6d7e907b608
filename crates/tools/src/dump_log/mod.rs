//! `kafka-dump-log`: shows what is in the files of a log.
//!
//! It only reads, creates nothing, and holds at most one batch of a file in memory. What can't be read ends it with a
//! sentence and exit code 1, where Kafka's tool ends with an exception.

mod batches;
mod decoder;
mod findings;
mod indexes;
mod options;
pub(crate) mod segment;
mod small_files;

use crate::console::Console;
use crate::failure::{Stop, help_or_version, require};
use crate::java_text::text;
use findings::Findings;
use options::{OPTIONS, Settings};
use std::fmt;
use std::path::{Path, PathBuf};

/// Why the tool can't go on: a sentence.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

impl Failure {
    /// Something about a file.
    fn of(file: &Path, what: impl fmt::Display) -> Self {
        Self(format!("{}: {what}", file.display()))
    }
}

/// Runs the tool.
pub(crate) fn run(arguments: &[String], console: &mut Console) -> i32 {
    let parsed = OPTIONS.parse(arguments).map_err(Stop::from);
    let settings = parsed.and_then(|parsed| {
        help_or_version(&OPTIONS, &parsed, console)?;
        require(&parsed, "files")?;
        Ok(Settings::new(&parsed)?)
    });
    let settings = match settings {
        Ok(settings) => settings,
        Err(stop) => return stop.tell(&OPTIONS, console),
    };
    let mut findings = Findings::default();
    for name in &settings.files {
        let file = normal(name);
        console.line(&format!("Dumping {}", file.display()));
        if let Err(Failure(sentence)) = dump(&file, &settings, &mut findings, console) {
            console.error_line(&sentence);
            return 1;
        }
        if console.is_closed() {
            return 0;
        }
    }
    findings.tell(console);
    0
}

/// A path as Java's `File` has it: no doubled and no trailing slashes.
fn normal(name: &str) -> PathBuf {
    let mut path = String::with_capacity(name.len());
    for letter in name.chars() {
        if letter != '/' || !path.ends_with('/') {
            path.push(letter);
        }
    }
    if path.len() > 1 && path.ends_with('/') {
        path.pop();
    }
    path.into()
}

fn dump(file: &Path, settings: &Settings, findings: &mut Findings, console: &mut Console) -> Result<(), Failure> {
    let name = file_name(file);
    let suffix = name.rfind('.').and_then(|dot| name.get(dot..));
    match suffix {
        Some(".log" | ".checkpoint") => batches::dump(file, settings, findings, console),
        Some(".index") => indexes::dump_offset_index(file, settings, findings, console),
        Some(".timeindex") => indexes::dump_time_index(file, settings, findings, console),
        Some(".snapshot") => small_files::dump_producer_snapshot(file, console),
        Some(".txnindex") => small_files::dump_transaction_index(file, console),
        _ => {
            console.error_line(&format!("Ignoring unknown file {}", file.display()));
            Ok(())
        }
    }
}

/// The last part of a path.
fn file_name(file: &Path) -> String {
    file.file_name().map(|name| text(name.as_encoded_bytes())).unwrap_or_default()
}

/// The offset that a file's name begins with.
fn base_offset(file: &Path) -> Result<i64, Failure> {
    let name = file_name(file);
    let digits = name.split('.').next().unwrap_or_default();
    digits.parse().map_err(|_| Failure::of(file, format!("the name does not begin with an offset: \"{digits}\"")))
}

/// The file of the same segment with another ending.
fn sibling(file: &Path, extension: &str) -> PathBuf {
    let name = file_name(file);
    file.with_file_name(format!("{}.{extension}", name.split('.').next().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_shown_as_java_shows_them() {
        for (given, shown) in [("a//b/", "a/b"), ("/", "/"), ("", ""), (" a", " a"), ("./a/../b", "./a/../b")] {
            assert_eq!(normal(given), Path::new(shown), "{given}");
        }
    }

    #[test]
    fn a_segments_files_are_found_by_their_common_name() {
        let log = Path::new("/x/00000000000000000012.log");
        assert_eq!(base_offset(log).unwrap(), 12);
        assert_eq!(sibling(log, "index"), Path::new("/x/00000000000000000012.index"));
        assert!(base_offset(Path::new("x.log")).is_err());
    }
}
