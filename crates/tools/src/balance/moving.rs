//! Carries a plan out: limits, the standard reassignment, progress, and the end of the limits.

use super::facts::{nodes, sizes};
use super::limits;
use crate::connection::stopped;
use crate::console::Console;
use crate::replication_throttle::Move;
use crate::texts::{bytes, count, duration};
use ottla_client::{Admin, ClientError, ElectionKind, ReplicationFactorChange};
use ottla_types::TopicPartition;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How long to wait before the cluster is asked again how far it is.
const PAUSE: Duration = Duration::from_millis(500);
/// How long news of the controller may take to a broker.
const NEWS: Duration = Duration::from_secs(10);
/// After so long without a byte, it is said once what may be wrong.
const STILL: Duration = Duration::from_secs(60);

/// What moves.
#[derive(Clone, Debug, Default)]
pub(super) struct Moving {
    /// The partitions with the replicas that they are to have.
    pub(super) targets: BTreeMap<TopicPartition, Vec<i32>>,
    /// The partitions that are copied, from where and to where.
    pub(super) moves: BTreeMap<TopicPartition, Move>,
    /// How many bytes a replica of each has.
    pub(super) bytes: BTreeMap<TopicPartition, u64>,
    /// The brokers that are there.
    pub(super) living: BTreeSet<i32>,
}

/// How it ended.
pub(super) enum End {
    /// All is where it should be.
    Done,
    /// These partitions were refused, or are not where they should be.
    Incomplete(Vec<String>),
    /// The process was told to stop, with the exit code of that. What moves goes on moving, without a limit.
    Interrupted(i32),
}

/// Begins to move, where `begins`, and waits until nothing moves any more. The limits are gone when this returns, whatever happens.
pub(super) async fn carry_out(
    admin: &Admin,
    moving: &Moving,
    throttle: Option<i64>,
    begins: bool,
    console: &mut Console,
) -> Result<End, ClientError> {
    let work = async {
        if let Some(rate) = throttle {
            limits::set(admin, moving, rate).await?;
        }
        let refused = if begins { begin(admin, moving).await? } else { BTreeMap::new() };
        let begun: BTreeSet<_> = moving.targets.keys().filter(|name| !refused.contains_key(*name)).cloned().collect();
        watch(admin, moving, &begun, console).await?;
        let mut wrong: Vec<String> = refused.into_iter().map(|(name, error)| format!("{name}: {error}")).collect();
        wrong.extend(misplaced_for_long(admin, moving, &begun).await?);
        elect(admin, &begun).await?;
        Ok(if wrong.is_empty() { End::Done } else { End::Incomplete(wrong) })
    };
    let ended = tokio::select! {
        biased;
        code = stopped() => Ok(End::Interrupted(code)),
        ended = work => ended,
    };
    // Also after a failure: limits that nobody knows of slow replicas down for ever.
    let topics = moving.targets.keys().map(|name| name.topic.to_string()).collect();
    let freed = limits::clear(admin, &moving.living, topics).await;
    match (ended, freed) {
        (Ok(ended), Ok(())) => Ok(ended),
        (Err(error), _) | (_, Err(error)) => Err(error),
    }
}

async fn begin(admin: &Admin, moving: &Moving) -> Result<BTreeMap<TopicPartition, ClientError>, ClientError> {
    let targets = moving.targets.iter().map(|(name, replicas)| (name.clone(), Some(nodes(replicas)))).collect();
    let begun = admin.alter_reassignments(&targets, ReplicationFactorChange::Allowed).await?;
    Ok(begun.into_iter().filter_map(|(name, result)| Some((name, result.err()?))).collect())
}

