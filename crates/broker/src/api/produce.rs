mod behind;
mod repeated;

use crate::broker::Broker;
use crate::call::{Call, Reply};
use crate::delayed_produce::Waiting;
use crate::internal_topics::is_internal;
use crate::leader_hints::LeaderHint;
use crate::partition::{Acknowledgement, Append, Partition, PartitionAppendError};
use crate::purgatory::park;
use crate::transactions::{Confirmation, Refused, TransactionPart, confirm};
use behind::Refusals;
use core::ops::Range;
use core::time::Duration;
use ottla_log::{
    AppendError, AppendInfo, AppendOrigin, TransactionCheck, TransactionVersion, VerificationGuard, VerificationRequest,
};
use ottla_metadata::{MetadataImage, Topic as KnownTopic};
use ottla_protocol::messages::produce_request::{ProduceRequestView, TopicProduceDataView};
use ottla_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse, TopicProduceResponse,
};
use ottla_protocol::messages::{ProduceRequest, ProduceResponse};
use ottla_protocol::{ErrorCode, Message, Reader};
use ottla_records::{BATCH_HEADER_BYTES, RecordBatchView};
use ottla_types::{PartitionIndex, TopicId, TopicPartition};
use smallvec::SmallVec;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The client id of whom Apache Kafka lets write to the topics of coordinators.
const ADMIN_CLIENT: &str = "__admin_client";

/// The least that a record of the oldest format says of its length.
const LEGACY_LENGTH_MIN: i32 = 14;

/// Where a batch says of which format it is.
const MAGIC: usize = 16;

/// The number of the codec that came last.
const ZSTD: u8 = 4;

/// Where the lower byte of a batch's attributes is.
const ATTRIBUTES_LOW: usize = 22;

/// One partition of the request: where it is and where its records lie in the frame.
struct Part {
    index: i32,
    found: Result<Arc<Partition>, ErrorCode>,
    /// Why the transaction's coordinator does not want it to be appended.
    refused: Option<PartitionAppendError>,
    /// Stands for the question to the coordinator, when there was one.
    guard: Option<VerificationGuard>,
    records: Option<Range<usize>>,
}

struct Topic {
    name: String,
    id: TopicId,
    parts: SmallVec<[Part; 1]>,
}

type Topics = SmallVec<[Topic; 1]>;

/// When the producer wants its answer, and how long it waits.
#[derive(Clone, Copy)]
struct Asked {
    acknowledgement: Acknowledgement,
    timeout_ms: i32,
    /// What counts for a transactional batch that the coordinator was not asked about.
    unasked: TransactionCheck,
}

/// Produce: appends as leader. The records are validated and patched where they lie in the frame.
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let version = call.header.version;
    let mut reader = Reader::new(&call.body);
    let (asked, acks, transactional_id, mut topics) = match ProduceRequest::view_from(&mut reader, version) {
        Ok(view) => {
            let transactional_id: Option<Arc<str>> = view.transactional_id.map(Arc::from);
            let topics = resolve(broker, &view, &call.body, version);
            let acknowledgement = Acknowledgement::from_acks(view.acks);
            let asked = acknowledgement.map(|acknowledgement| Asked {
                acknowledgement,
                timeout_ms: view.timeout_ms,
                unasked: TransactionCheck::Unverified,
            });
            (asked, view.acks, transactional_id, topics)
        }
        Err(error) => return call.reply.malformed(&error),
    };
    let look = look_at_batches(&topics, &call.body);
    if look == Look::Unreadable {
        let mut response = refuse_all(&topics, |_| ErrorCode::CorruptMessage);
        for partition in response.responses.iter_mut().flat_map(|topic| &mut topic.partition_responses) {
            partition.error_message = Some("A batch of the request can't be read.".to_owned());
        }
        return answer(call.reply, acks, response);
    }
    if look == Look::Transactional && transactional_id.is_none() {
        // Nobody may write in a transaction that is not named.
        let code = ErrorCode::TransactionalIdAuthorizationFailed;
        return answer(call.reply, acks, refuse_all(&topics, |_| code));
    }
    let Some(asked) = asked else {
        // What is not there is told apart also when all is refused.
        let code = |part: &Part| part.found.as_ref().err().copied().unwrap_or(ErrorCode::InvalidRequiredAcks);
        return answer(call.reply, acks, refuse_all(&topics, code));
    };
    let Some(transactional_id) = transactional_id else { return append_all(broker, call, asked, topics) };
    // Without it only what a client has not said itself is asked about: its coordinator adds the partitions.
    let verifies = broker.config().transactions.transaction_partition_verification_enable;
    if !verifies && confirmation(&call) != Confirmation::Add {
        return append_all(broker, call, Asked { unasked: TransactionCheck::NotRequired, ..asked }, topics);
    }
    match begin_verification(broker, transactional_id, &mut topics, &call) {
        Ok(None) => append_all(broker, call, asked, topics),
        Ok(Some(part)) => confirm_and_append(broker, call, asked, topics, part),
        Err(code) => answer(call.reply, acks, refuse_all(&topics, |_| code)),
    }
}

