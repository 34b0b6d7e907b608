use crate::broker::Broker;
use crate::call::Call;
use crate::fetch::{Fetch, FetchParameters, PartitionKey, PartitionRequest, SessionRequest, TopicKey};
use core::time::Duration;
use indexmap::IndexMap;
use ottla_protocol::messages::FetchRequest;
use ottla_protocol::messages::fetch_request::{FetchPartitionView, FetchRequestView};
use ottla_protocol::{Message, Reader};
use ottla_types::{LeaderEpoch, Offset, TopicId};
use std::sync::Arc;

/// Fetch: reads from partitions that this broker leads, within a session or without.
pub(super) fn handle(broker: &Arc<Broker>, call: Call) {
    let version = call.header.version;
    let view = match FetchRequest::view_from(&mut Reader::new(&call.body), version) {
        Ok(view) => view,
        Err(error) => return call.reply.malformed(&error),
    };
    let parameters = parameters(broker, &view, version);
    let session = session(&view, version, parameters.is_follower);
    let fetch = Fetch { parameters, session, connection: call.connection, reply: call.reply };
    broker.fetches.fetch(fetch);
}

fn parameters(broker: &Broker, view: &FetchRequestView<'_>, version: i16) -> FetchParameters {
    let replica = if version >= 15 { view.replica_state.replica_id } else { view.replica_id };
    let wait = u64::try_from(view.max_wait_ms).unwrap_or(0);
    let allowed = broker.config().fetch.fetch_max_bytes;
    FetchParameters {
        version,
        is_follower: replica >= 0,
        max_wait: Duration::from_millis(wait),
        min_bytes: i64::from(view.min_bytes),
        max_bytes: usize::try_from(view.max_bytes.min(allowed)).unwrap_or(0),
        read_committed: view.isolation_level == 1,
    }
}

fn session(view: &FetchRequestView<'_>, version: i16, is_follower: bool) -> SessionRequest {
    let uses_topic_ids = version >= 13;
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
        current_leader_epoch: LeaderEpoch(view.current_leader_epoch),
        last_fetched_epoch: LeaderEpoch(view.last_fetched_epoch),
        partition_max_bytes: view.partition_max_bytes,
    }
}
