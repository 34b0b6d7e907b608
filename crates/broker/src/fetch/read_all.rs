//! Reads the partitions of a fetch in their order under the limits of bytes.

use super::answer::PartitionAnswer;
use super::parameters::FetchParameters;
use super::session::{PartitionKey, PartitionRequest, TopicKey};
use crate::leader_hints::LeaderHint;
use crate::partition::{Partition, PartitionRead, PartitionRegistry, ReadOrder};
use ottla_metadata::MetadataImage;
use ottla_protocol::ErrorCode;
use ottla_replication::{FetchPosition, FollowerFetch, ReplicaSelector};
use ottla_types::{BrokerId, LeaderEpoch, Offset, PartitionIndex, TopicId};
use std::sync::Arc;

/// What reading all partitions of a fetch has found.
pub(crate) struct Reads {
    pub(crate) answers: Vec<PartitionAnswer>,
    /// Partitions that were read without an error: an append to one of them can complete the fetch.
    pub(crate) watched: Vec<Arc<Partition>>,
    pub(crate) bytes: u64,
    /// Whether the answer must leave at once: an error or a divergence that the reader should know.
    pub(crate) is_urgent: bool,
}

/// Where partitions are looked up.
#[derive(Clone, Copy)]
pub(crate) struct Lookup<'a> {
    pub(crate) partitions: &'a PartitionRegistry,
    pub(crate) image: &'a MetadataImage,
    pub(crate) selector: ReplicaSelector,
}

/// Reads every partition. The first one with records gives at least one whole batch, whatever the limits say, so that
/// a reader with too small a limit makes progress.
pub(crate) fn read_all(
    lookup: Lookup<'_>,
    parameters: &FetchParameters,
    requests: &[(PartitionKey, PartitionRequest)],
) -> Reads {
    let mut reads =
        Reads { answers: Vec::with_capacity(requests.len()), watched: Vec::new(), bytes: 0, is_urgent: false };
    let mut refused = Vec::new();
    let mut left = i64::from(parameters.max_bytes);
    for (key, request) in requests {
        let (name, id, found) = lookup.find(key);
        let partition = match found {
            Ok(partition) => partition,
            Err(code) => {
                reads.is_urgent |= code == ErrorCode::NotLeaderOrFollower;
                let answer = PartitionAnswer::error(key.clone(), name, id, code);
                let is_elsewhere = code == ErrorCode::NotLeaderOrFollower && parameters.wants_hints();
                refused.push(if is_elsewhere { answer.with_leader(lookup.leader(id, key)) } else { answer });
                continue;
            }
        };
        let max_bytes = i64::from(request.partition_max_bytes).min(left);
        let order = ReadOrder {
            offset: request.fetch_offset,
            current_leader_epoch: request.current_leader_epoch,
            last_fetched_epoch: request.last_fetched_epoch,
            max_bytes: usize::try_from(max_bytes).unwrap_or(0),
            min_one_batch: reads.bytes == 0,
            bound: parameters.bound(),
            is_leader_only: parameters.is_leader_only(),
        };
        let read = if parameters.is_follower {
            partition.read_for_follower(order, follower_fetch(parameters, request))
        } else if let Some(replica) = lookup.other_replica(parameters, &partition, request.fetch_offset) {
            partition.read_elsewhere(order, replica)
        } else {
            partition.read(order)
        };
        let read = read.and_then(|read| match read {
            // Apache Kafka stumbles over a negative limit as soon as there is something to read.
            PartitionRead::Records(slice)
                if max_bytes < 0 && request.fetch_offset < parameters.bound().offset(&slice.offsets) =>
            {
                Err(ErrorCode::UnknownServerError)
            }
            read => Ok(read),
        });
        partition.metrics.add(|counters| &counters.fetch_requests, 1);
        if let Err(code) = read {
            partition.metrics.read_refused(code);
        }
        let answer = PartitionAnswer::of(key.clone(), &partition, read, parameters);
        let length = answer.records_length();
        reads.bytes += length as u64;
        left = (left - length as i64).max(0);
        reads.is_urgent |= answer.is_urgent();
        if !answer.has_error() {
            reads.watched.push(partition);
        }
        reads.answers.push(answer);
    }
    reads.is_urgent |= reads.answers.is_empty();
    // As in Apache Kafka, what is refused without being read stands behind everything else.
    reads.answers.append(&mut refused);
    reads
}

fn follower_fetch(parameters: &FetchParameters, request: &PartitionRequest) -> FollowerFetch {
    let said = |epoch: LeaderEpoch| (epoch != LeaderEpoch::NONE).then_some(epoch);
    FollowerFetch {
        replica: parameters.replica,
        broker_epoch: parameters.replica_epoch,
        position: FetchPosition {
            leader_epoch: said(request.current_leader_epoch),
            offset: request.fetch_offset,
            last_fetched_epoch: said(request.last_fetched_epoch),
        },
        log_start: request.log_start_offset,
    }
}

impl Lookup<'_> {
    /// Who leads a partition that has no replica here.
    fn leader(&self, id: TopicId, key: &PartitionKey) -> LeaderHint {
        LeaderHint::of_image(self.image.topics.topic(id).map(|topic| &**topic), PartitionIndex::new(key.partition))
    }

    /// The follower that a consumer should read from instead of here: one in its rack that it can reach (KIP-392).
    fn other_replica(&self, parameters: &FetchParameters, partition: &Partition, offset: Offset) -> Option<BrokerId> {
        if self.selector == ReplicaSelector::Leader || parameters.is_leader_only() {
            return None;
        }
        let rack_of = |id| {
            let broker = self.image.cluster.broker(id).filter(|broker| !broker.fenced)?;
            broker.endpoint(&parameters.listener)?;
            broker.rack.as_deref()
        };
        partition.read_replica(self.selector, &parameters.rack, offset, rack_of)
    }

    /// The partition that a key names, with the topic's name and id for the answer.
    fn find(&self, key: &PartitionKey) -> (Option<Arc<str>>, TopicId, Result<Arc<Partition>, ErrorCode>) {
        let index = PartitionIndex::new(key.partition);
        let (topic, unknown) = match &key.topic {
            TopicKey::Name(name) => (self.image.topics.topic_by_name(name), ErrorCode::UnknownTopicOrPartition),
            TopicKey::Id(id) => (self.image.topics.topic(*id), ErrorCode::UnknownTopicId),
        };
        let Some(topic) = topic else {
            return match &key.topic {
                TopicKey::Name(name) => (Some(name.clone()), TopicId::ZERO, Err(unknown)),
                TopicKey::Id(id) => (None, *id, Err(unknown)),
            };
        };
        let hosted = self.partitions.topic_by_id(topic.id).and_then(|entry| entry.partition(index));
        let found = hosted.ok_or(match topic.partitions.get(&index) {
            Some(_) => ErrorCode::NotLeaderOrFollower,
            None => ErrorCode::UnknownTopicOrPartition,
        });
        (Some(topic.name.clone()), topic.id, found)
    }
}
