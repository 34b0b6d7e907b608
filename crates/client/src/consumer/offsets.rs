use crate::admin::{self, OffsetAndMetadata};
use crate::cluster::{Answered, Cluster, Coordinated, may_pass};
use crate::consumer::ConsumerGroupMetadata;
use crate::error::Result;
use ottla_protocol::messages::OffsetCommitResponse;
use ottla_types::TopicPartition;
use std::collections::{BTreeMap, BTreeSet};

/// The committed offsets of a group, of these partitions or of all with `None`.
pub(crate) async fn fetch_offsets(
    cluster: &Cluster,
    group: &str,
    partitions: Option<&BTreeSet<TopicPartition>>,
) -> Result<BTreeMap<TopicPartition, OffsetAndMetadata>> {
    let mut retry = cluster.retry();
    let to = Coordinated::by_group(group).up_to(admin::FETCH_VERSION_MAX);
    let build = |version| admin::fetch_request(group, partitions, version);
    let judge = |response, answered: Answered| admin::fetched(response, answered.version);
    cluster.at_coordinator(&to, &mut retry, build, judge).await
}

/// Commits offsets of a group. Each partition has a result of its own; while one of them has an error that may pass, all
/// are committed again. The committer is asked each time: a member of the consumer protocol may have got another epoch.
pub(crate) async fn commit_offsets(
    cluster: &Cluster,
    committer: impl Fn() -> ConsumerGroupMetadata,
    offsets: &BTreeMap<TopicPartition, OffsetAndMetadata>,
) -> Result<BTreeMap<TopicPartition, Result<()>>> {
    let mut retry = cluster.retry();
    let group = committer().group_id;
    let to = Coordinated::by_group(&group).up_to(admin::COMMIT_VERSION_MAX);
    let build = |_: i16| admin::commit_request(&committer(), offsets);
    // What the partitions were answered the last time, for when the time is over.
    let mut last = None;
    let judge = |response: OffsetCommitResponse, _| {
        let results = admin::committed(response);
        match results.values().find_map(|result| result.as_ref().err().filter(|error| may_pass(error)).cloned()) {
            Some(error) => {
                last = Some(results);
                Err(error)
            }
            None => Ok(results),
        }
    };
    let committed = cluster.at_coordinator(&to, &mut retry, build, judge).await;
    committed.or_else(|error| last.ok_or(error))
}
