//! What consumers of the classic protocol say in bytes: subscriptions and assignments, as texts of base64.

use crate::raw::{base64, unbase64};
use ottla_protocol::consumer_protocol::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, consumer_protocol_assignment,
    consumer_protocol_subscription,
};
use ottla_protocol::{EncodeError, Message, Reader};
use std::collections::BTreeMap;

/// Partitions by the names of their topics.
pub type Partitions = BTreeMap<String, Vec<i32>>;

/// The version that is written.
const VERSION: i16 = 3;

/// The subscription to these topics of a consumer that has these partitions.
///
/// # Errors
/// When a name is too long.
pub fn subscription(topics: &[&str], owned: &Partitions) -> Result<String, EncodeError> {
    let owned = owned.iter().map(|(topic, partitions)| consumer_protocol_subscription::TopicPartition {
        topic: topic.clone(),
        partitions: partitions.clone(),
    });
    let topics = topics.iter().map(|topic| (*topic).to_owned()).collect();
    encoded(&ConsumerProtocolSubscription { topics, owned_partitions: owned.collect(), ..Default::default() })
}

/// An assignment of these partitions.
///
/// # Errors
/// When a name is too long.
pub fn assignment(partitions: &Partitions) -> Result<String, EncodeError> {
    let assigned = partitions.iter().map(|(topic, partitions)| consumer_protocol_assignment::TopicPartition {
        topic: topic.clone(),
        partitions: partitions.clone(),
    });
    encoded(&ConsumerProtocolAssignment { assigned_partitions: assigned.collect(), ..Default::default() })
}

fn encoded(message: &impl Message) -> Result<String, EncodeError> {
    let mut bytes = VERSION.to_be_bytes().to_vec();
    bytes.extend(message.to_bytes(VERSION)?);
    Ok(base64(&bytes))
}

/// The partitions of an assignment; none if it is none.
pub fn assigned(text: &str) -> Partitions {
    let bytes = unbase64(text);
    let body = bytes.get(2..).unwrap_or_default();
    let assignment = ConsumerProtocolAssignment::decode_from(&mut Reader::new(body), 0).unwrap_or_default();
    assignment.assigned_partitions.into_iter().map(|topic| (topic.topic, topic.partitions)).collect()
}
