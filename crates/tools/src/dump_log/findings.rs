use crate::console::Console;
use crate::java::{Sized, hash_order, string_hash};
use std::collections::BTreeMap;
use std::path::Path;

/// What was found of each file, in the order of the files.
type Files<T> = Vec<(String, T)>;

/// What was found wrong, told when all files are shown.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// Of each offset index: the offset in the index and the one in the log.
    index_mismatches: Files<BTreeMap<i64, i64>>,
    timestamp_mismatches: Files<Vec<(i64, i64)>>,
    timestamps_out_of_order: Files<Vec<(i64, i64)>>,
    offsets_not_found: Files<Vec<(i64, i64)>>,
    /// Of each log: an offset and the one that follows it.
    gaps: Files<BTreeMap<i64, i64>>,
}

impl Findings {
    pub(super) fn index_mismatch(&mut self, file: &Path, index: i64, log: i64) {
        entry(&mut self.index_mismatches, file).insert(index, log);
    }

    pub(super) fn timestamp_mismatch(&mut self, file: &Path, index: i64, log: i64) {
        entry(&mut self.timestamp_mismatches, file).push((index, log));
    }

    pub(super) fn timestamp_out_of_order(&mut self, file: &Path, timestamp: i64, previous: i64) {
        entry(&mut self.timestamps_out_of_order, file).push((timestamp, previous));
    }

    /// `log` is -1 when the log ends before the offset.
    pub(super) fn offset_not_found(&mut self, file: &Path, index: i64, log: i64) {
        entry(&mut self.offsets_not_found, file).push((index, log));
    }

    pub(super) fn gap(&mut self, file: &Path, offset: i64, next: i64) {
        entry(&mut self.gaps, file).insert(offset, next);
    }

    /// Tells all, in the order in which Kafka's tool does.
    pub(super) fn tell(&self, console: &mut Console) {
        for (file, pairs) in ordered(&self.index_mismatches) {
            console.error_line(&format!("Mismatches in :{file}"));
            for (index, log) in pairs.iter().rev() {
                console.error_line(&format!("  Index offset: {index}, log offset: {log}"));
            }
        }
        for (file, pairs) in ordered(&self.timestamp_mismatches) {
            console.error_line(&format!("Found timestamp mismatch in :{file}"));
            for (index, log) in pairs {
                console.error_line(&format!("  Index timestamp: {index}, log timestamp: {log}"));
            }
        }
        for (file, pairs) in ordered(&self.timestamps_out_of_order) {
            console.error_line(&format!("Found out of order timestamp in :{file}"));
            for (timestamp, previous) in pairs {
                let line = format!("  Index timestamp: {timestamp}, Previously indexed timestamp: {previous}");
                console.error_line(&line);
            }
        }
        for (file, pairs) in ordered(&self.offsets_not_found) {
            console.error_line(&format!("The following indexed offsets are not found in :{file}"));
            for (index, log) in pairs {
                console.error_line(&format!("Indexed offset: {index}, found log offset: {log}"));
            }
        }
        for (file, pairs) in ordered(&self.gaps) {
            console.error_line(&format!("Non-consecutive offsets in {file}"));
            for (offset, next) in pairs {
                console.error_line(&format!("  {offset} is followed by {next}"));
            }
        }
    }
}

/// What was found of a file so far.
fn entry<'a, T: Default>(files: &'a mut Files<T>, file: &Path) -> &'a mut T {
    let name = absolute(file);
    let known = files.iter().position(|(other, _)| *other == name).unwrap_or_else(|| {
        files.push((name, T::default()));
        files.len() - 1
    });
    &mut files[known].1
}

/// The entries in the order of Java's hash map.
fn ordered<T>(found: &Files<T>) -> Vec<&(String, T)> {
    // `computeIfAbsent` puts a new entry before the others of its bucket.
    let mut entries: Vec<_> = found.iter().rev().collect();
    hash_order(&mut entries, Sized::Default, |(file, _)| string_hash(file));
    entries
}

fn absolute(file: &Path) -> String {
    // Java puts the working directory before a relative path, and leaves dots in it alone.
    let path =
        if file.is_absolute() { file.to_owned() } else { std::env::current_dir().unwrap_or_default().join(file) };
    path.display().to_string()
}
