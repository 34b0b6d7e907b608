//! The ledger of `docs/fuzzing.md`: what was executed in all, kept by the runs themselves.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The page, within the workspace.
const PAGE: &str = "docs/fuzzing.md";

/// How the last line of the table begins.
const TOGETHER: &str = "| together |";

/// What a run of a target came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Measured {
    pub(super) executions: u64,
    pub(super) per_second: u64,
    pub(super) has_found: bool,
}

/// A line of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    target: String,
    /// Over all runs.
    executions: u64,
    /// Of the last run.
    per_second: u64,
    /// Inputs that each reach something of their own, seeds and those that are not committed.
    corpus: usize,
    findings: u64,
    last_run: String,
}

impl Line {
    fn new(target: &str) -> Self {
        Self {
            target: target.to_owned(),
            executions: 0,
            per_second: 0,
            corpus: 0,
            findings: 0,
            last_run: String::new(),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let cells: Vec<&str> = text.strip_prefix("| `")?.trim_end_matches('|').split('|').map(str::trim).collect();
        let [target, executions, per_second, corpus, findings, last_run] = cells.as_slice() else { return None };
        Some(Self {
            target: target.trim_end_matches('`').to_owned(),
            executions: number(executions),
            per_second: number(per_second),
            corpus: usize::try_from(number(corpus)).unwrap_or(0),
            findings: number(findings),
            last_run: (*last_run).to_owned(),
        })
    }

    fn to_text(&self) -> String {
        let Self { target, executions, per_second, corpus, findings, last_run } = self;
        // What was not measured is left empty.
        let measured = |number: u64| if number == 0 { String::new() } else { grouped(number) };
        let (executions, per_second, corpus) = (measured(*executions), measured(*per_second), measured(*corpus as u64));
        format!("| `{target}` | {executions} | {per_second} | {corpus} | {findings} | {last_run} |")
    }
}

/// Adds a run of a target to the page. `folders` hold its inputs.
pub(super) fn add(workspace: &Path, target: &str, measured: Measured, folders: &[&PathBuf]) -> Result<(), String> {
    let page = workspace.join(PAGE);
    let problem = |error: std::io::Error| format!("{}: {error}", page.display());
    let text = fs::read_to_string(&page).map_err(problem)?;
    let corpus = folders.iter().map(|folder| fs::read_dir(folder).map_or(0, Iterator::count)).sum();
    fs::write(&page, with(&text, target, measured, corpus, &today()?)).map_err(problem)
}

/// The page with a run more.
fn with(page: &str, target: &str, measured: Measured, corpus: usize, today: &str) -> String {
    let mut lines: Vec<Line> = page.lines().filter_map(Line::parse).collect();
    if !lines.iter().any(|line| line.target == target) {
        lines.push(Line::new(target));
        lines.sort_by(|a, b| a.target.cmp(&b.target));
    }
    for line in lines.iter_mut().filter(|line| line.target == target) {
        line.executions += measured.executions;
        line.per_second = measured.per_second;
        line.corpus = corpus;
        line.findings += u64::from(measured.has_found);
        line.last_run = today.to_owned();
    }
    let executions = grouped(lines.iter().map(|line| line.executions).sum());
    let findings: u64 = lines.iter().map(|line| line.findings).sum();
    let mut out = String::new();
    for text in page.lines().filter(|text| Line::parse(text).is_none()) {
        if text.starts_with(TOGETHER) {
            lines.iter().for_each(|line| out += &(line.to_text() + "\n"));
            out += &format!("{TOGETHER} {executions} | | | {findings} | |\n");
        } else {
            out += &(text.to_owned() + "\n");
        }
    }
    out
}

fn today() -> Result<String, String> {
    let output = Command::new("date").args(["-u", "+%F"]).output().map_err(|error| format!("date: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The number in a cell, which may be grouped; none is 0.
fn number(cell: &str) -> u64 {
    cell.replace(',', "").parse().unwrap_or(0)
}

/// A number with a comma before each three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &str = "# Fuzzing\n\n| target | executions |\n|---|--:|\n\
        | `b` | 1,000 | 50 | 7 | 1 | 2026-01-01 |\n| together | 1,000 | | | 1 | |\n\nThe end.\n";

    #[test]
    fn a_run_is_added_to_what_was_executed_before() {
        let measured = Measured { executions: 1_234_567, per_second: 60, has_found: true };
        let page = with(HERE, "b", measured, 9, "2026-01-02");
        assert!(page.contains("| `b` | 1,235,567 | 60 | 9 | 2 | 2026-01-02 |\n| together | 1,235,567 | | | 2 | |\n"));
        assert!(page.starts_with("# Fuzzing\n\n| target ") && page.ends_with("\n\nThe end.\n"));
    }

    #[test]
    fn a_target_that_is_run_for_the_first_time_gets_its_line() {
        let measured = Measured { executions: 5, per_second: 6, has_found: false };
        let page = with(HERE, "a", measured, 2, "2026-01-02");
        assert!(page.contains("|--:|\n| `a` | 5 | 6 | 2 | 0 | 2026-01-02 |\n| `b` | 1,000 "), "{page}");
        assert!(page.contains("| together | 1,005 | | | 1 | |"));
    }

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let written = [0, 999, 1_000, 12_345_678].map(grouped);
        assert_eq!(written, ["0", "999", "1,000", "12,345,678"]);
        assert_eq!(number("12,345,678"), 12_345_678);
    }
}
