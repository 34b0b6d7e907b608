use super::files::{self, Plan};
use super::moves::{self, Location};
use super::{Failure, throttles, with_commas};
use crate::connection::PARTITIONS_PER_ANSWER;
use crate::console::Console;
use ottla_client::{Admin, ErrorCode, PartitionReassignment, PartitionReplica, TopicDescription};
use ottla_types::TopicPartition;
use std::collections::{BTreeMap, BTreeSet};

/// Tells how far a reassignment is, and takes the limits away when nothing moves any more.
pub(super) async fn verify(
    admin: &Admin,
    file: &str,
    keeps_throttles: bool,
    console: &mut Console,
) -> Result<(), Failure> {
    let plan = files::plan(file)?;
    let under_way = admin.list_reassignments(None).await?;
    let states = states(admin, &plan, &under_way).await?;
    console.line("Status of partition reassignment:");
    states.values().for_each(|line| console.line(line));
    let locations = moves::locations(admin, plan.directories.keys().cloned()).await?;
    let told = plan.directories.iter().filter_map(|(replica, target)| Some((replica, target, locations.get(replica)?)));
    let told: Vec<_> = told.map(|(replica, target, location)| move_state(replica, target, location)).collect();
    console.line(&told.iter().map(|(line, _)| line.as_str()).collect::<Vec<_>>().join("\n"));
    let is_done = under_way.is_empty() && told.iter().all(|(_, is_done)| *is_done);
    if is_done && !keeps_throttles { throttles::clear(admin, &plan, console).await } else { Ok(()) }
}

/// What is to be said of each partition.
async fn states(
    admin: &Admin,
    plan: &Plan,
    under_way: &BTreeMap<TopicPartition, PartitionReassignment>,
) -> Result<BTreeMap<TopicPartition, String>, Failure> {
    let settled = plan.partitions.iter().filter(|(partition, _)| !under_way.contains_key(partition));
    let topics: BTreeSet<String> = settled.map(|(partition, _)| partition.topic.to_string()).collect();
    let mut described = BTreeMap::new();
    for (name, topic) in admin.describe_topics(&topics, PARTITIONS_PER_ANSWER).await? {
        match topic {
            Ok(topic) => drop(described.insert(name, topic)),
            Err(error) if error.is(ErrorCode::UnknownTopicOrPartition) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let mut states = BTreeMap::new();
    for (partition, target) in &plan.partitions {
        let state = if under_way.contains_key(partition) {
            format!("Reassignment of partition {partition} is still in progress.")
        } else {
            settled_state(partition, target, described.get(&*partition.topic))?
        };
        states.insert(partition.clone(), state);
    }
    Ok(states)
}

fn settled_state(
    partition: &TopicPartition,
    target: &[i32],
    topic: Option<&TopicDescription>,
) -> Result<String, Failure> {
    let index = usize::try_from(partition.partition.value()).unwrap_or(usize::MAX);
    let count = topic.map_or(0, |topic| topic.partitions.len());
    // Kafka's tool looks for the partition right behind the last in vain.
    if topic.is_some() && index == count {
        return Err(Failure::Error(format!("Index {index} out of bounds for length {count}")));
    }
    let described = topic.and_then(|topic| topic.partitions.get(index));
    let current: Vec<i32> =
        described.map(|it| it.replicas.iter().map(|node| node.value()).collect()).unwrap_or_default();
    if current == target {
        return Ok(format!("Reassignment of partition {partition} is completed."));
    }
    Ok(format!(
        "There is no active reassignment of partition {partition}, but replica set is {} rather than {}.",
        with_commas(&current),
        with_commas(target)
    ))
}

/// What is to be said of a replica that has to be in a directory, and whether there is nothing to wait for.
fn move_state(replica: &PartitionReplica, target: &str, location: &Location) -> (String, bool) {
    let PartitionReplica { broker, partition } = replica;
    match (&location.current, &location.future) {
        (None, _) => {
            let line = format!(
                "Partition {partition} is not found in any live log dir on broker {broker}. There is likely an offline \
                 log directory on the broker."
            );
            (line, false)
        }
        (Some(_), Some(future)) if future == target => {
            (format!("Reassignment of replica {replica} is still in progress."), false)
        }
        (Some(_), Some(future)) => {
            let line = format!(
                "Partition {partition} on broker {broker} is being moved to log dir {future} instead of {target}."
            );
            (line, false)
        }
        (Some(current), None) if current == target => {
            (format!("Reassignment of replica {replica} completed successfully."), true)
        }
        (Some(current), None) => {
            let line = format!(
                "Partition {partition} on broker {broker} is not being moved from log dir {current} to {target}."
            );
            (line, true)
        }
    }
}