/// What is wrong with the form of a record set: since version 3 of the request it is one batch of today's format.
fn form_error(records: &[u8], version: i16) -> Option<ErrorCode> {
    if version < 3 {
        return None;
    }
    let length = |bytes: &[u8]| -> Option<usize> {
        let length = bytes.get(8..12).and_then(|length| length.try_into().ok()).map(i32::from_be_bytes)?;
        let end = usize::try_from(length).ok()?.checked_add(12)?;
        (end <= bytes.len() && bytes.len() > MAGIC).then_some(end)
    };
    let Some(end) = length(records) else { return Some(ErrorCode::InvalidRecord) };
    if end < BATCH_HEADER_BYTES {
        // Said of the batch by who checks it.
        return None;
    }
    if records.get(MAGIC) != Some(&2) || records.get(end..).is_some_and(|rest| length(rest).is_some()) {
        return Some(ErrorCode::InvalidRecord);
    }
    let codec = records.get(ATTRIBUTES_LOW).map(|attributes| attributes & 7);
    (version < 7 && codec == Some(ZSTD)).then_some(ErrorCode::UnsupportedCompressionType)
}

/// What a first look at the batches of a request finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Ordinary,
    Transactional,
    Unreadable,
}

/// Apache Kafka's broker looks for a transactional batch before anything else, and stumbles for the whole request over what
/// can't be a batch on the way.
fn look_at_batches(topics: &Topics, body: &[u8]) -> Look {
    const TRANSACTIONAL: u8 = 0x10;
    for part in topics.iter().flat_map(|topic| &topic.parts) {
        let bytes = part.records.clone().and_then(|range| body.get(range)).unwrap_or_default();
        let Some(([_, _, _, _, _, _, _, _, length @ ..], _)) = bytes.split_first_chunk::<12>() else { continue };
        let (Some(magic), length) = (bytes.get(MAGIC), i32::from_be_bytes(*length)) else { continue };
        if length < LEGACY_LENGTH_MIN || *magic > 2 {
            return Look::Unreadable;
        }
        let is_whole = usize::try_from(length).is_ok_and(|length| length + 12 <= bytes.len());
        if is_whole && *magic == 2 && bytes.get(ATTRIBUTES_LOW).is_some_and(|byte| byte & TRANSACTIONAL != 0) {
            return Look::Transactional;
        }
    }
    Look::Ordinary
}

/// The partitions that the producer's transaction is not open in yet: its coordinator has to confirm them. A request is
/// of one producer.
fn begin_verification(
    broker: &Broker,
    transactional_id: Arc<str>,
    topics: &mut Topics,
    call: &Call,
) -> Result<Option<TransactionPart>, ErrorCode> {
    let bumps_epoch = confirmation(call) == Confirmation::Add;
    let version = if bumps_epoch { TransactionVersion::EpochBump } else { TransactionVersion::Classic };
    let now = broker.clock.wall();
    let mut producer = None;
    let mut partitions = BTreeSet::new();
    for part in topics.iter_mut().flat_map(|topic| &mut topic.parts) {
        let bytes = part.records.clone().and_then(|range| call.body.get(range)).unwrap_or_default();
        let (Ok(partition), Ok(batch)) = (&part.found, RecordBatchView::parse(bytes)) else { continue };
        if !batch.is_transactional() || !batch.producer_id().is_some() {
            continue;
        }
        let (producer_id, epoch) = (batch.producer_id(), batch.producer_epoch());
        if *producer.get_or_insert((producer_id, epoch)) != (producer_id, epoch) {
            return Err(ErrorCode::InvalidProducerIdMapping);
        }
        let request = VerificationRequest { producer_id, epoch, sequence: batch.base_sequence(), version, now };
        match partition.log.begin_verification(&request) {
            Ok(Some(guard)) => {
                part.guard = Some(guard);
                partitions.insert(TopicPartition::new(partition.topic.clone(), partition.index));
            }
            Ok(None) => {}
            Err(error) => part.refused = Some(AppendError::from(error).into()),
        }
    }
    let Some((producer_id, producer_epoch)) = producer.filter(|_| !partitions.is_empty()) else { return Ok(None) };
    Ok(Some(TransactionPart { transactional_id, producer_id, producer_epoch, partitions }))
}

