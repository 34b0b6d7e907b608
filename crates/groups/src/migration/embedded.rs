//! What consumers of the classic protocol say in bytes that only they and their leader understand, as a rule: subscriptions and
//! assignments, each with its version before it.

use crate::consumer::Partitions;
use crate::java::{Table, sort_as_hash_table, uuid_hash};
use crate::record::prefixed;
use crate::view::ClusterView;
use bytes::Bytes;
use ottla_protocol::consumer_protocol::consumer_protocol_assignment::TopicPartition;
use ottla_protocol::consumer_protocol::{ConsumerProtocolAssignment, ConsumerProtocolSubscription};
use ottla_protocol::{Message, Reader};
use ottla_types::TopicId;
use std::collections::BTreeSet;

/// Bytes that are not those of a consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// A consumer's subscription. A later version than is known here only has more fields at its end.
pub(crate) fn subscription_of(bytes: &[u8]) -> Result<ConsumerProtocolSubscription, Malformed> {
    decoded(bytes)
}

/// A consumer's assignment.
pub(crate) fn assignment_of(bytes: &[u8]) -> Result<ConsumerProtocolAssignment, Malformed> {
    decoded(bytes)
}

fn decoded<M: Message>(bytes: &[u8]) -> Result<M, Malformed> {
    let (version, body) = bytes.split_first_chunk::<2>().ok_or(Malformed)?;
    let version = known_version::<M>(i16::from_be_bytes(*version))?;
    M::decode_from(&mut Reader::new(body), version).map_err(|_| Malformed)
}

fn known_version<M: Message>(version: i16) -> Result<i16, Malformed> {
    if version < M::VERSIONS.min { Err(Malformed) } else { Ok(version.min(M::VERSIONS.max)) }
}

/// Partitions as an assignment, in the version of the member's subscription. Topics that are gone are left out; the others come
/// in the order in which Kafka's hash tables list them.
pub(crate) fn assignment_bytes(
    partitions: &Partitions,
    subscription: &[u8],
    view: &dyn ClusterView,
) -> Result<Bytes, Malformed> {
    let version = subscription.first_chunk::<2>().ok_or(Malformed)?;
    let version = known_version::<ConsumerProtocolAssignment>(i16::from_be_bytes(*version))?;
    let mut topics: Vec<(&TopicId, &BTreeSet<i32>)> = partitions.iter().collect();
    sort_as_hash_table(&mut topics, Table::Grown, |(topic_id, _)| uuid_hash(**topic_id));
    let topic = |(topic_id, partitions): (&TopicId, &BTreeSet<i32>)| {
        let mut partitions: Vec<i32> = partitions.iter().copied().collect();
        sort_as_hash_table(&mut partitions, Table::Copied, |partition| *partition);
        Some(TopicPartition { topic: view.topic_by_id(*topic_id)?.name.to_string(), partitions })
    };
    let assigned_partitions = topics.into_iter().filter_map(topic).collect();
    let assignment = ConsumerProtocolAssignment { assigned_partitions, ..Default::default() };
    prefixed(version, &assignment, version).map_err(|_| Malformed)
}
