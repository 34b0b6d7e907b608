use super::sender::{Sent, Shared};
use super::transaction::{Identity, Severity, Transaction, TransactionVersion, severity_of_call};
use crate::admin::{OffsetAndMetadata, by_topic};
use crate::cluster::{Answered, Cluster, Coordinated, Retry, is_stale};
use crate::consumer::ConsumerGroupMetadata;
use crate::error::{ClientError, Result, check};
use crate::network::{Connection, PendingAnswer};
use bytes::Bytes;
use ottla_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use ottla_protocol::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use ottla_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use ottla_protocol::messages::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse,
    EndTxnRequest, EndTxnResponse, InitProducerIdRequest, InitProducerIdResponse, TxnOffsetCommitRequest,
    TxnOffsetCommitResponse,
};
use ottla_protocol::{ErrorCode, RecordSet};
use ottla_types::{ProducerEpoch, ProducerId, TopicPartition};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// The last version of Produce in which sending to a partition does not make it take part in the transaction.
const BEFORE_VERSION_TWO: i16 = 11;

/// Writes a Produce request to the connection; requests to one node must be started in order.
pub(super) async fn start_produce(shared: &Shared, connection: &Arc<Connection>, sent: &Sent) -> Result<PendingAnswer> {
    let metadata = shared.cluster.metadata();
    let mut version = connection.version_of::<ProduceRequest>()?;
    let topic_id = |name: &str| metadata.topic(name).map(|topic| topic.id).filter(|id| !id.is_zero());
    let state = shared.accumulator.lock().transaction.as_ref().map(Transaction::version);
    if state == Some(TransactionVersion::One) {
        version = version.min(BEFORE_VERSION_TWO);
    }
    // From version 13 on topics are named by their ids alone (KIP-516).
    if sent.iter().any(|(partition, _)| topic_id(&partition.topic).is_none()) {
        version = version.min(12);
    }
    let mut topics = BTreeMap::<&str, Vec<PartitionProduceData>>::new();
    for (partition, batch) in sent {
        let records: Bytes = batch.bytes.clone();
        topics.entry(&partition.topic).or_default().push(PartitionProduceData {
            index: partition.partition.value(),
            records: RecordSet::Bytes(records),
            ..Default::default()
        });
    }
    let topic = |(name, partition_data): (&str, _)| TopicProduceData {
        name: if version < 13 { name.to_owned() } else { String::new() },
        topic_id: topic_id(name).filter(|_| version >= 13).unwrap_or_default(),
        partition_data,
        ..Default::default()
    };
    let request = ProduceRequest {
        transactional_id: shared.settings.transactional_id.clone(),
        acks: shared.settings.acks.code(),
        timeout_ms: i32::try_from(shared.settings.client.request_timeout.as_millis()).unwrap_or(i32::MAX),
        topic_data: topics.into_iter().map(topic).collect(),
        ..Default::default()
    };
    connection.start_request(&request, version, shared.settings.acks.code() != 0).await
}

/// Asks for a producer id without transactions.
pub(super) async fn init_producer_id(cluster: &Cluster) -> Result<ProducerId> {
    let request =
        InitProducerIdRequest { transactional_id: None, transaction_timeout_ms: i32::MAX, ..Default::default() };
    let response = cluster.call_any(&request).await?;
    check(response.error_code)?;
    Ok(ProducerId(response.producer_id))
}

/// What names one producer's transactions to a coordinator.
pub(super) struct Transactional<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) id: &'a str,
    pub(super) version: TransactionVersion,
}