/// What a client of this version needs done.
fn confirmation(call: &Call) -> Confirmation {
    match call.header.version {
        ..=10 => Confirmation::Verify,
        11 => Confirmation::VerifyAbortable,
        _ => Confirmation::Add,
    }
}

fn confirm_and_append(broker: &Arc<Broker>, call: Call, asked: Asked, mut topics: Topics, part: TransactionPart) {
    let confirmation = confirmation(&call);
    let going_on = broker.clone();
    let then = Box::new(move |refused: Refused| {
        for part in topics.iter_mut().flat_map(|topic| &mut topic.parts) {
            let Ok(partition) = &part.found else { continue };
            let name = TopicPartition::new(partition.topic.clone(), partition.index);
            if let Some(code) = refused.get(&name) {
                part.refused = Some(transaction_error(*code, confirmation));
            }
        }
        append_all(&going_on, call, asked, topics);
    });
    confirm(broker, part, confirmation, then);
}

/// What a producer is told when its transaction's coordinator does not confirm a partition.
fn transaction_error(code: ErrorCode, confirmation: Confirmation) -> PartitionAppendError {
    let (code, message) = match code {
        ErrorCode::InvalidTxnState => (code, Some("the partition was not added to the transaction".to_owned())),
        // A client of version 2 meets it often, and knows what to do.
        ErrorCode::ConcurrentTransactions if confirmation == Confirmation::Add => (code, None),
        // Older clients would give up on these; this one they retry, without asking for metadata.
        ErrorCode::ConcurrentTransactions
        | ErrorCode::CoordinatorLoadInProgress
        | ErrorCode::CoordinatorNotAvailable
        | ErrorCode::NetworkException
        | ErrorCode::NotCoordinator => {
            let message = format!("the coordinator can't say whether the partition was added: {}", code.name());
            (ErrorCode::NotEnoughReplicas, Some(message))
        }
        other => (other, None),
    };
    PartitionAppendError { code, message, records: Vec::new() }
}

/// Appends every part that is not refused, and answers.
fn append_all(broker: &Broker, mut call: Call, asked: Asked, topics: Topics) {
    let origin = AppendOrigin::Client { transaction: asked.unasked };
    let acknowledgement = asked.acknowledgement;
    let append = Append { origin, acknowledgement, now: broker.clock.wall(), codecs: &broker.codecs };
    let acks = if acknowledgement == Acknowledgement::None { 0 } else { -1 };
    let mut responses = Vec::with_capacity(topics.len());
    let mut waiting = Vec::new();
    let image = broker.metadata.image();
    let mut hints = Hints::new(&image, &call);
    let may_be_internal = call.header.client_id.as_deref() == Some(ADMIN_CLIENT);
    let mut refusals = Refusals::take(&call.connection);
    for topic in topics {
        let mut partitions = Vec::with_capacity(topic.parts.len());
        for part in topic.parts {
            let known = || match topic.id {
                TopicId::ZERO => image.topics.topic_by_name(&topic.name),
                id => image.topics.topic(id),
            };
            let append = |part, body: &mut [u8]| append_part(part, body, append, may_be_internal);
            let outcome = refusals.append((&topic.name, topic.id), part, &mut call.body, append);
            let of_all = acknowledgement == Acknowledgement::All;
            waiting.extend(outcome.waiting(responses.len(), partitions.len(), of_all));
            partitions.push(hints.add_to(outcome, || known().map(|topic| &**topic)));
        }
        responses.push(TopicProduceResponse {
            name: topic.name,
            topic_id: topic.id,
            partition_responses: partitions,
            ..Default::default()
        });
    }
    refusals.keep(&call.connection);
    let node_endpoints = hints.endpoints;
    let response = ProduceResponse { responses, node_endpoints, ..Default::default() };
    if acks == 0 || waiting.is_empty() {
        return answer(call.reply, acks, response);
    }
    let timeout = Duration::from_millis(u64::try_from(asked.timeout_ms).unwrap_or(0));
    let deadline = broker.clock.monotonic() + timeout;
    park(&broker.timers, deadline, call.reply, response, waiting);
}

