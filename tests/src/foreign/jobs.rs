//! What is done and what must come of it, a file for each kind of work. No job looks at which client or server it is.

pub(super) mod configs;
pub(super) mod group_admin;
pub(super) mod groups;
pub(super) mod offsets;
pub(super) mod records;
pub(super) mod static_member;
pub(super) mod topics;
pub(super) mod transactions;

use super::adapter::{Adapter, Refusal};
use super::failure::{Done, check};
use super::record::Record;
use super::waiting::wait_until;
use crate::unique;

/// A new topic with a name of its own, seen by the client.
fn new_topic(adapter: &mut Adapter, name: &str, partitions: i64) -> Done<String> {
    let topic = unique(name);
    adapter.create_topic(&topic, partitions)?;
    wait_for_partitions(adapter, &topic, partitions)?;
    Ok(topic)
}

/// Waits until the client sees that a topic has so many partitions.
fn wait_for_partitions(adapter: &mut Adapter, topic: &str, wanted: i64) -> Done {
    wait_until(&format!("{topic} has {wanted} partitions"), || {
        let seen = adapter.partitions(topic)?;
        Ok(if seen == wanted { Ok(()) } else { Err(format!("{seen} partitions")) })
    })
}

/// Small records of these names.
fn numbered(name: &str, count: usize) -> Vec<Record> {
    (0..count).map(|index| Record::new(&format!("k{index}"), &format!("{name}-{index}"))).collect()
}

/// Checks that a library was told no, and that it knows what for if it tells that at all.
fn check_refused(what: &str, answer: Result<(), Refusal>, kind: &str) -> Done {
    match answer {
        Ok(()) => check(false, || format!("{what} was not refused")),
        Err(refusal) => check(refusal.kind.as_deref().is_none_or(|told| told == kind), || {
            format!("{what}: refused as {:?} instead of {kind}: {}", refusal.kind, refusal.words)
        }),
    }
}
