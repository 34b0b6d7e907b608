use crate::cluster::{AutoCreate, Cluster, is_stale};
use crate::error::{ClientError, Result};
use ottla_types::{NodeId, TopicPartition};
use std::collections::{BTreeMap, BTreeSet};

/// A job whose parts are done by the partitions' leaders.
pub(super) trait LeaderJob: Sync {
    /// What is to be done about a partition.
    type Order: Clone + Send + Sync;
    /// What comes of it.
    type Outcome: Send;

    /// Sends a leader's part to it.
    fn send(
        &self,
        cluster: &Cluster,
        node: NodeId,
        part: &BTreeMap<TopicPartition, Self::Order>,
    ) -> impl Future<Output = Result<Outcomes<Self::Outcome>>> + Send;
}

/// The outcomes of a part of a job.
pub(super) type Outcomes<T> = Vec<(TopicPartition, Result<T>)>;

/// Sends each partition's part of a job to its leader, and again to the new one when the leader changed, until each
/// partition has a final result or the time is over.
pub(super) async fn at_leaders<J: LeaderJob>(
    cluster: &Cluster,
    work: &BTreeMap<TopicPartition, J::Order>,
    job: &J,
) -> Result<BTreeMap<TopicPartition, Result<J::Outcome>>> {
    let topics: BTreeSet<String> = work.keys().map(|partition| partition.topic.to_string()).collect();
    let mut retry = cluster.retry();
    let mut results = BTreeMap::new();
    let mut open = work.clone();
    let mut first = true;
    while !open.is_empty() {
        let mut last = None;
        let (by_node, unknown) = by_leader(cluster, &open);
        for (node, part) in by_node {
            match job.send(cluster, node, &part).await {
                Ok(answered) => {
                    for (partition, result) in answered {
                        match result {
                            Err(error) if error.is_retriable() || is_stale(&error) => last = Some(error),
                            result => {
                                open.remove(&partition);
                                results.insert(partition, result);
                            }
                        }
                    }
                }
                Err(error) if error.is_retriable() || is_stale(&error) => last = Some(error),
                Err(error) => return Err(error),
            }
        }
        if unknown {
            last.get_or_insert(unknown_topic());
        }
        if open.is_empty() {
            break;
        }
        let error = last.unwrap_or(ClientError::State("a partition was asked for but not answered"));
        let refreshed = cluster.refresh(Some(&topics), AutoCreate::Forbidden).await;
        // The first round of a new client knows no leaders: that is no failure to pause for.
        let was_first = std::mem::replace(&mut first, false);
        if (was_first && unknown && refreshed.is_ok()) || retry.pause(error.clone()).await.is_ok() {
            continue;
        }
        for partition in std::mem::take(&mut open).into_keys() {
            results.insert(partition, Err(error.clone()));
        }
    }
    Ok(results)
}

fn unknown_topic() -> ClientError {
    ClientError::Api { code: ottla_protocol::ErrorCode::UnknownTopicOrPartition, message: None }
}

/// The work of each leader that is known, and whether some leader is not.
fn by_leader<T: Clone>(
    cluster: &Cluster,
    work: &BTreeMap<TopicPartition, T>,
) -> (BTreeMap<NodeId, BTreeMap<TopicPartition, T>>, bool) {
    let metadata = cluster.metadata();
    let mut by_node = BTreeMap::<_, BTreeMap<_, _>>::new();
    let mut unknown = false;
    for (partition, item) in work {
        match metadata.leader(&partition.topic, partition.partition.value()) {
            Some((node, _)) => {
                by_node.entry(node).or_default().insert(partition.clone(), item.clone());
            }
            None => unknown = true,
        }
    }
    (by_node, unknown)
}