impl Transactional<'_> {
    fn coordinator(&self) -> Coordinated<'_> {
        Coordinated::by_transactional_id(self.id)
    }

    /// The newest version of a request that exists in both versions of transactions: `before` in the older.
    fn version_max(&self, before: i16) -> i16 {
        if self.version == TransactionVersion::One { before } else { i16::MAX }
    }

    /// Asks for an identity: a new one, or for `current` its next epoch. Also answers whether the coordinator gives
    /// further epochs to a producer that goes on.
    pub(super) async fn init_producer_id(
        &self,
        retry: &mut Retry,
        timeout: Duration,
        current: Option<Identity>,
    ) -> Result<(Identity, bool)> {
        /// From this version on the request names the producer that goes on.
        const NAMES_PRODUCER_SINCE: i16 = 3;
        let build = |_: i16| {
            let request = InitProducerIdRequest {
                transactional_id: Some(self.id.to_owned()),
                transaction_timeout_ms: i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX),
                ..Default::default()
            };
            match current {
                Some(Identity { id, epoch }) => {
                    InitProducerIdRequest { producer_id: id.value(), producer_epoch: epoch.value(), ..request }
                }
                None => request,
            }
        };
        let judge = |response: InitProducerIdResponse, answered: Answered| {
            check(response.error_code)?;
            let (id, epoch) = (ProducerId(response.producer_id), ProducerEpoch(response.producer_epoch));
            Ok((Identity { id, epoch }, answered.version >= NAMES_PRODUCER_SINCE))
        };
        self.cluster.at_coordinator(&self.coordinator(), retry, build, judge).await
    }

    /// Tells the coordinator of partitions; one try.
    pub(super) async fn add_partitions(
        &self,
        retry: &mut Retry,
        identity: Identity,
        partitions: &BTreeSet<TopicPartition>,
    ) -> Result<()> {
        /// Newer versions are for brokers, which ask for many producers at once.
        const CLIENT_VERSION_MAX: i16 = 3;
        let topic =
            |(name, partitions): (String, Vec<i32>)| AddPartitionsToTxnTopic { name, partitions, ..Default::default() };
        let build = |_: i16| AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: self.id.to_owned(),
            v3_and_below_producer_id: identity.id.value(),
            v3_and_below_producer_epoch: identity.epoch.value(),
            v3_and_below_topics: by_topic(partitions.iter()).into_iter().map(topic).collect(),
            ..Default::default()
        };
        let judge = |response: AddPartitionsToTxnResponse, _| {
            let topics = response.results_by_topic_v3_and_below.into_iter();
            let codes = topics.flat_map(|topic| topic.results_by_partition).map(|result| result.partition_error_code);
            worst_of(codes).map_or(Ok(()), Err)
        };
        let to = self.coordinator().up_to(CLIENT_VERSION_MAX);
        self.cluster.try_coordinator(&to, retry, build, judge).await
    }

    /// Makes offsets of a group part of the transaction.
    pub(super) async fn send_offsets(
        &self,
        retry: &mut Retry,
        identity: Identity,
        offsets: &BTreeMap<TopicPartition, OffsetAndMetadata>,
        group: &ConsumerGroupMetadata,
    ) -> Result<()> {
        if self.version == TransactionVersion::One {
            self.add_offsets(retry, identity, group).await?;
        }
        /// The last version that needs AddOffsetsToTxn before it, and the last that names topics by their names.
        const BEFORE_VERSION_TWO: i16 = 4;
        const NAMES_MAX: i16 = 5;
        /// From this version on the request names the member that commits, so that one that lost its place is refused.
        const NAMES_MEMBER_SINCE: i16 = 3;
        let build = |version: i16| {
            let request = TxnOffsetCommitRequest {
                transactional_id: self.id.to_owned(),
                group_id: group.group_id.clone(),
                producer_id: identity.id.value(),
                producer_epoch: identity.epoch.value(),
                topics: offset_topics(offsets),
                ..Default::default()
            };
            if version < NAMES_MEMBER_SINCE {
                return request;
            }
            TxnOffsetCommitRequest {
                generation_id_or_member_epoch: group.generation,
                member_id: group.member_id.clone(),
                group_instance_id: group.instance_id.clone(),
                ..request
            }
        };
        let judge = |response: TxnOffsetCommitResponse, _| {
            let partitions = response.topics.into_iter().flat_map(|topic| topic.partitions);
            worst_of(partitions.map(|partition| partition.error_code)).map_or(Ok(()), Err)
        };
        let version_max = self.version_max(BEFORE_VERSION_TWO).min(NAMES_MAX);
        let to = Coordinated::by_group(&group.group_id).up_to(version_max);
        self.cluster.at_coordinator(&to, retry, build, judge).await
    }

    async fn add_offsets(&self, retry: &mut Retry, identity: Identity, group: &ConsumerGroupMetadata) -> Result<()> {
        let build = |_: i16| AddOffsetsToTxnRequest {
            transactional_id: self.id.to_owned(),
            producer_id: identity.id.value(),
            producer_epoch: identity.epoch.value(),
            group_id: group.group_id.clone(),
            ..Default::default()
        };
        let judge = |response: AddOffsetsToTxnResponse, _| check(response.error_code);
        self.cluster.at_coordinator(&self.coordinator(), retry, build, judge).await
    }

    /// Ends the transaction. Answers with the identity of the next, where the coordinator gives one.
    pub(super) async fn end(&self, retry: &mut Retry, identity: Identity, committed: bool) -> Result<Option<Identity>> {
        const BEFORE_VERSION_TWO: i16 = 4;
        let build = |_: i16| EndTxnRequest {
            transactional_id: self.id.to_owned(),
            producer_id: identity.id.value(),
            producer_epoch: identity.epoch.value(),
            committed,
            ..Default::default()
        };
        let judge = |response: EndTxnResponse, _| {
            check(response.error_code)?;
            let next = Identity { id: ProducerId(response.producer_id), epoch: ProducerEpoch(response.producer_epoch) };
            Ok((response.producer_id >= 0).then_some(next))
        };
        let to = self.coordinator().up_to(self.version_max(BEFORE_VERSION_TWO));
        self.cluster.at_coordinator(&to, retry, build, judge).await
    }
}

fn offset_topics(offsets: &BTreeMap<TopicPartition, OffsetAndMetadata>) -> Vec<TxnOffsetCommitRequestTopic> {
    let mut topics = BTreeMap::<String, Vec<_>>::new();
    for (partition, offset) in offsets {
        topics.entry(partition.topic.to_string()).or_default().push(TxnOffsetCommitRequestPartition {
            partition_index: partition.partition.value(),
            committed_offset: offset.offset,
            committed_leader_epoch: offset.leader_epoch.unwrap_or(-1),
            committed_metadata: Some(offset.metadata.clone()),
            ..Default::default()
        });
    }
    let topic = |(name, partitions)| TxnOffsetCommitRequestTopic { name, partitions, ..Default::default() };
    topics.into_iter().map(topic).collect()
}

/// Of the errors of several partitions the one that counts: the fatal before the abortable, the abortable before one
/// that may pass. Among the abortable, one that has a reason of its own before one that only followed.
fn worst_of(codes: impl Iterator<Item = i16>) -> Option<ClientError> {
    let weight = |error: &ClientError| match error.code() {
        _ if error.is_retriable() && !error.is(ErrorCode::UnknownTopicOrPartition) => 0,
        _ if error.is_retriable() || is_stale(error) => 1,
        Some(ErrorCode::OperationNotAttempted) => 2,
        _ if severity_of_call(error) == Severity::Abortable => 3,
        _ => 4,
    };
    codes.filter_map(ClientError::of_code).max_by_key(weight)
}
