use super::{Failure, with_commas};
use crate::console::Console;
use ottla_client::{Admin, ErrorCode, PartitionReplica};
use ottla_types::{NodeId, TopicPartition};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How long to wait before replicas that are not there yet are told their directory again.
const PAUSE: Duration = Duration::from_millis(100);

/// Where a replica lies, and where it is on its way to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Location {
    pub(super) current: Option<String>,
    pub(super) future: Option<String>,
}

/// Where these replicas lie.
pub(super) async fn locations(
    admin: &Admin,
    replicas: impl Iterator<Item = PartitionReplica>,
) -> Result<BTreeMap<PartitionReplica, Location>, Failure> {
    let mut locations: BTreeMap<_, _> = replicas.map(|replica| (replica, Location::default())).collect();
    let brokers: BTreeSet<NodeId> = locations.keys().map(|replica| replica.broker).collect();
    for broker in brokers {
        for (path, directory) in admin.describe_log_dirs(broker.value()).await? {
            for found in directory.replicas {
                let Some(location) = locations.get_mut(&PartitionReplica { broker, partition: found.partition }) else {
                    continue;
                };
                *(if found.is_future { &mut location.future } else { &mut location.current }) = Some(path.clone());
            }
        }
    }
    Ok(locations)
}

/// The directories that the replicas of these partitions lie in, as far as their brokers tell.
pub(super) async fn directories(
    admin: &Admin,
    partitions: &BTreeMap<TopicPartition, Vec<i32>>,
) -> Result<BTreeMap<PartitionReplica, String>, Failure> {
    // A broker that is down is not waited for.
    let living: BTreeSet<NodeId> = admin.describe_cluster().await?.brokers.iter().map(|broker| broker.id).collect();
    let replicas = partitions.iter().flat_map(|(partition, replicas)| {
        replicas.iter().map(|broker| PartitionReplica { broker: NodeId(*broker), partition: partition.clone() })
    });
    let found = locations(admin, replicas.filter(|replica| living.contains(&replica.broker))).await?;
    Ok(found.into_iter().filter_map(|(replica, location)| Some((replica, location.current?))).collect())
}

/// Tells replicas which directory to move to, again and again while some are not there yet.
pub(super) async fn begin(
    admin: &Admin,
    mut pending: BTreeMap<PartitionReplica, String>,
    timeout_ms: i64,
    console: &mut Console,
) -> Result<(), Failure> {
    let deadline = Instant::now() + Duration::from_millis(u64::try_from(timeout_ms).unwrap_or(0));
    loop {
        for (replica, result) in admin.alter_replica_log_dirs(&pending).await? {
            match result {
                Ok(()) => {
                    let path = pending.remove(&replica).unwrap_or_default();
                    let PartitionReplica { broker, partition } = replica;
                    console.line(&format!(
                        "Successfully started moving log directory to {path} for replica {partition} with broker {broker} "
                    ));
                }
                Err(error) if error.is(ErrorCode::ReplicaNotAvailable) => {}
                Err(_) => return Err(Failure::Error(format!("Failed to alter dir for {replica}"))),
            }
        }
        if pending.is_empty() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            let s = if pending.len() == 1 { "" } else { "s" };
            let replicas = with_commas(pending.keys());
            return Err(Failure::Told(format!(
                "Timed out before log directory move{s} could be started for: {replicas}"
            )));
        }
        console.progress(&format!("waiting for {} replicas to be there", pending.len()));
        tokio::time::sleep(PAUSE).await;
    }
}