/// Waits until none of these partitions moves, and shows how far they are.
async fn watch(
    admin: &Admin,
    moving: &Moving,
    begun: &BTreeSet<TopicPartition>,
    console: &mut Console,
) -> Result<(), ClientError> {
    let all = left(moving, begun, &BTreeMap::new());
    let started = Instant::now();
    let mut last = (all, started);
    let mut is_told = false;
    loop {
        let under_way = admin.list_reassignments(Some(begun)).await?;
        let pending: BTreeSet<_> = under_way.into_keys().filter(|name| begun.contains(name)).collect();
        if pending.is_empty() {
            return Ok(());
        }
        let to = pending.iter().filter_map(|name| moving.moves.get(name)).flat_map(|it| &it.destinations);
        let to = to.copied().filter(|id| moving.living.contains(id)).collect();
        let left = left(moving, &pending, &sizes(admin, &to).await?);
        if left < last.0 {
            last = (left, Instant::now());
        }
        console.progress(&progress(begun.len(), pending.len(), all, left, started.elapsed()));
        if last.1.elapsed() > STILL && !is_told {
            is_told = true;
            console.error_line(
                "Nothing has been copied for a minute: either a broker is down, or what is written comes faster than --throttle lets \
                 it through. --resume with a greater --throttle, in another terminal, changes the limit.",
            );
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// How many bytes are to be copied yet, by what the brokers have.
fn left(moving: &Moving, pending: &BTreeSet<TopicPartition>, there: &BTreeMap<(i32, TopicPartition), u64>) -> u64 {
    let of_partition = |name: &TopicPartition| {
        let size = moving.bytes.get(name).copied().unwrap_or(0);
        let destinations = moving.moves.get(name).map(|it| &it.destinations);
        let missing = |id: &i32| size.saturating_sub(there.get(&(*id, name.clone())).copied().unwrap_or(0));
        destinations.into_iter().flatten().map(missing).sum::<u64>()
    };
    pending.iter().map(of_partition).sum()
}

fn progress(partitions: usize, pending: usize, all: u64, left: u64, elapsed: Duration) -> String {
    let done = all.saturating_sub(left);
    let rate = done as f64 / elapsed.as_secs_f64().max(0.001);
    let shown = |number: u64| bytes(i64::try_from(number).unwrap_or(i64::MAX));
    let rest = if rate >= 1.0 {
        format!(", {} a second, about {} to go", shown(rate as u64), duration((left as f64 / rate * 1000.0) as i64))
    } else {
        String::new()
    };
    format!(
        "{} of {} done, {} of {} left{rest}",
        partitions - pending,
        count(partitions, "partition"),
        shown(left),
        shown(all)
    )
}

/// The same as [`misplaced`], once all brokers may have heard: the one that tells where replicas are need not know yet what the
/// controller has decided.
async fn misplaced_for_long(
    admin: &Admin,
    moving: &Moving,
    begun: &BTreeSet<TopicPartition>,
) -> Result<Vec<String>, ClientError> {
    let until = Instant::now() + NEWS;
    loop {
        let wrong = misplaced(admin, moving, begun).await?;
        if wrong.is_empty() || Instant::now() > until {
            return Ok(wrong);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The partitions that are not where they should be, though nothing moves: somebody has ended it.
async fn misplaced(
    admin: &Admin,
    moving: &Moving,
    begun: &BTreeSet<TopicPartition>,
) -> Result<Vec<String>, ClientError> {
    let names = begun.iter().map(|name| name.topic.to_string()).collect();
    let mut wrong = Vec::new();
    for (topic, described) in admin.describe_topics(&names, crate::connection::PARTITIONS_PER_ANSWER).await? {
        // One that was deleted meanwhile is nowhere.
        let Ok(described) = described else { continue };
        for partition in described.partitions {
            let name = TopicPartition::new(topic.as_str(), partition.index);
            let target = moving.targets.get(&name).filter(|_| begun.contains(&name));
            let is_there = target.is_none_or(|target| nodes(target) == partition.replicas);
            if !is_there {
                wrong.push(format!("{name}: it was changed or ended by somebody else"));
            }
        }
    }
    Ok(wrong)
}

/// Lets the first replica of each lead, where it can.
async fn elect(admin: &Admin, partitions: &BTreeSet<TopicPartition>) -> Result<(), ClientError> {
    if partitions.is_empty() {
        return Ok(());
    }
    // One that can't lead now is elected by the cluster's own balancing of leaders later.
    admin.elect_leaders(ElectionKind::Preferred, Some(partitions)).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_says_how_much_is_left_and_how_long_that_takes() {
        let text = progress(12, 3, 4 << 20, 1 << 20, Duration::from_secs(3));
        assert_eq!(text, "9 of 12 partitions done, 1.0 MiB of 4.0 MiB left, 1.0 MiB a second, about 1 s to go");
        assert_eq!(progress(1, 1, 0, 0, Duration::from_secs(1)), "0 of 1 partition done, 0 B of 0 B left");
    }

    #[test]
    fn what_is_left_is_what_the_new_replicas_lack() {
        let name = TopicPartition::new("t", 0);
        let destinations = BTreeSet::from([3, 4]);
        let moving = Moving {
            moves: BTreeMap::from([(name.clone(), Move { sources: BTreeSet::from([1]), destinations })]),
            bytes: BTreeMap::from([(name.clone(), 100)]),
            ..Moving::default()
        };
        let there = BTreeMap::from([((3, name.clone()), 30), ((4, name.clone()), 130)]);
        assert_eq!(left(&moving, &BTreeSet::from([name.clone()]), &there), 70);
        assert_eq!(left(&moving, &BTreeSet::from([name]), &BTreeMap::new()), 200);
    }
}
