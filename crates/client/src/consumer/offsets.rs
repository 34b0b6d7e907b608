use crate::admin::{self, Committer, OffsetAndMetadata};
use crate::cluster::{Cluster, CoordinatorKind, Retry, is_stale};
use crate::error::{ClientError, Result};
use ottla_protocol::messages::{OffsetCommitRequest, OffsetFetchRequest};
use ottla_types::TopicPartition;
use std::collections::{BTreeMap, BTreeSet};

/// The committed offsets of a group, of these partitions or of all with `None`.
pub(crate) async fn fetch_offsets(
    cluster: &Cluster,
    group: &str,
    partitions: Option<&BTreeSet<TopicPartition>>,
) -> Result<BTreeMap<TopicPartition, OffsetAndMetadata>> {
    let mut retry = cluster.retry();
    loop {
        match try_fetch(cluster, group, partitions, &mut retry).await {
            Err(error) if error.is_retriable() || is_stale(&error) => retry.pause(error).await?,
            result => return result,
        }
    }
}

async fn try_fetch(
    cluster: &Cluster,
    group: &str,
    partitions: Option<&BTreeSet<TopicPartition>>,
    retry: &mut Retry,
) -> Result<BTreeMap<TopicPartition, OffsetAndMetadata>> {
    let node = cluster.coordinator(CoordinatorKind::Group, group, retry).await?;
    let connection = cluster.node(node).await?;
    let version = admin::fetch_version(connection.version_of::<OffsetFetchRequest>()?);
    let request = admin::fetch_request(group, partitions, version);
    let answer = connection.start_request(&request, version, true).await?;
    let answer = answer.wait(cluster.settings().request_timeout).await?;
    admin::fetched(answer.decode(connection.address())?, version)
}

/// Commits offsets of a group. Each partition has a result of its own; while one of them has an error that may pass, all
/// are committed again.
pub(crate) async fn commit_offsets(
    cluster: &Cluster,
    group: &str,
    committer: &Committer,
    offsets: &BTreeMap<TopicPartition, OffsetAndMetadata>,
) -> Result<BTreeMap<TopicPartition, Result<()>>> {
    let mut retry = cluster.retry();
    loop {
        let committed = try_commit(cluster, group, committer, offsets, &mut retry).await;
        let may_pass = |error: &ClientError| error.is_retriable() || is_stale(error);
        let error = match &committed {
            Ok(results) => results.values().find_map(|result| result.as_ref().err().filter(|e| may_pass(e)).cloned()),
            Err(error) => Some(error.clone()).filter(may_pass),
        };
        let Some(error) = error else { return committed };
        if retry.pause(error).await.is_err() {
            return committed;
        }
    }
}

async fn try_commit(
    cluster: &Cluster,
    group: &str,
    committer: &Committer,
    offsets: &BTreeMap<TopicPartition, OffsetAndMetadata>,
    retry: &mut Retry,
) -> Result<BTreeMap<TopicPartition, Result<()>>> {
    let node = cluster.coordinator(CoordinatorKind::Group, group, retry).await?;
    let connection = cluster.node(node).await?;
    let version = admin::commit_version(connection.version_of::<OffsetCommitRequest>()?);
    let request = admin::commit_request(group, committer, offsets);
    let answer = connection.start_request(&request, version, true).await?;
    let answer = answer.wait(cluster.settings().request_timeout).await?;
    Ok(admin::committed(answer.decode(connection.address())?))
}
