//! The records of remote log metadata, which Kafka shows as its Java objects show themselves.

use super::frame;
use ottla_protocol::Message;
use ottla_protocol::storage_records::{
    RemoteLogSegmentMetadataRecord, RemoteLogSegmentMetadataSnapshotRecord, RemoteLogSegmentMetadataUpdateRecord,
    RemotePartitionDeleteMetadataRecord,
};
use ottla_records::Record;

const SEGMENT_STATES: [&str; 4] =
    ["COPY_SEGMENT_STARTED", "COPY_SEGMENT_FINISHED", "DELETE_SEGMENT_STARTED", "DELETE_SEGMENT_FINISHED"];
const PARTITION_STATES: [&str; 3] =
    ["DELETE_PARTITION_MARKED", "DELETE_PARTITION_STARTED", "DELETE_PARTITION_FINISHED"];

/// Shows a record.
pub(super) fn show(record: &Record<'_>) -> String {
    read(record.value.unwrap_or_default())
        .unwrap_or_else(|why| format!("Error at offset {}, skipping. {why}", record.offset))
}

fn read(bytes: &[u8]) -> Result<String, String> {
    let (kind, version, rest) = frame(bytes)?;
    match kind {
        0 => segment(&decode(rest, version)?),
        1 => update(&decode(rest, version)?),
        2 => partition(&decode(rest, version)?),
        3 => snapshot(&decode(rest, version)?),
        _ => Err(format!("no record of remote log metadata has the type {kind}")),
    }
}

fn decode<M: Message>(bytes: &[u8], version: i16) -> Result<M, String> {
    M::decode(bytes, version).map_err(|error| error.to_string())
}

fn state(states: &[&'static str], number: i8) -> Result<&'static str, String> {
    let name = usize::try_from(number).ok().and_then(|number| states.get(number));
    name.copied().ok_or_else(|| format!("{number} is no state"))
}

fn custom(metadata: Option<&[u8]>) -> String {
    let shown = metadata.map(|bytes| format!("Optional[CustomMetadata{{{} bytes}}]", bytes.len()));
    shown.unwrap_or_else(|| "Optional.empty".to_owned())
}

/// A sorted map as Java shows it.
fn epochs(entries: impl Iterator<Item = (i32, i64)>) -> String {
    let sorted: std::collections::BTreeMap<_, _> = entries.collect();
    let shown: Vec<_> = sorted.into_iter().map(|(epoch, offset)| format!("{epoch}={offset}")).collect();
    format!("{{{}}}", shown.join(", "))
}

fn segment(record: &RemoteLogSegmentMetadataRecord) -> Result<String, String> {
    let id = &record.remote_log_segment_id;
    let partition = &id.topic_id_partition;
    let leader_epochs = epochs(record.segment_leader_epochs.iter().map(|entry| (entry.leader_epoch, entry.offset)));
    Ok(format!(
        "RemoteLogSegmentMetadata{{remoteLogSegmentId=RemoteLogSegmentId{{topicIdPartition={}:{}-{}, id={}}}, startOffset={}, \
         endOffset={}, brokerId={}, maxTimestampMs={}, eventTimestampMs={}, segmentLeaderEpochs={leader_epochs}, \
         segmentSizeInBytes={}, customMetadata={}, state={}, txnIdxEmpty={}}}",
        partition.id,
        partition.name,
        partition.partition,
        id.id,
        record.start_offset,
        record.end_offset,
        record.broker_id,
        record.max_timestamp_ms,
        record.event_timestamp_ms,
        record.segment_size_in_bytes,
        custom(record.custom_metadata.as_deref()),
        state(&SEGMENT_STATES, record.remote_log_segment_state)?,
        record.txn_index_empty,
    ))
}

fn update(record: &RemoteLogSegmentMetadataUpdateRecord) -> Result<String, String> {
    let id = &record.remote_log_segment_id;
    let partition = &id.topic_id_partition;
    Ok(format!(
        "RemoteLogSegmentMetadataUpdate{{remoteLogSegmentId=RemoteLogSegmentId{{topicIdPartition={}:{}-{}, id={}}}, \
         customMetadata={}, state={}, eventTimestampMs={}, brokerId={}}}",
        partition.id,
        partition.name,
        partition.partition,
        id.id,
        custom(record.custom_metadata.as_deref()),
        state(&SEGMENT_STATES, record.remote_log_segment_state)?,
        record.event_timestamp_ms,
        record.broker_id,
    ))
}

fn partition(record: &RemotePartitionDeleteMetadataRecord) -> Result<String, String> {
    let partition = &record.topic_id_partition;
    Ok(format!(
        "RemotePartitionDeleteMetadata{{topicPartition={}:{}-{}, state={}, eventTimestampMs={}, brokerId={}}}",
        partition.id,
        partition.name,
        partition.partition,
        state(&PARTITION_STATES, record.remote_partition_delete_state)?,
        record.event_timestamp_ms,
        record.broker_id,
    ))
}

fn snapshot(record: &RemoteLogSegmentMetadataSnapshotRecord) -> Result<String, String> {
    let leader_epochs = epochs(record.segment_leader_epochs.iter().map(|entry| (entry.leader_epoch, entry.offset)));
    Ok(format!(
        "RemoteLogSegmentMetadataSnapshot{{segmentId={}, startOffset={}, endOffset={}, maxTimestampMs={}, \
         segmentLeaderEpochs={leader_epochs}, segmentSizeInBytes={}, customMetadata={}, state={}, txnIdxEmpty={}}}",
        record.segment_id,
        record.start_offset,
        record.end_offset,
        record.max_timestamp_ms,
        record.segment_size_in_bytes,
        custom(record.custom_metadata.as_deref()),
        state(&SEGMENT_STATES, record.remote_log_segment_state)?,
        record.txn_index_empty,
    ))
}
