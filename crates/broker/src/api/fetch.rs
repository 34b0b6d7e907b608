use crate::broker::Broker;
use crate::call::Call;
use crate::fetch::{Fetch, FetchParameters, PartitionKey, PartitionRequest, SessionRequest, TopicKey};
use core::time::Duration;
use indexmap::IndexMap;
use ottla_protocol::messages::fetch_request::{FetchPartitionView, FetchRequestView};
use ottla_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use ottla_protocol::messages::{FetchRequest, FetchResponse};
use ottla_protocol::{ErrorCode, Message, Reader, RecordSet};
use ottla_replication::FetcherEpoch;
use ottla_types::{BrokerEpoch, BrokerId, LeaderEpoch, Offset, PartitionIndex, TopicId};
use std::sync::Arc;

/// From this version on topics have ids instead of names.
const TOPIC_IDS: i16 = 13;

/// Fetch: reads from partitions that this broker leads, within a session or without.
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let version = call.header.version;
    let view = match FetchRequest::view_from(&mut Reader::new(&call.body), version) {
        Ok(view) => view,
        Err(error) => return call.reply.malformed(&error),
    };
    // A session is looked at first.
    let is_in_session = version >= 7 && view.session_epoch > 0;
    let is_of_no_level = || !matches!(view.isolation_level, 0 | 1) && reads_something(broker, &view, version);
    if !is_in_session && is_of_no_level() {
        return call.reply.send(&refuse(&view, version));
    }
    let parameters = parameters(broker, &view, &call);
    let session = session(&view, version, parameters.is_follower);
    let mut reply = call.reply;
    if parameters.is_follower {
        reply.set_follower();
    }
    let fetch = Fetch { parameters, session, connection: call.connection, reply };
    broker.fetches.fetch(fetch);
}

fn reads_something(broker: &Broker, view: &FetchRequestView<'_>, version: i16) -> bool {
    let image = broker.metadata.image();
    view.topics.iter().any(|topic| {
        let known = if version >= TOPIC_IDS {
            image.topics.topic(topic.topic_id)
        } else {
            image.topics.topic_by_name(topic.topic)
        };
        let exists = |index| known.is_some_and(|topic| topic.partitions.get(&PartitionIndex::new(index)).is_some());
        topic.partitions.iter().any(|partition| exists(partition.partition))
    })
}

/// Apache Kafka's broker stumbles over an isolation level that is none. Where topics have ids it names no partition then.
fn refuse(view: &FetchRequestView<'_>, version: i16) -> FetchResponse {
    let error_code = ErrorCode::UnknownServerError.code();
    let partition = |partition: FetchPartitionView<'_>| PartitionData {
        partition_index: partition.partition,
        error_code,
        high_watermark: -1,
        aborted_transactions: Some(Vec::new()),
        records: RecordSet::Bytes(Default::default()),
        ..Default::default()
    };
    let topics = view.topics.iter().filter(|_| version < TOPIC_IDS).map(|topic| FetchableTopicResponse {
        topic: topic.topic.to_owned(),
        partitions: topic.partitions.iter().map(partition).collect(),
        ..Default::default()
    });
    FetchResponse {
        // Before version 7 there is no error of the whole.
        error_code: if version >= 7 { error_code } else { 0 },
        session_id: if version >= 7 { view.session_id } else { 0 },
        responses: topics.collect(),
        ..Default::default()
    }
}

fn parameters(broker: &Broker, view: &FetchRequestView<'_>, call: &Call) -> FetchParameters {
    let version = call.header.version;
    let replica = if version >= 15 { view.replica_state.replica_id } else { view.replica_id };
    let wait = u64::try_from(view.max_wait_ms).unwrap_or(0);
    let allowed = broker.config().fetch.fetch_max_bytes;
    FetchParameters {
        version,
        is_follower: replica >= 0,
        replica: BrokerId::new(replica),
        replica_epoch: match view.replica_state.replica_epoch {
            epoch if version >= 15 && epoch >= 0 => FetcherEpoch::Said(BrokerEpoch(epoch)),
            _ => FetcherEpoch::Unsaid,
        },
        max_wait: Duration::from_millis(wait),
        min_bytes: i64::from(view.min_bytes),
        max_bytes: view.max_bytes.min(allowed),
        read_committed: view.isolation_level == 1,
        rack: Arc::from(view.rack_id),
        listener: call.connection.listener.clone(),
    }
}

fn session(view: &FetchRequestView<'_>, version: i16, is_follower: bool) -> SessionRequest {
    let uses_topic_ids = version >= TOPIC_IDS;
    let mut partitions = Vec::new();
    for topic in view.topics.iter() {
        let topic_key = topic_key(uses_topic_ids, topic.topic, topic.topic_id);
        for partition in topic.partitions.iter() {
            let key = PartitionKey { topic: topic_key.clone(), partition: partition.partition };
            partitions.push((key, partition_request(&partition)));
        }
    }
    if partitions.len() > 1 {
        // What is named twice counts as it is named last.
        partitions = partitions.into_iter().collect::<IndexMap<_, _>>().into_iter().collect();
    }
    let mut forgotten = Vec::new();
    for topic in view.forgotten_topics_data.iter() {
        let topic_key = topic_key(uses_topic_ids, topic.topic, topic.topic_id);
        forgotten.extend(topic.partitions.iter().map(|p| PartitionKey { topic: topic_key.clone(), partition: p }));
    }
    SessionRequest {
        session_id: view.session_id,
        session_epoch: view.session_epoch,
        uses_topic_ids,
        is_follower,
        partitions,
        forgotten,
    }
}

fn topic_key(uses_topic_ids: bool, name: &str, id: TopicId) -> TopicKey {
    if uses_topic_ids { TopicKey::Id(id) } else { TopicKey::Name(name.into()) }
}

fn partition_request(view: &FetchPartitionView<'_>) -> PartitionRequest {
    PartitionRequest {
        fetch_offset: Offset(view.fetch_offset),
        log_start_offset: Offset(view.log_start_offset),
        // Any negative epoch is none.
        current_leader_epoch: LeaderEpoch(view.current_leader_epoch.max(-1)),
        last_fetched_epoch: LeaderEpoch(view.last_fetched_epoch.max(-1)),
        partition_max_bytes: view.partition_max_bytes,
    }
}
