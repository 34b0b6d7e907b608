//! What is wrong, and what to do about it.

use super::facts::{Facts, GroupFacts, OpenTransaction};
use crate::texts::{bytes, count, duration};
use ottla_types::Timestamp;

/// A disk with less than this part free is nearly full.
const FREE_MIN: f64 = 0.10;

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) what: String,
    pub(super) advice: String,
}

pub(super) fn of(facts: &Facts, now: Timestamp) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut say = |what: String, advice: &str| findings.push(Finding { what, advice: advice.to_owned() });
    for broker in facts.brokers.iter().filter(|broker| broker.is_fenced) {
        say(
            format!("Broker {} is fenced: it is registered and does not serve.", broker.id.value()),
            "Start it, or look into its log; if it is gone for good, unregister it (kafka-cluster unregister).",
        );
    }
    partitions(facts, &mut say);
    directories(facts, &mut say);
    for open in &facts.open {
        if let Some((what, advice)) = transaction(open, now) {
            say(what, &advice);
        }
    }
    for group in &facts.groups {
        if let Some((what, advice)) = self::group(group) {
            say(what, &advice);
        }
    }
    findings
}

fn partitions(facts: &Facts, say: &mut impl FnMut(String, &str)) {
    let all = facts.topics.iter().flat_map(|topic| topic.partitions.iter().map(move |partition| (topic, partition)));
    let (mut leaderless, mut behind) = (Vec::new(), Vec::new());
    for (topic, partition) in all {
        let name = format!("{}-{}", topic.name, partition.index);
        if partition.leader.is_none() {
            leaderless.push(name);
        } else if partition.in_sync_replicas.len() < partition.replicas.len() {
            behind.push(name);
        }
    }
    if !leaderless.is_empty() {
        let what = format!(
            "{} without a leader, so that nobody can read or write: {}.",
            count(leaderless.len(), "partition"),
            some(&leaderless)
        );
        say(what, "Start the brokers that hold their replicas, or put their log directories right and start again.");
    }
    if !behind.is_empty() {
        let what = format!(
            "{} with fewer replicas in sync than there are: {}.",
            count(behind.len(), "partition"),
            some(&behind)
        );
        say(what, "Look at the brokers that are missing; another failure could lose what only the others have.");
    }
}

fn directories(facts: &Facts, say: &mut impl FnMut(String, &str)) {
    for (broker, path, directory) in &facts.directories {
        if let Some(error) = &directory.error {
            let error = error.to_string();
            let error = error.trim_end_matches('.');
            say(
                format!("The log directory {path} of broker {broker} is offline: {error}."),
                "Look at the disk and at the server's log; when the disk is right, start the server again.",
            );
            continue;
        }
        let (Some(total), Some(usable)) = (directory.total_bytes, directory.usable_bytes) else { continue };
        if total > 0 && (usable as f64) < total as f64 * FREE_MIN {
            let largest = directory.replicas.iter().max_by_key(|replica| replica.size);
            let largest = largest.map_or_else(String::new, |replica| {
                format!(" The largest log there is {} with {}.", replica.partition, bytes(replica.size))
            });
            say(
                format!(
                    "The disk of {path} (broker {broker}) is nearly full: {} of {} are free.{largest}",
                    bytes(usable),
                    bytes(total)
                ),
                "Shorten retention.ms or retention.bytes of large topics, delete records or topics, or make the disk larger.",
            );
        }
    }
}

/// What there is to say of a transaction that is open on a partition.
pub(super) fn transaction(open: &OpenTransaction, now: Timestamp) -> Option<(String, String)> {
    let (partition, id) = (&open.partition, open.producer.producer_id);
    let offset = open.producer.transaction_start_offset.map_or(-1, |offset| offset.value());
    let held = format!("readers of committed records see nothing of {partition} from offset {offset} on");
    let abort = format!(
        "kafka-transactions abort --topic {} --partition {} --start-offset {offset}",
        partition.topic, partition.partition
    );
    let Some((name, known)) = &open.known else {
        let idle = duration(now.value() - open.producer.last_timestamp.value());
        let what = format!(
            "A transaction of producer {id} hangs on {partition}: no coordinator knows it, it wrote last {idle} ago, and {held}."
        );
        return Some((what, format!("Abort it: {abort}")));
    };
    let open_for = now.value() - known.started.map_or(now.value(), |started| started.value());
    let timeout = i64::from(known.timeout_ms);
    (open_for > timeout).then(|| {
        let what = format!(
            "The transaction of {name} has been open for {}, longer than its timeout of {}; {held}.",
            duration(open_for),
            duration(timeout)
        );
        (what, format!("Its coordinator should end it soon; if it does not: {abort}"))
    })
}

/// What there is to say of a group.
fn group(group: &GroupFacts) -> Option<(String, String)> {
    let (name, state) = (&group.listing.group_id, group.state());
    let why = format!("ottla explain group {name} says more.");
    match state {
        "PreparingRebalance" | "CompletingRebalance" | "Assigning" | "Reconciling" => {
            Some((format!("The group {name} is rebalancing ({state}, {}).", count(group.members(), "member")), why))
        }
        "Empty" if group.lag() > 0 => {
            let lag = count(group.lag(), "record");
            let what = format!("The group {name} has {lag} to read and no member that reads.");
            Some((
                what,
                "Start its consumers, or delete the group if nobody needs it (kafka-consumer-groups --delete)."
                    .to_owned(),
            ))
        }
        _ => None,
    }
}

/// The first names of a long list.
fn some(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = names.get(..SHOWN).unwrap_or(names).join(", ");
    if names.len() > SHOWN { format!("{shown} and {} more", names.len() - SHOWN) } else { shown }
}

#[cfg(test)]
mod tests;
