//! The records of `__transaction_state`: bytes as Apache Kafka 4.4 writes them.
//!
//! A key begins with a two-byte record type, a value with a two-byte version.

use crate::{Transaction, TransactionState, TransactionVersion};
use bytes::{BufMut, Bytes, BytesMut};
use ottla_protocol::transaction_records::transaction_log_value::PartitionsSchema;
use ottla_protocol::transaction_records::{TransactionLogKey, TransactionLogValue};
use ottla_protocol::{DecodeError, EncodeError, Message};
use ottla_types::{PartitionIndex, ProducerEpoch, ProducerId, Timestamp, TopicPartition};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The only type of record.
const TRANSACTION: i16 = 0;

/// One record of the log: what is known of a transactional id from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionRecord {
    /// The transactional id.
    pub transactional_id: Arc<str>,
    /// What is known of it; `None` is a tombstone.
    pub value: Option<Transaction>,
    /// The version that the value is written in.
    pub value_version: i16,
}

/// What a key and value turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// A record that the machine replays.
    Record(TransactionRecord),
    /// A record of a type that no known release writes. It is passed over, as in Kafka.
    UnknownType(i16),
}

/// A record that can't be read. Nothing may be built upon a log that holds one.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// There is no key.
    #[error("a record has no key")]
    NoKey,
    /// The key or the value ends before its two-byte type or version.
    #[error("the {0} ends before its type")]
    NoType(&'static str),
    /// The value has a version that is not known.
    #[error("the value of a transaction has the unknown version {0}")]
    UnknownValueVersion(i16),
    /// The value names a state that is not known.
    #[error("the value of a transaction has the unknown state {0}")]
    UnknownState(i8),
    /// The bytes are not those of the record.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
}

/// Encodes a record: the key, and the value unless it is a tombstone. Fails when a text is too long for the format.
pub fn encode(record: &TransactionRecord) -> Result<(Bytes, Option<Bytes>), EncodeError> {
    let key = TransactionLogKey { transactional_id: record.transactional_id.to_string() };
    let version = record.value_version;
    let value = record.value.as_ref().map(|transaction| prefixed(version, &to_message(transaction, version), version));
    Ok((prefixed(TRANSACTION, &key, 0)?, value.transpose()?))
}

/// Reads a record of the log.
pub fn decode(key: Option<&[u8]>, value: Option<&[u8]>) -> Result<Decoded, RecordError> {
    let (record_type, body) = split(key.ok_or(RecordError::NoKey)?, "key")?;
    if record_type != TRANSACTION {
        return Ok(Decoded::UnknownType(record_type));
    }
    let key = TransactionLogKey::decode(body, 0)?;
    let mut record = TransactionRecord {
        transactional_id: key.transactional_id.into(),
        value: None,
        value_version: TransactionVersion::default().record_version(),
    };
    if let Some(value) = value {
        let (version, body) = split(value, "value")?;
        if !TransactionLogValue::VERSIONS.contains(version) {
            return Err(RecordError::UnknownValueVersion(version));
        }
        record.value = Some(from_message(TransactionLogValue::decode(body, version)?)?);
        record.value_version = version;
    }
    Ok(Decoded::Record(record))
}

fn to_message(transaction: &Transaction, version: i16) -> TransactionLogValue {
    let has_tags = version >= 1;
    let tagged = |producer_id: ProducerId| if has_tags { producer_id.value() } else { -1 };
    let is_empty = transaction.state == TransactionState::Empty;
    TransactionLogValue {
        producer_id: transaction.producer_id.value(),
        previous_producer_id: tagged(transaction.previous_producer_id),
        next_producer_id: tagged(transaction.next_producer_id),
        producer_epoch: transaction.producer_epoch.value(),
        transaction_timeout_ms: transaction.timeout_ms,
        transaction_status: transaction.state.id(),
        transaction_partitions: (!is_empty).then(|| by_topic(&transaction.partitions)),
        transaction_last_update_timestamp_ms: transaction.last_update_timestamp.value(),
        transaction_start_timestamp_ms: transaction.start_timestamp.value(),
        client_transaction_version: if has_tags { transaction.client_version.level() } else { 0 },
        ..Default::default()
    }
}

fn from_message(value: TransactionLogValue) -> Result<Transaction, RecordError> {
    let state = TransactionState::from_id(value.transaction_status)
        .ok_or(RecordError::UnknownState(value.transaction_status))?;
    let mut partitions = BTreeSet::new();
    for topic in value.transaction_partitions.into_iter().flatten() {
        let name: Arc<str> = topic.topic.into();
        partitions.extend(topic.partition_ids.into_iter().map(|index| TopicPartition::new(name.clone(), index)));
    }
    Ok(Transaction {
        producer_id: ProducerId::new(value.producer_id),
        previous_producer_id: ProducerId::new(value.previous_producer_id),
        next_producer_id: ProducerId::new(value.next_producer_id),
        producer_epoch: ProducerEpoch(value.producer_epoch),
        last_producer_epoch: ProducerEpoch::NONE,
        timeout_ms: value.transaction_timeout_ms,
        state,
        partitions,
        start_timestamp: Timestamp(value.transaction_start_timestamp_ms),
        last_update_timestamp: Timestamp(value.transaction_last_update_timestamp_ms),
        client_version: TransactionVersion::from_level(value.client_transaction_version),
    })
}

/// The partitions of each topic together.
pub(crate) fn grouped(partitions: &BTreeSet<TopicPartition>) -> Vec<(Arc<str>, Vec<PartitionIndex>)> {
    let mut topics: Vec<(Arc<str>, Vec<PartitionIndex>)> = Vec::new();
    for partition in partitions {
        match topics.last_mut() {
            Some((topic, indexes)) if *topic == partition.topic => indexes.push(partition.partition),
            _ => topics.push((partition.topic.clone(), vec![partition.partition])),
        }
    }
    topics
}

fn by_topic(partitions: &BTreeSet<TopicPartition>) -> Vec<PartitionsSchema> {
    let topics = grouped(partitions).into_iter().map(|(topic, indexes)| PartitionsSchema {
        topic: topic.to_string(),
        partition_ids: indexes.into_iter().map(PartitionIndex::value).collect(),
        ..Default::default()
    });
    topics.collect()
}

fn split<'a>(bytes: &'a [u8], what: &'static str) -> Result<(i16, &'a [u8]), RecordError> {
    let (number, body) = bytes.split_first_chunk::<2>().ok_or(RecordError::NoType(what))?;
    Ok((i16::from_be_bytes(*number), body))
}

fn prefixed<M: Message>(prefix: i16, message: &M, version: i16) -> Result<Bytes, EncodeError> {
    let body = message.to_bytes(version)?;
    let mut bytes = BytesMut::with_capacity(2 + body.len());
    bytes.put_i16(prefix);
    bytes.put_slice(&body);
    Ok(bytes.freeze())
}