/// Looks all partitions up, and finds the records as ranges of the frame, so that the view can be let go.
fn resolve(broker: &Broker, view: &ProduceRequestView<'_>, body: &[u8], version: i16) -> Topics {
    let image = broker.metadata.image();
    let mut topics = Topics::new();
    for topic in view.topic_data.iter() {
        let (name, id, known) = identify(&image, &topic, version);
        let entry = known.and_then(|id| broker.partitions.topic_by_id(id));
        let unknown = if version >= 13 { ErrorCode::UnknownTopicId } else { ErrorCode::UnknownTopicOrPartition };
        let mut parts = SmallVec::new();
        for data in topic.partition_data.iter() {
            let index = PartitionIndex::new(data.index);
            let hosted = entry.as_ref().and_then(|entry| entry.partition(index));
            let found = hosted.ok_or_else(|| match known.and_then(|id| image.topics.topic(id)) {
                None => unknown,
                Some(topic) if topic.partitions.get(&index).is_some() => ErrorCode::NotLeaderOrFollower,
                Some(_) => ErrorCode::UnknownTopicOrPartition,
            });
            let found = found.and_then(|partition| match form_error(data.records.unwrap_or_default(), version) {
                None => Ok(partition),
                Some(code) => Err(code),
            });
            let records = data.records.and_then(|records| range_in(body, records));
            parts.push(Part { index: data.index, found, refused: None, guard: None, records });
        }
        topics.push(Topic { name, id, parts });
    }
    repeated::keep_last(&mut topics);
    topics
}

/// The name and id as the answer bears them, and the id of the topic when it exists.
fn identify(
    image: &MetadataImage,
    topic: &TopicProduceDataView<'_>,
    version: i16,
) -> (String, TopicId, Option<TopicId>) {
    if version >= 13 {
        let known = image.topics.topic(topic.topic_id).map(|topic| topic.id);
        return (String::new(), topic.topic_id, known);
    }
    (topic.name.to_owned(), TopicId::ZERO, image.topics.topic_id(topic.name))
}

/// Where a part of a buffer lies in it.
fn range_in(buffer: &[u8], part: &[u8]) -> Option<Range<usize>> {
    let start = (part.as_ptr() as usize).checked_sub(buffer.as_ptr() as usize)?;
    let range = start..start.checked_add(part.len())?;
    (range.end <= buffer.len()).then_some(range)
}

struct Outcome {
    index: i32,
    partition: Option<Arc<Partition>>,
    result: Result<AppendInfo, PartitionAppendError>,
}

impl Outcome {
    /// The entry of an append that may not be acknowledged yet; also of a duplicate, whose first append may wait still.
    fn waiting(&self, topic: usize, index: usize, of_all: bool) -> Option<Waiting> {
        let (Some(partition), Ok(info)) = (&self.partition, &self.result) else { return None };
        let last_offset = info.last_offset;
        let log = &partition.log;
        let safe = if of_all { log.high_watermark() } else { log.acknowledgeable_offset() };
        let waits = safe <= last_offset;
        waits.then(|| Waiting { partition: partition.clone(), last_offset, of_all, topic, index })
    }
}

/// The append that the coordinator's answer allows.
fn with_guard(append: Append<'_>, guard: Option<VerificationGuard>) -> Append<'_> {
    match guard {
        Some(guard) => {
            let transaction = TransactionCheck::Verified(guard);
            Append { origin: AppendOrigin::Client { transaction }, ..append }
        }
        None => append,
    }
}

fn append_part(part: Part, body: &mut [u8], append: Append<'_>, may_be_internal: bool) -> Outcome {
    let Part { index, found, refused, guard, records } = part;
    let partition = match found {
        Ok(partition) => partition,
        Err(code) => return Outcome { index, partition: None, result: Err(code.into()) },
    };
    let bytes = records.and_then(|range| body.get_mut(range)).unwrap_or_default();
    // The state of coordinators is nobody else's to write.
    let is_forbidden = !may_be_internal && is_internal(&partition.topic);
    let refused = refused.or_else(|| is_forbidden.then(|| ErrorCode::InvalidTopicException.into()));
    if let Some(error) = refused {
        // As if nobody had looked at the partition: so it is in Apache Kafka.
        return Outcome { index, partition: None, result: Err(error) };
    }
    let result = partition.append(bytes, with_guard(append, guard));
    Outcome { index, partition: Some(partition), result }
}

/// Who leads instead, told to a producer that came to the wrong place (KIP-951).
struct Hints<'a> {
    image: &'a MetadataImage,
    listener: Arc<str>,
    is_wanted: bool,
    endpoints: Vec<NodeEndpoint>,
}

