use super::files::{self, Plan};
use super::{Failure, moves, replicas_of_topics, throttles, with_commas};
use crate::console::Console;
use crate::java::{Sized, hash_order, partition_hash};
use ottla_client::{Admin, ClientError, ErrorCode, ReplicationFactorChange};
use ottla_types::{NodeId, TopicPartition};
use std::collections::{BTreeMap, BTreeSet};

/// How a reassignment is begun.
pub(super) struct How {
    /// Beside others that are under way.
    pub(super) is_additional: bool,
    pub(super) may_change_factor: bool,
    /// Bytes a second between brokers; negative for no limit.
    pub(super) throttle: i64,
    /// Bytes a second between directories; negative for no limit.
    pub(super) directory_throttle: i64,
    /// How long to wait until replicas move between directories.
    pub(super) timeout_ms: i64,
}

pub(super) async fn execute(admin: &Admin, file: &str, how: &How, console: &mut Console) -> Result<(), Failure> {
    let plan = files::plan(file)?;
    let proposed = check(&plan)?;
    let under_way = admin.list_reassignments(None).await?;
    if !how.is_additional && !under_way.is_empty() {
        return Err(Failure::Told(
            "Cannot execute because there is an existing partition assignment.  Use --additional to override this and \
             create a new partition assignment in addition to the existing one. The --additional flag can also be used \
             to change the throttle by resubmitting the current reassignment."
                .to_owned(),
        ));
    }
    refuse_unknown(admin, proposed.values().flatten().copied().collect()).await?;
    let current = current(admin, &proposed).await?;
    let directories = moves::directories(admin, &current).await?;
    console.line(&format!(
        "Current partition replica assignment\n\n{}\n\nSave this to use as the --reassignment-json-file option during \
         rollback",
        files::written(&current, &directories)
    ));
    if how.throttle >= 0 || how.directory_throttle >= 0 {
        console.line(
            "Warning: You must run --verify periodically, until the reassignment completes, to ensure the throttle is \
             removed.",
        );
    }
    if how.throttle >= 0 {
        let moves = throttles::moves(&under_way, &proposed, &current);
        throttles::limit_brokers(admin, &moves, how.throttle, console).await?;
    }
    if how.directory_throttle >= 0 {
        let brokers = plan.directories.keys().map(|replica| replica.broker.value()).collect();
        throttles::limit_directories(admin, brokers, how.directory_throttle, console).await?;
    }
    begin(admin, &proposed, how.may_change_factor, console).await?;
    if plan.directories.is_empty() {
        return Ok(());
    }
    moves::begin(admin, plan.directories, how.timeout_ms, console).await
}

/// The replicas of each partition, if each has some and stands in the file once.
fn check(plan: &Plan) -> Result<BTreeMap<TopicPartition, Vec<i32>>, Failure> {
    let refused = |sentence: String| Err(Failure::Error(sentence));
    if plan.partitions.is_empty() {
        return refused("Partition reassignment list cannot be empty".to_owned());
    }
    if plan.partitions.iter().any(|(_, replicas)| replicas.is_empty()) {
        return refused("Partition replica list cannot be empty".to_owned());
    }
    let (mut proposed, mut twice) = (BTreeMap::new(), BTreeSet::new());
    for (partition, replicas) in &plan.partitions {
        if proposed.insert(partition.clone(), replicas.clone()).is_some() {
            twice.insert(partition.clone());
        }
    }
    if !twice.is_empty() {
        let twice = with_commas(in_hash_order(twice));
        return refused(format!("Partition reassignment contains duplicate topic partitions: {twice}"));
    }
    let repeated = |(partition, replicas): &(TopicPartition, Vec<i32>)| {
        let mut seen = BTreeSet::new();
        let repeated: BTreeSet<_> = replicas.iter().filter(|broker| !seen.insert(**broker)).collect();
        let text = format!("{partition} contains multiple entries for {}", with_commas(&repeated));
        (!repeated.is_empty()).then_some(text)
    };
    let repeated: Vec<String> = plan.partitions.iter().filter_map(repeated).collect();
    if !repeated.is_empty() {
        let repeated = repeated.join(". ");
        return refused(format!("Partition replica lists may not contain duplicate entries: {repeated}"));
    }
    Ok(proposed)
}

fn in_hash_order(partitions: BTreeSet<TopicPartition>) -> Vec<TopicPartition> {
    let mut partitions: Vec<_> = partitions.into_iter().collect();
    hash_order(&mut partitions, Sized::Default, partition_hash);
    partitions
}

