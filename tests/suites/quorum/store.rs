//! The log and the files of the voter, in memory.

use bytes::Bytes;
use ottla_raft::{BatchSummary, ControlRecord, KraftVersion, LogState, SnapshotId, VoterSet};
use ottla_records::{BatchBuilder, BatchOptions, Batches, Compressor, Decompressor, RecordToWrite};
use ottla_types::{LeaderEpoch, Offset, Timestamp};
use std::collections::BTreeMap;

const DECOMPRESSED_BYTES_MAX: usize = 16 << 20;

#[derive(Default)]
pub(crate) struct Store {
    /// Batches with the offset of their last record.
    batches: Vec<(i64, Bytes)>,
    pub(crate) quorum_state: Option<String>,
    pub(crate) snapshots: BTreeMap<SnapshotId, Bytes>,
    pub(crate) part: Vec<u8>,
    /// The last snapshot that was fetched.
    pub(crate) installed: Option<(SnapshotId, Bytes)>,
}

impl Store {
    pub(crate) fn log_bytes(&self) -> Vec<u8> {
        self.batches.iter().flat_map(|(_, bytes)| bytes.to_vec()).collect()
    }

    pub(crate) fn append(&mut self, bytes: &[u8], end: i64) {
        for batch in Batches::new(bytes) {
            let Ok(batch) = batch else { break };
            if batch.last_offset().0 < end {
                self.batches.push((batch.last_offset().0, Bytes::copy_from_slice(batch.bytes())));
            }
        }
    }

    pub(crate) fn truncate(&mut self, end: i64) {
        self.batches.retain(|(last, _)| *last < end);
    }

    pub(crate) fn read(&self, from: i64, bytes_max: usize) -> Bytes {
        let mut read = Vec::new();
        for (_, bytes) in self.batches.iter().filter(|(last, _)| *last >= from) {
            if !read.is_empty() && read.len() + bytes.len() > bytes_max {
                break;
            }
            read.extend_from_slice(bytes);
        }
        read.into()
    }

    pub(crate) fn install(&mut self, id: SnapshotId) -> (u64, KraftVersion, Option<VoterSet>) {
        let bytes = Bytes::from(core::mem::take(&mut self.part));
        let (version, voters) = snapshot_start(&bytes);
        self.batches.clear();
        self.installed = Some((id, bytes.clone()));
        let size = bytes.len() as u64;
        self.snapshots.insert(id, bytes);
        (size, version, voters)
    }

    pub(crate) fn log_state(&self) -> LogState {
        let mut state = match self.snapshots.iter().next_back() {
            Some((id, bytes)) => {
                let (version, voters) = snapshot_start(bytes);
                LogState::from_snapshot(*id, bytes.len() as u64, version, voters)
            }
            None => LogState::default(),
        };
        for (_, bytes) in &self.batches {
            summaries(bytes).iter().for_each(|batch| state.note_durable(batch).unwrap());
        }
        state
    }
}

/// What the quorum must know of batches.
pub(crate) fn summaries(bytes: &[u8]) -> Vec<BatchSummary> {
    let mut decompressor = Decompressor::new(DECOMPRESSED_BYTES_MAX);
    let mut summaries = Vec::new();
    for batch in Batches::new(bytes) {
        let Ok(batch) = batch else { break };
        assert!(batch.is_checksum_valid());
        let mut control = Vec::new();
        if batch.is_control() {
            for (i, record) in batch.records(&mut decompressor).unwrap().enumerate() {
                let record = record.unwrap();
                let (key, value) = (record.key.unwrap_or_default(), record.value.unwrap_or_default());
                let read = ControlRecord::decode(key, value).unwrap();
                control.extend(read.map(|read| (batch.base_offset().plus(i as i64), read)));
            }
        }
        summaries.push(BatchSummary {
            base_offset: batch.base_offset(),
            last_offset: batch.last_offset(),
            epoch: batch.partition_leader_epoch(),
            control,
        });
    }
    summaries
}

/// What a snapshot says of the quorum.
fn snapshot_start(bytes: &[u8]) -> (KraftVersion, Option<VoterSet>) {
    let (mut version, mut voters) = (KraftVersion::Static, None);
    for (_, record) in summaries(bytes).into_iter().flat_map(|batch| batch.control) {
        match record {
            ControlRecord::KraftVersion(record) => version = KraftVersion::from_level(record.kraft_version).unwrap(),
            ControlRecord::Voters(record) => voters = Some(VoterSet::from_record(&record)),
            _ => {}
        }
    }
    (version, voters)
}

pub(crate) fn control_batch(records: &[ControlRecord], base_offset: Offset, epoch: LeaderEpoch) -> Vec<u8> {
    let options = BatchOptions { base_offset, partition_leader_epoch: epoch, is_control: true, ..Default::default() };
    let mut builder = BatchBuilder::new(options);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    for record in records {
        let (key, value) = (record.key(), record.value().unwrap());
        let timestamp = Timestamp(now.as_millis() as i64);
        let record = RecordToWrite { timestamp, key: Some(&key), value: Some(&value), headers: &[] };
        builder.append(&record).unwrap();
    }
    builder.build_vec(&mut Compressor::new()).unwrap()
}

/// The first batch of a directory that is formatted without voters, as a snapshot.
pub(crate) fn formatted(version: KraftVersion) -> Bytes {
    let start = ControlRecord::snapshot_start(Timestamp(0), version, &VoterSet::default());
    let mut bytes = control_batch(&start, Offset(0), LeaderEpoch(0));
    let footer = [ControlRecord::snapshot_footer()];
    bytes.extend(control_batch(&footer, Offset(start.len() as i64), LeaderEpoch(0)));
    bytes.into()
}
