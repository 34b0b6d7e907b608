use super::failure::{Done, Failure, check};
use super::features::FEATURES;
use super::report::{Outcome, Report};
use crate::workspace;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::sync::{Mutex, PoisonError};

/// Where the page lies in the workspace.
pub const PAGE: &str = "docs/compat.md";

/// The environment variable that has the page written instead of compared.
pub const WRITE: &str = "OTTLA_COMPAT_WRITE";

/// What follows from here on is written by hand, and no run changes it.
const BY_HAND: &str = "\n## The libraries' own tests\n";

const INTRODUCTION: &str = "\
# Clients that work with Ottla

Client libraries that we did not write, each told to do the same jobs on Ottla and on the Apache Kafka that Ottla is held
against. The tables are what a run of them saw: the suite `foreign_clients` fails when a job fails on either server, or when
they say anything else. [How it is done](internals/foreign-clients.md).

`\u{2713}` the job is done and all that came of it is right; `\u{2013}` the library has no way to do it, for the reason below.

";

/// What all clients did at all servers, put together by tests that run in any order.
#[derive(Debug)]
pub struct Page {
    expected: usize,
    reports: Mutex<BTreeMap<(usize, &'static str), Report>>,
}

impl Page {
    /// A page that is complete with so many reports.
    pub const fn new(expected: usize) -> Self {
        Self { expected, reports: Mutex::new(BTreeMap::new()) }
    }

    /// Takes a report of the `place`th client at a server, in which all jobs are done that are not lacking, and compares its
    /// lines with the committed page. The last report compares the whole page, or writes it where [`WRITE`] is set.
    ///
    /// # Errors
    /// The committed page says anything else.
    pub fn add(&self, place: usize, server: &'static str, report: Report) -> Result<(), Failure> {
        let lines = [vec![row(server, &report)], lacking(&report)].concat();
        let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        reports.insert((place, server), report);
        let page = (reports.len() == self.expected).then(|| render(&reports));
        drop(reports);
        let path = workspace().join(PAGE);
        let committed = fs::read_to_string(&path)?;
        let (committed, by_hand) = committed.split_at(committed.find(BY_HAND).unwrap_or(committed.len()));
        if std::env::var_os(WRITE).is_some() {
            return match page {
                Some(page) => Ok(fs::write(path, page + by_hand)?),
                None => Ok(()),
            };
        }
        compare(committed, &lines, page.as_deref())
    }
}

fn compare(committed: &str, lines: &[String], page: Option<&str>) -> Done {
    let stale = |what: &str| format!("{PAGE} is not what this run saw; {WRITE}=1 writes it. {what}");
    for line in lines {
        check(committed.lines().any(|there| there == line), || stale(&format!("It lacks the line\n{line}")))?;
    }
    match page {
        Some(page) => check(committed == page, || stale(&format!("It should be\n{page}"))),
        None => Ok(()),
    }
}

fn render(reports: &BTreeMap<(usize, &'static str), Report>) -> String {
    let mut page = INTRODUCTION.to_owned();
    let names = FEATURES.map(|feature| feature.name).join(" | ");
    let rule = "|:-:".repeat(FEATURES.len());
    // Writing to a string does not fail.
    let _ = writeln!(page, "| client | version | server | {names} |\n|---|---|---{rule}|");
    for ((_, server), report) in reports {
        let _ = writeln!(page, "{}", row(server, report));
    }
    let mut lacks: Vec<String> = Vec::new();
    for line in reports.values().flat_map(lacking) {
        if !lacks.contains(&line) {
            lacks.push(line);
        }
    }
    let _ = writeln!(page, "\n## What the libraries lack\n\n| client | feature | why |\n|---|---|---|");
    let _ = writeln!(page, "{}", lacks.join("\n"));
    page
}

fn row(server: &str, report: &Report) -> String {
    let cells: Vec<&str> = report.outcomes.iter().map(|(_, outcome)| cell(outcome)).collect();
    format!("| {} | {} | {server} | {} |", report.client, report.version, cells.join(" | "))
}

fn cell(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Done => "\u{2713}",
        Outcome::Lacking(_) => "\u{2013}",
        Outcome::Failed(_) => "\u{2717}",
    }
}

fn lacking(report: &Report) -> Vec<String> {
    let line = |(name, outcome): &(&'static str, Outcome)| match outcome {
        Outcome::Lacking(why) => Some(format!("| {} | {name} | {why} |", report.client)),
        _ => None,
    };
    report.outcomes.iter().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(version: &str) -> Report {
        let lacking = Outcome::Lacking("no such thing".to_owned());
        Report {
            client: "c".to_owned(),
            version: version.to_owned(),
            outcomes: vec![("topics", Outcome::Done), ("configs", lacking)],
        }
    }

    #[test]
    fn a_page_that_says_anything_else_fails() {
        let reports = BTreeMap::from([((0, "Ottla"), report("1"))]);
        let page = render(&reports);
        let lines = [row("Ottla", &report("1"))];
        assert!(compare(&page, &lines, None).is_ok());
        assert!(compare(&page, &lines, Some(&page)).is_ok());
        assert!(compare(&page, &[row("Ottla", &report("2"))], None).is_err());
        assert!(compare(&page, &lines, Some(&page.replace('1', "2"))).is_err());
    }

    #[test]
    fn what_a_library_lacks_is_told_once_for_both_servers() {
        let reports = BTreeMap::from([((0, "Ottla"), report("1")), ((0, "Apache Kafka"), report("1"))]);
        assert_eq!(render(&reports).matches("| c | configs | no such thing |").count(), 1);
    }
}
