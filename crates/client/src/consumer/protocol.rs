//! The bytes that members of a classic consumer group exchange, as Apache Kafka's clients write them.

use super::assignor::{Assignment, Assignor, Member};
use crate::admin::decode_subscription;
use crate::error::Result;
use bytes::{BufMut, Bytes, BytesMut};
use ottla_protocol::Message;
use ottla_protocol::consumer_protocol::{ConsumerProtocolAssignment, ConsumerProtocolSubscription};
use ottla_protocol::consumer_protocol::{consumer_protocol_assignment, consumer_protocol_subscription};
use ottla_types::TopicPartition;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The version that Apache Kafka's clients write.
const VERSION: i16 = 3;

/// What a member tells the leader.
pub(super) fn subscription(
    assignor: Assignor,
    topics: &BTreeSet<String>,
    owned: &BTreeSet<TopicPartition>,
    generation: i32,
    rack: &str,
) -> Result<Bytes> {
    let owned = by_topic(owned)
        .into_iter()
        .map(|(topic, partitions)| consumer_protocol_subscription::TopicPartition { topic, partitions });
    let subscription = ConsumerProtocolSubscription {
        topics: topics.iter().cloned().collect(),
        user_data: assignor.user_data(generation).map(Bytes::from),
        owned_partitions: owned.collect(),
        generation_id: generation,
        rack_id: (!rack.is_empty()).then(|| rack.to_owned()),
    };
    versioned(&subscription)
}

/// What the leader tells a member.
pub(super) fn assignment(partitions: &BTreeSet<TopicPartition>) -> Result<Bytes> {
    let assigned = by_topic(partitions)
        .into_iter()
        .map(|(topic, partitions)| consumer_protocol_assignment::TopicPartition { topic, partitions });
    versioned(&ConsumerProtocolAssignment { assigned_partitions: assigned.collect(), user_data: None })
}

/// A member as the leader sees it.
pub(super) fn member(member_id: String, instance_id: Option<String>, metadata: &[u8]) -> Result<Member> {
    let subscription = decode_subscription(metadata)?;
    let mut owned = BTreeSet::new();
    for topic in subscription.owned_partitions {
        let name: Arc<str> = topic.topic.into();
        owned.extend(topic.partitions.into_iter().map(|index| TopicPartition::new(name.clone(), index)));
    }
    // Before version 2 the generation stands in the user data of the cooperative assignor alone.
    let in_user_data = subscription.user_data.as_deref().and_then(|data| data.first_chunk::<4>().copied());
    let generation = match subscription.generation_id {
        -1 => in_user_data.map_or(-1, i32::from_be_bytes),
        generation => generation,
    };
    Ok(Member { member_id, instance_id, topics: subscription.topics.into_iter().collect(), owned, generation })
}

/// All members' assignments, encoded.
pub(super) fn assignments(assignment_of: &Assignment) -> Result<Vec<(String, Bytes)>> {
    assignment_of.iter().map(|(member, partitions)| Ok((member.clone(), assignment(partitions)?))).collect()
}

fn versioned<M: Message>(message: &M) -> Result<Bytes> {
    let body = message.to_bytes(VERSION)?;
    let mut bytes = BytesMut::with_capacity(2 + body.len());
    bytes.put_i16(VERSION);
    bytes.extend_from_slice(&body);
    Ok(bytes.freeze())
}

fn by_topic(partitions: &BTreeSet<TopicPartition>) -> BTreeMap<String, Vec<i32>> {
    crate::admin::by_topic(partitions.iter())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::decode_assignment;

    fn owned() -> BTreeSet<TopicPartition> {
        [("t", 0), ("t", 2), ("u", 1)].into_iter().map(|(topic, index)| TopicPartition::new(topic, index)).collect()
    }

    #[test]
    fn a_subscription_reads_back_as_the_member_it_is_about() {
        let topics = BTreeSet::from(["t".to_owned(), "u".to_owned()]);
        let bytes = subscription(Assignor::CooperativeSticky, &topics, &owned(), 7, "").unwrap();
        let member = member("m".to_owned(), None, &bytes).unwrap();
        assert_eq!((member.topics, member.owned, member.generation), (topics, owned(), 7));
    }

    #[test]
    fn the_bytes_are_those_of_the_java_client() {
        // ConsumerProtocol.serializeSubscription of the pinned release: topic "t", no user data, nothing owned.
        let topics = BTreeSet::from(["t".to_owned()]);
        let bytes = subscription(Assignor::Range, &topics, &BTreeSet::new(), -1, "").unwrap();
        let expected = b"\0\x03\0\0\0\x01\0\x01t\xff\xff\xff\xff\0\0\0\0\xff\xff\xff\xff\xff\xff";
        assert_eq!(&bytes[..], expected);
    }

    #[test]
    fn an_assignment_reads_back_and_an_absent_one_is_empty() {
        assert_eq!(decode_assignment(&assignment(&owned()).unwrap()).unwrap(), owned());
        assert_eq!(decode_assignment(b"").unwrap(), BTreeSet::new());
    }

    #[test]
    fn a_subscription_of_an_older_client_is_read() {
        // Version 0: topics and user data alone.
        let member = member("m".to_owned(), None, b"\0\0\0\0\0\x01\0\x01t\0\0\0\0").unwrap();
        assert_eq!(member.topics, BTreeSet::from(["t".to_owned()]));
        assert_eq!(member.generation, -1);
    }
}
