//! The one screen of `status`.

use super::facts::Facts;
use super::findings::Finding;
use crate::texts::{bytes, count};
use core::fmt::Write as _;

/// How many topics, groups and APIs are shown: the largest, those that lag most, the most frequent.
const ROWS_MAX: usize = 8;

pub(super) fn of(facts: &Facts, findings: &[Finding]) -> String {
    let mut screen = String::new();
    node(facts, &mut screen);
    topics(facts, &mut screen);
    groups(facts, &mut screen);
    disk(facts, &mut screen);
    requests(facts, &mut screen);
    problems(facts, findings, &mut screen);
    screen
}

// Writing to a string cannot fail, so that the results of `writeln!` are not looked at.

fn node(facts: &Facts, screen: &mut String) {
    let controller = facts.controller.map_or("none".to_owned(), |id| id.to_string());
    let _ = writeln!(screen, "Cluster   {}, controller {controller}", facts.cluster_id);
    for broker in &facts.brokers {
        let fenced = if broker.is_fenced { ", fenced" } else { "" };
        let _ = writeln!(screen, "Broker    {} at {}:{}{fenced}", broker.id.value(), broker.host, broker.port);
    }
}

fn topics(facts: &Facts, screen: &mut String) {
    let (internal, own): (Vec<_>, Vec<_>) = facts.topics.iter().partition(|topic| topic.is_internal);
    let partitions: usize = own.iter().map(|topic| topic.partitions.len()).sum();
    let _ = writeln!(
        screen,
        "Topics    {} with {}, and {} of Kafka's own",
        own.len(),
        count(partitions, "partition"),
        internal.len()
    );
    let size = |name: &str| -> i64 {
        let replicas = facts.directories.iter().flat_map(|(_, _, directory)| &directory.replicas);
        replicas.filter(|replica| &*replica.partition.topic == name).map(|replica| replica.size).sum()
    };
    let mut rows: Vec<(i64, &str, usize)> =
        own.iter().map(|topic| (size(&topic.name), topic.name.as_str(), topic.partitions.len())).collect();
    rows.sort_by(|one, other| other.0.cmp(&one.0).then(one.1.cmp(other.1)));
    for (size, name, partitions) in rows.iter().take(ROWS_MAX) {
        let _ = writeln!(screen, "          {:>10}  {name} ({})", bytes(*size), count(*partitions, "partition"));
    }
    more(rows.len(), screen);
}

fn groups(facts: &Facts, screen: &mut String) {
    let _ = writeln!(screen, "Groups    {}", facts.groups.len());
    let mut rows: Vec<_> = facts.groups.iter().collect();
    rows.sort_by(|one, other| other.lag().cmp(&one.lag()).then(one.listing.group_id.cmp(&other.listing.group_id)));
    for group in rows.iter().take(ROWS_MAX) {
        let _ = writeln!(
            screen,
            "          lag {:>6}  {} ({}, {})",
            group.lag(),
            group.listing.group_id,
            group.state(),
            count(group.members(), "member")
        );
    }
    more(rows.len(), screen);
}

fn disk(facts: &Facts, screen: &mut String) {
    for (broker, path, directory) in &facts.directories {
        let used: i64 = directory.replicas.iter().map(|replica| replica.size).sum();
        let space = match (directory.usable_bytes, directory.total_bytes) {
            (Some(usable), Some(total)) if total > 0 => format!(", {} of {} free", bytes(usable), bytes(total)),
            _ => String::new(),
        };
        let state = if directory.error.is_some() { " OFFLINE" } else { "" };
        let _ = writeln!(screen, "Disk      broker {broker}: {path}{state}, {} of logs{space}", bytes(used));
    }
}

fn requests(facts: &Facts, screen: &mut String) {
    let Some(scrape) = &facts.scrape else { return };
    let idle =
        scrape.idle.map_or(String::new(), |idle| format!(", threads idle for {:.0}% of their time", idle * 100.0));
    let _ = writeln!(screen, "Requests  since the start{idle}");
    for (request, number, slowest) in scrape.requests.iter().take(ROWS_MAX) {
        let _ = writeln!(screen, "          {number:>10}  {request} (99 of 100 within {slowest:.1} ms)");
    }
    more(scrape.requests.len(), screen);
}

fn more(rows: usize, screen: &mut String) {
    if rows > ROWS_MAX {
        let _ = writeln!(screen, "          and {} more", rows - ROWS_MAX);
    }
}

fn problems(facts: &Facts, findings: &[Finding], screen: &mut String) {
    let _ = writeln!(screen);
    for unknown in &facts.unknown {
        let _ = writeln!(screen, "Not known: {unknown}");
    }
    if findings.is_empty() {
        let _ = writeln!(screen, "Nothing is wrong.");
        return;
    }
    let _ = writeln!(
        screen,
        "{} wrong:",
        if findings.len() == 1 { "One thing is".to_owned() } else { format!("{} things are", findings.len()) }
    );
    for Finding { what, advice } in findings {
        let _ = writeln!(screen, "- {what}\n  {advice}");
    }
}
