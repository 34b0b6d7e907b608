use crate::broker::Broker;
use crate::call::{Call, Caller, Reply};
use crate::internal_topics::CONSUMER_OFFSETS;
use crate::transactions::{Confirmation, Refused, TransactionPart, confirm, needs_confirmation};
use ottla_groups::{Request, Response};
use ottla_metadata::MetadataImage;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use ottla_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use ottla_protocol::messages::{TxnOffsetCommitRequest, TxnOffsetCommitResponse};
use ottla_types::{PartitionIndex, ProducerEpoch, ProducerId, TopicPartition};
use std::sync::Arc;

/// From this version on a client bears that a coordinator is loading.
const KNOWS_LOADING: i16 = 2;
/// From this version on topics are named by their ids.
const TOPIC_IDS: i16 = 6;

/// TxnOffsetCommit: offsets that come into force with a transaction. The transaction's coordinator must know of the
/// partition that they are kept in, or adds it; then they are a matter of the group's coordinator.
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let Some((mut request, caller, reply)) = call.decode::<TxnOffsetCommitRequest>() else { return };
    let image = broker.metadata.image();
    let uses_ids = caller.version() >= TOPIC_IDS;
    let mut refused = TxnOffsetCommitResponse::default();
    for topic in core::mem::take(&mut request.topics) {
        request.topics.extend(existing(&image, topic, uses_ids, &mut refused));
    }
    if request.topics.is_empty() {
        return reply.send(&refused);
    }
    let commit = Commit { request, refused, caller, reply };
    match unconfirmed(broker, &commit) {
        Ok(None) => commit.submit(broker),
        Err(code) => commit.refuse(code),
        Ok(Some(part)) => {
            let confirmation = commit.confirmation();
            let going_on = broker.clone();
            let then = Box::new(move |refused: Refused| match refused.into_values().next() {
                None => commit.submit(&going_on),
                Some(code) => commit.refuse(code),
            });
            confirm(broker, part, confirmation, then);
        }
    }
}

struct Commit {
    request: TxnOffsetCommitRequest,
    refused: TxnOffsetCommitResponse,
    caller: Caller,
    reply: Reply,
}

impl Commit {
    /// What a client of this version needs done.
    fn confirmation(&self) -> Confirmation {
        match self.caller.version() {
            ..=3 => Confirmation::Verify,
            4 => Confirmation::VerifyAbortable,
            _ => Confirmation::Add,
        }
    }

    fn submit(self, broker: &Broker) {
        let Self { request, refused, caller, reply } = self;
        let version = caller.version();
        let group_id = request.group_id.clone();
        let reply_to = Box::new(move |response| match response {
            Response::TxnOffsetCommit(response) => send(reply, version, response, refused),
            _ => reply.close("a group answered another question"),
        });
        broker.groups.submit(&caller, &group_id, Request::TxnOffsetCommit(request), reply_to);
    }

    /// Answers for the group what the transaction's coordinator has said.
    fn refuse(self, code: ErrorCode) {
        // Older clients know no other way to ask the same coordinator again.
        let code = if code == ErrorCode::NetworkException { ErrorCode::CoordinatorLoadInProgress } else { code };
        let mut response = TxnOffsetCommitResponse::default();
        for topic in self.request.topics {
            let partitions = topic.partitions.clone();
            refuse(&mut response, &topic, partitions, code);
        }
        send(self.reply, self.caller.version(), response, self.refused);
    }
}

/// What the coordinator must confirm before the group's log is written to; nothing when the transaction is open in it.
fn unconfirmed(broker: &Broker, commit: &Commit) -> Result<Option<TransactionPart>, ErrorCode> {
    let request = &commit.request;
    let verifies = broker.config().transactions.transaction_partition_verification_enable;
    if request.group_id.is_empty() || !verifies && commit.confirmation() != Confirmation::Add {
        return Ok(None);
    }
    // Whoever is not the coordinator says so as such.
    let Some(index) = broker.groups.partition_for(&request.group_id) else { return Ok(None) };
    let Ok(partition) = broker.partition(CONSUMER_OFFSETS, index) else { return Ok(None) };
    if !partition.leadership().is_leader {
        return Ok(None);
    }
    let producer_id = ProducerId::new(request.producer_id);
    let producer_epoch = ProducerEpoch(request.producer_epoch);
    let must_confirm = needs_confirmation(&partition, producer_id, producer_epoch)?;
    Ok(must_confirm.then(|| TransactionPart {
        transactional_id: request.transactional_id.as_str().into(),
        producer_id,
        producer_epoch,
        partitions: [TopicPartition::new(CONSUMER_OFFSETS, index)].into(),
    }))
}

/// The part of a topic's commit that concerns partitions which exist; the rest goes to `refused`.
fn existing(
    image: &MetadataImage,
    mut topic: TxnOffsetCommitRequestTopic,
    uses_ids: bool,
    refused: &mut TxnOffsetCommitResponse,
) -> Option<TxnOffsetCommitRequestTopic> {
    let known = if uses_ids { image.topics.topic(topic.topic_id) } else { image.topics.topic_by_name(&topic.name) };
    let Some(known) = known else {
        let code = if uses_ids { ErrorCode::UnknownTopicId } else { ErrorCode::UnknownTopicOrPartition };
        let partitions = core::mem::take(&mut topic.partitions);
        refuse(refused, &topic, partitions, code);
        return None;
    };
    topic.name = known.name.to_string();
    topic.topic_id = known.id;
    let exists = |partition: &TxnOffsetCommitRequestPartition| {
        known.partitions.get(&PartitionIndex::new(partition.partition_index)).is_some()
    };
    let (good, bad): (Vec<_>, Vec<_>) = core::mem::take(&mut topic.partitions).into_iter().partition(exists);
    if !bad.is_empty() {
        refuse(refused, &topic, bad, ErrorCode::UnknownTopicOrPartition);
    }
    topic.partitions = good;
    (!topic.partitions.is_empty()).then_some(topic)
}

fn refuse(
    refused: &mut TxnOffsetCommitResponse,
    topic: &TxnOffsetCommitRequestTopic,
    partitions: Vec<TxnOffsetCommitRequestPartition>,
    code: ErrorCode,
) {
    let partitions = partitions.into_iter().map(|partition| TxnOffsetCommitResponsePartition {
        partition_index: partition.partition_index,
        error_code: code.code(),
        ..Default::default()
    });
    refused.topics.push(TxnOffsetCommitResponseTopic {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partitions: partitions.collect(),
        ..Default::default()
    });
}

/// Answers with what the group has said and what was refused; the partitions of one topic stand together.
fn send(reply: Reply, version: i16, mut response: TxnOffsetCommitResponse, refused: TxnOffsetCommitResponse) {
    for topic in refused.topics {
        let same =
            response.topics.iter_mut().find(|other| other.name == topic.name && other.topic_id == topic.topic_id);
        match same {
            Some(other) => other.partitions.extend(topic.partitions),
            None => response.topics.push(topic),
        }
    }
    if version < KNOWS_LOADING {
        for partition in response.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
            if partition.error_code == ErrorCode::CoordinatorLoadInProgress.code() {
                partition.error_code = ErrorCode::CoordinatorNotAvailable.code();
            }
        }
    }
    reply.send(&response);
}
