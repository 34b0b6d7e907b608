//! What is going to be done, in words.

use super::facts::Facts;
use super::layout::{Changes, Layout, Unplannable};
use crate::console::Console;
use crate::table;
use crate::texts::{bytes, count, duration};
use std::collections::{BTreeMap, BTreeSet};

/// So many partitions are named; of more, only how many there are.
const NAMED_MAX: usize = 50;

/// What a broker has.
#[derive(Clone, Copy, Default)]
struct Share {
    replicas: usize,
    leads: usize,
    bytes: u64,
}

fn shares(layout: &Layout) -> BTreeMap<i32, Share> {
    let mut shares = BTreeMap::<i32, Share>::new();
    for partition in layout.partitions.values() {
        for broker in &partition.replicas {
            let share = shares.entry(*broker).or_default();
            share.replicas += 1;
            share.bytes = share.bytes.saturating_add(partition.bytes);
        }
        if let Some(leader) = partition.replicas.first() {
            shares.entry(*leader).or_default().leads += 1;
        }
    }
    shares
}

/// Shows what each broker has and will have, and which partitions change.
pub(super) fn show(facts: &Facts, changes: &Changes, throttle: Option<i64>, names_all: bool, console: &mut Console) {
    let layout = &facts.layout;
    let (before, after) = (shares(layout), shares(&layout.after(changes)));
    let known: BTreeSet<i32> = facts.living.iter().chain(before.keys()).copied().collect();
    let row = |id: i32| {
        let of = |shares: &BTreeMap<i32, Share>| shares.get(&id).copied().unwrap_or_default();
        let (was, is) = (of(&before), of(&after));
        let change = |was: String, is: String| if was == is { is } else { format!("{was} -> {is}") };
        let number = |was: usize, is: usize| change(was.to_string(), is.to_string());
        let rack = layout.targets.get(&id).cloned().flatten().unwrap_or_else(|| "-".to_owned());
        let note = if !facts.living.contains(&id) { format!("{id} (away)") } else { id.to_string() };
        let size = |share: Share| bytes(i64::try_from(share.bytes).unwrap_or(i64::MAX));
        [note, rack, number(was.replicas, is.replicas), number(was.leads, is.leads), change(size(was), size(is))]
    };
    let rows: Vec<_> = known.into_iter().map(row).collect();
    table::print(["BROKER", "RACK", "REPLICAS", "PREFERRED LEADER OF", "BYTES"], &rows, console);
    for line in lines(layout, changes, names_all) {
        console.line(&line);
    }
    console.line(&summary(layout, changes, throttle));
    let leaderless = layout.partitions.values().filter(|partition| partition.is_leaderless).count();
    if leaderless > 0 {
        console.line(&format!(
            "{} without a leader can't be copied and stay where they are: start the brokers that have them.",
            count(leaderless, "partition")
        ));
    }
}

fn lines(layout: &Layout, changes: &Changes, names_all: bool) -> Vec<String> {
    let most = if names_all { usize::MAX } else { NAMED_MAX };
    let listed = |ids: &[i32]| ids.iter().map(i32::to_string).collect::<Vec<_>>().join(",");
    let line = |(name, replicas): (&ottla_types::TopicPartition, &Vec<i32>)| {
        let before = layout.partitions.get(name).map(|partition| listed(&partition.replicas)).unwrap_or_default();
        let size = layout.partitions.get(name).map_or(0, |partition| partition.bytes);
        let copies = layout.added(name, replicas).len() as u64;
        let what = match copies {
            0 => "another preferred leader".to_owned(),
            _ => bytes(i64::try_from(size.saturating_mul(copies)).unwrap_or(i64::MAX)),
        };
        format!("  {name}: {before} -> {} ({what})", listed(replicas))
    };
    let mut lines: Vec<_> = changes.iter().take(most).map(line).collect();
    if changes.len() > most {
        lines.push(format!("  and {} (--dry-run names all)", count(changes.len() - most, "more partition")));
    }
    lines
}

/// How much is copied, and how long that takes at least.
fn summary(layout: &Layout, changes: &Changes, throttle: Option<i64>) -> String {
    let copied = layout.bytes_copied(changes);
    let copies: usize = changes.iter().map(|(name, replicas)| layout.added(name, replicas).len()).sum();
    let limit = match throttle {
        None => "without a limit (--throttle sets one)".to_owned(),
        Some(rate) => {
            let busiest = busiest(layout, changes);
            let least = i64::try_from(busiest).unwrap_or(i64::MAX) / rate.max(1);
            let at_least = duration(least.saturating_mul(1000));
            format!("at {} a second at each broker, so in {at_least} at least", bytes(rate))
        }
    };
    let size = bytes(i64::try_from(copied).unwrap_or(i64::MAX));
    let copies = if copies == 1 { "1 copy".to_owned() } else { format!("{copies} copies") };
    format!("{} to change; {copies}, {size} in all, {limit}.", count(changes.len(), "partition"))
}

/// How many bytes the broker takes that takes most.
fn busiest(layout: &Layout, changes: &Changes) -> u64 {
    let mut taken = BTreeMap::<i32, u64>::new();
    for (name, replicas) in changes {
        let size = layout.partitions.get(name).map_or(0, |partition| partition.bytes);
        for broker in layout.added(name, replicas) {
            *taken.entry(broker).or_default() += size;
        }
    }
    taken.into_values().max().unwrap_or(0)
}

/// Why there is no plan, and what to do.
pub(super) fn unplannable(error: &Unplannable) -> String {
    let Unplannable::TooFewBrokers { partition, replicas, targets } = error;
    format!(
        "{partition} has {}, and {} to put them on: leave more brokers, or give the topic fewer replicas first \
         (kafka-reassign-partitions).",
        count(*replicas, "replica"),
        if *targets == 1 { "there is 1 broker".to_owned() } else { format!("there are {targets} brokers") }
    )
}

#[cfg(test)]
mod tests {
    use super::super::layout::Partition;
    use super::*;
    use ottla_types::TopicPartition;

    #[test]
    fn it_is_said_what_moves_and_how_much_and_how_long_that_takes_at_least() {
        let partition = Partition { replicas: vec![1, 2], bytes: 3 << 20, is_leaderless: false };
        let partitions = BTreeMap::from([(TopicPartition::new("t", 0), partition)]);
        let layout = Layout { targets: BTreeMap::new(), leaving: BTreeSet::new(), partitions };
        let moved = Changes::from([(TopicPartition::new("t", 0), vec![2, 3])]);
        assert_eq!(lines(&layout, &moved, false), ["  t-0: 1,2 -> 2,3 (3.0 MiB)"]);
        let expected =
            "1 partition to change; 1 copy, 3.0 MiB in all, at 1.0 MiB a second at each broker, so in 3 s at least.";
        assert_eq!(summary(&layout, &moved, Some(1 << 20)), expected);
        let turned = Changes::from([(TopicPartition::new("t", 0), vec![2, 1])]);
        assert_eq!(lines(&layout, &turned, false), ["  t-0: 1,2 -> 2,1 (another preferred leader)"]);
        let few = Unplannable::TooFewBrokers { partition: TopicPartition::new("t", 0), replicas: 2, targets: 1 };
        assert!(unplannable(&few).starts_with("t-0 has 2 replicas, and there is 1 broker to put them on"));
    }
}