async fn refuse_unknown(admin: &Admin, brokers: BTreeSet<i32>) -> Result<(), Failure> {
    let known: BTreeSet<i32> = admin.describe_cluster().await?.brokers.iter().map(|broker| broker.id.value()).collect();
    match brokers.difference(&known).next() {
        Some(unknown) => Err(Failure::Error(format!("Unknown broker id {unknown}"))),
        None => Ok(()),
    }
}

/// The replicas that the partitions have now.
async fn current(
    admin: &Admin,
    proposed: &BTreeMap<TopicPartition, Vec<i32>>,
) -> Result<BTreeMap<TopicPartition, Vec<i32>>, Failure> {
    let topics = proposed.keys().map(|partition| partition.topic.to_string());
    let mut current = replicas_of_topics(admin, topics).await?;
    current.retain(|partition, _| proposed.contains_key(partition));
    let missing: BTreeSet<_> = proposed.keys().filter(|partition| !current.contains_key(partition)).cloned().collect();
    if missing.is_empty() {
        return Ok(current);
    }
    let missing: Vec<_> = in_hash_order(missing).iter().map(ToString::to_string).collect();
    let message = Some(format!("Unable to find partition: {}", missing.join(", ")));
    Err(ClientError::Api { code: ErrorCode::UnknownTopicOrPartition, message }.into())
}

async fn begin(
    admin: &Admin,
    proposed: &BTreeMap<TopicPartition, Vec<i32>>,
    may_change_factor: bool,
    console: &mut Console,
) -> Result<(), Failure> {
    let nodes = |ids: &Vec<i32>| Some(ids.iter().copied().map(NodeId).collect());
    let reassignments = proposed.iter().map(|(partition, replicas)| (partition.clone(), nodes(replicas))).collect();
    let factor = if may_change_factor { ReplicationFactorChange::Allowed } else { ReplicationFactorChange::Forbidden };
    let refused = refused(admin.alter_reassignments(&reassignments, factor).await?);
    if !refused.is_empty() {
        return Err(Failure::Told(format!("Error reassigning partition(s):\n{}", refused.join("\n"))));
    }
    let s = if proposed.len() == 1 { "" } else { "s" };
    let partitions = with_commas(proposed.keys());
    console.line(&format!("Successfully started partition reassignment{s} for {partitions}"));
    Ok(())
}

fn refused(results: BTreeMap<TopicPartition, Result<(), ClientError>>) -> Vec<String> {
    let refused = results.into_iter().filter_map(|(partition, result)| Some((partition, result.err()?)));
    refused.map(|(partition, error)| format!("{partition}: {error}")).collect()
}

/// Ends reassignments and moves before they are done, and puts the replicas back.
pub(super) async fn cancel(
    admin: &Admin,
    file: &str,
    keeps_throttles: bool,
    timeout_ms: i64,
    console: &mut Console,
) -> Result<(), Failure> {
    let plan = files::plan(file)?;
    let asked: BTreeSet<_> = plan.partitions.iter().map(|(partition, _)| partition.clone()).collect();
    let under_way = admin.list_reassignments(Some(&asked)).await?.into_iter();
    let moving = under_way.filter(|(_, it)| !it.adding.is_empty() || !it.removing.is_empty());
    let moving: BTreeMap<TopicPartition, Option<Vec<NodeId>>> =
        moving.map(|(partition, _)| (partition, None)).collect();
    if moving.is_empty() {
        console.line("None of the specified partition reassignments are active.");
    } else {
        let refused = refused(admin.alter_reassignments(&moving, ReplicationFactorChange::Allowed).await?);
        let s = |count: usize| if count == 1 { "" } else { "s" };
        if !refused.is_empty() {
            let s = s(refused.len());
            let refused = refused.join("\n");
            return Err(Failure::Told(format!("Error cancelling partition reassignment{s} for:\n{refused}")));
        }
        let (s, partitions) = (s(moving.len()), with_commas(moving.keys()));
        console.line(&format!("Successfully cancelled partition reassignment{s} for: {partitions}"));
    }
    let locations = moves::locations(admin, plan.directories.keys().cloned()).await?;
    let back = locations.into_iter().filter_map(|(replica, it)| it.future.and(it.current).map(|path| (replica, path)));
    let back: BTreeMap<_, _> = back.collect();
    if back.is_empty() {
        // Kafka's tool leaves the line open.
        console.print("None of the specified partition moves are active.");
    } else {
        moves::begin(admin, back, timeout_ms, console).await?;
    }
    if keeps_throttles { Ok(()) } else { throttles::clear(admin, &plan, console).await }
}