impl<'a> Hints<'a> {
    fn new(image: &'a MetadataImage, call: &Call) -> Self {
        let listener = call.connection.listener.clone();
        Self { image, listener, is_wanted: call.header.version >= 10, endpoints: Vec::new() }
    }

    fn add_to(&mut self, outcome: Outcome, topic: impl FnOnce() -> Option<&'a KnownTopic>) -> PartitionProduceResponse {
        let mut response = PartitionProduceResponse { index: outcome.index, ..Default::default() };
        match outcome.result {
            Ok(info) => {
                response.base_offset = info.first_offset.value();
                response.log_append_time_ms = info.log_append_time.value();
                response.log_start_offset = info.log_start_offset.value();
            }
            Err(error) => {
                response.base_offset = -1;
                response.error_code = error.code.code();
                response.error_message = error.message;
                response.record_errors = error
                    .records
                    .iter()
                    .map(|record| BatchIndexAndErrorMessage {
                        batch_index: record.index,
                        batch_index_error_message: Some(record.kind.to_string()),
                        ..Default::default()
                    })
                    .collect();
                if !has_own_case(error.code)
                    && let Some(partition) = &outcome.partition
                {
                    response.log_start_offset = partition.log.log_start_offset().value();
                }
                if error.code == ErrorCode::NotLeaderOrFollower && self.is_wanted {
                    let hint = match &outcome.partition {
                        Some(partition) => LeaderHint::of(partition),
                        None => LeaderHint::of_image(topic(), PartitionIndex::new(outcome.index)),
                    };
                    response.current_leader = self.name(hint);
                }
            }
        }
        response
    }

    fn name(&mut self, hint: LeaderHint) -> LeaderIdAndEpoch {
        let (leader_id, leader_epoch) = (hint.leader.value(), hint.epoch.value());
        if let Some((host, port, rack)) = hint.endpoint(self.image, &self.listener)
            && !self.endpoints.iter().any(|known| known.node_id == leader_id)
        {
            self.endpoints.push(NodeEndpoint {
                node_id: leader_id,
                host: host.to_owned(),
                port: i32::from(port),
                rack: rack.map(str::to_owned),
                ..Default::default()
            });
        }
        LeaderIdAndEpoch { leader_id, leader_epoch, ..Default::default() }
    }
}

/// Apache Kafka says where the log begins for every failed append but those of these kinds.
fn has_own_case(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::UnknownTopicOrPartition
            | ErrorCode::NotLeaderOrFollower
            | ErrorCode::MessageTooLarge
            | ErrorCode::RecordListTooLarge
            | ErrorCode::CorruptMessage
            | ErrorCode::KafkaStorageError
    )
}

fn refuse_all(topics: &Topics, code: impl Fn(&Part) -> ErrorCode) -> ProduceResponse {
    let refuse = |part: &Part| PartitionProduceResponse {
        index: part.index,
        error_code: code(part).code(),
        base_offset: -1,
        ..Default::default()
    };
    let responses = topics
        .iter()
        .map(|topic| TopicProduceResponse {
            name: topic.name.clone(),
            topic_id: topic.id,
            partition_responses: topic.parts.iter().map(refuse).collect(),
            ..Default::default()
        })
        .collect();
    ProduceResponse { responses, ..Default::default() }
}

/// Answers; with `acks=0` only by closing the connection when something failed, since nobody reads an answer.
fn answer(reply: Reply, acks: i16, response: ProduceResponse) {
    if acks != 0 {
        return reply.send(&response);
    }
    let partitions = response.responses.iter().flat_map(|topic| &topic.partition_responses);
    if partitions.into_iter().any(|partition| partition.error_code != 0) {
        return reply.close("a Produce without acknowledgement failed");
    }
    reply.none();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_found_in_its_buffer_and_a_stranger_is_not() {
        let buffer = [1u8, 2, 3, 4];
        assert_eq!(range_in(&buffer, &buffer[1..3]), Some(1..3));
        let stranger = [9u8];
        assert_eq!(range_in(&buffer[..1], &buffer[3..]), None);
        assert!(range_in(&buffer, &stranger).is_none_or(|range| range.end <= 4));
    }
}
