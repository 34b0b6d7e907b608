//! What all members know together: who has what, what was committed, and how long a partition was with nobody.

use ottla_tests::group_member::{Partition, Witness};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// What the members are told to tell it to.
#[derive(Default)]
pub(crate) struct Watched(pub(crate) Mutex<Shared>);

impl Witness for Watched {
    fn take(&self, partition: &Partition, member: usize, until: Instant) {
        self.0.lock().unwrap().take(partition, member, until);
    }

    fn keep(&self, partition: &Partition, member: usize, until: Instant) {
        self.0.lock().unwrap().keep(partition, member, until);
    }

    fn give_up(&self, partition: &Partition, member: usize) {
        self.0.lock().unwrap().give_up(partition, member);
    }

    fn die_with(&self, partitions: &BTreeSet<Partition>) {
        let mut shared = self.0.lock().unwrap();
        partitions.iter().for_each(|partition| shared.die_with(partition));
        shared.deaths += 1;
    }

    fn joined(&self) {
        self.0.lock().unwrap().joins += 1;
    }

    fn next_commit(&self, _: &Partition) -> i64 {
        let mut shared = self.0.lock().unwrap();
        shared.next_value += 1;
        shared.next_value
    }

    fn committed(&self, partition: &Partition, value: i64) {
        self.0.lock().unwrap().acknowledge(partition.clone(), value);
    }
}

/// Who has what, as the members believe.
#[derive(Default)]
pub(crate) struct Shared {
    /// The member, and until when nobody else may have it: it may live so long after its last heartbeat that was answered.
    owners: BTreeMap<Partition, (usize, Instant)>,
    /// Since when a partition is with nobody who lives.
    free_since: BTreeMap<Partition, Instant>,
    /// How long each was with nobody, every time.
    pub(crate) gaps: Vec<Duration>,
    next_value: i64,
    /// The greatest value whose commit was acknowledged.
    pub(crate) acknowledged: BTreeMap<Partition, i64>,
    pub(crate) violations: Vec<String>,
    pub(crate) joins: u64,
    pub(crate) deaths: u64,
    pub(crate) commits: u64,
}

impl Shared {
    /// A member has been given a partition.
    fn take(&mut self, partition: &Partition, member: usize, until: Instant) {
        let other = self.owners.insert(partition.clone(), (member, until));
        if let Some((other, until)) = other.filter(|(other, until)| *other != member && *until > Instant::now()) {
            let left = until - Instant::now();
            self.violations.push(format!("{partition:?} goes to {member} and is with {other} for {left:?} more"));
        }
        if let Some(since) = self.free_since.remove(partition) {
            self.gaps.push(since.elapsed());
        }
    }

    /// A member still has a partition.
    fn keep(&mut self, partition: &Partition, member: usize, until: Instant) {
        self.owners.insert(partition.clone(), (member, until));
    }

    /// A member gives a partition up.
    fn give_up(&mut self, partition: &Partition, member: usize) {
        if self.owners.get(partition).is_some_and(|(owner, _)| *owner == member) {
            self.owners.remove(partition);
            self.free_since.entry(partition.clone()).or_insert_with(Instant::now);
        }
    }

    /// A member dies with a partition: others may have it only when the group has noticed.
    fn die_with(&mut self, partition: &Partition) {
        self.free_since.entry(partition.clone()).or_insert_with(Instant::now);
    }

    /// How many partitions are with somebody who lives.
    pub(crate) fn owned(&self) -> usize {
        self.owners.keys().filter(|partition| !self.free_since.contains_key(*partition)).count()
    }

    fn acknowledge(&mut self, partition: Partition, value: i64) {
        self.commits += 1;
        let greatest = self.acknowledged.entry(partition).or_default();
        *greatest = value.max(*greatest);
    }

    /// The longest and the middle gap, and how many there were.
    pub(crate) fn gap_figures(&self) -> (Duration, Duration, usize) {
        let mut gaps = self.gaps.clone();
        gaps.sort();
        let middle = gaps.get(gaps.len() / 2).copied().unwrap_or_default();
        (gaps.last().copied().unwrap_or_default(), middle, gaps.len())
    }
}
