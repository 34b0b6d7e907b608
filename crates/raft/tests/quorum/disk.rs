//! A directory: what is in the log, how much of it a crash leaves, and the files beside it.

use crate::chance::{Chance, mix, mix_bytes};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use ottla_raft::{BatchSummary, ControlRecord, KraftVersion, LogState, OffsetAndEpoch, SnapshotId, VoterSet};
use ottla_types::{DirectoryId, LeaderEpoch, Offset};
use std::collections::BTreeMap;

/// What one offset of a log holds. In these runs each record is a batch of its own.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Content {
    Data(u64),
    Control(ControlRecord),
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Entry {
    pub(crate) epoch: i32,
    pub(crate) content: Content,
    /// A hash of this entry and all before it, whether they are still there or not.
    pub(crate) chain: u64,
}

/// A log: entries from `start` on.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct LogImage {
    pub(crate) start: OffsetAndEpoch,
    pub(crate) start_chain: u64,
    pub(crate) entries: Vec<Entry>,
}

impl LogImage {
    pub(crate) fn end(&self) -> i64 {
        self.start.offset.0 + self.entries.len() as i64
    }

    pub(crate) fn get(&self, offset: i64) -> Option<&Entry> {
        usize::try_from(offset - self.start.offset.0).ok().and_then(|i| self.entries.get(i))
    }

    /// The hash of everything below an offset; `None` if that is not known here.
    pub(crate) fn chain_below(&self, offset: i64) -> Option<u64> {
        if offset == self.start.offset.0 { Some(self.start_chain) } else { self.get(offset - 1).map(|e| e.chain) }
    }

    pub(crate) fn push(&mut self, epoch: i32, content: Content) {
        let before = self.entries.last().map_or(self.start_chain, |entry| entry.chain);
        let chain = mix(before, epoch as u64);
        let chain = match &content {
            Content::Data(value) => mix(chain, *value),
            Content::Control(record) => mix_bytes(mix(chain, 1), &record.value().unwrap_or_default()),
        };
        self.entries.push(Entry { epoch, content, chain });
    }

    pub(crate) fn truncate(&mut self, end: i64) {
        self.entries.truncate(usize::try_from(end - self.start.offset.0).unwrap_or(0));
    }

    pub(crate) fn delete_below(&mut self, id: SnapshotId) {
        let count = usize::try_from(id.0.offset.0 - self.start.offset.0).unwrap_or(0).min(self.entries.len());
        if let Some(chain) = self.chain_below(id.0.offset.0) {
            self.start_chain = chain;
            self.entries.drain(..count);
            self.start = id.0;
        }
    }

    pub(crate) fn epoch_before(&self, offset: i64) -> i32 {
        self.get(offset - 1).map_or(self.start.epoch.0, |entry| entry.epoch)
    }
}

/// What a snapshot file holds: the voters, and in place of an image a hash of everything that went into it.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct SnapshotFile {
    pub(crate) version: KraftVersion,
    pub(crate) voters: Option<VoterSet>,
    pub(crate) chain: u64,
}

impl SnapshotFile {
    pub(crate) fn to_bytes(&self) -> Bytes {
        let mut bytes = BytesMut::new();
        bytes.put_i16(self.version.level());
        bytes.put_u64(self.chain);
        let voters = self.voters.as_ref().map(|voters| ControlRecord::Voters(voters.to_record()).value().unwrap());
        bytes.put_u32(voters.as_ref().map_or(u32::MAX, |voters| voters.len() as u32));
        bytes.extend_from_slice(&voters.unwrap_or_default());
        // Long enough to be fetched in several parts.
        bytes.extend_from_slice(&[7; 300]);
        bytes.freeze()
    }

    pub(crate) fn from_bytes(mut bytes: Bytes) -> Option<Self> {
        if bytes.len() < 314 {
            return None;
        }
        let version = KraftVersion::from_level(bytes.get_i16())?;
        let chain = bytes.get_u64();
        let length = bytes.get_u32();
        let voters = if length == u32::MAX {
            None
        } else {
            let record = bytes.split_to(length as usize);
            match ControlRecord::decode(&[0, 0, 0, 6], &record).ok()?? {
                ControlRecord::Voters(record) => Some(VoterSet::from_record(&record)),
                _ => return None,
            }
        };
        (bytes.len() == 300 && bytes.iter().all(|byte| *byte == 7)).then_some(Self { version, voters, chain })
    }
}

/// One directory.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    pub(crate) directory: DirectoryId,
    /// What the process sees.
    pub(crate) log: LogImage,
    /// What a crash leaves at least.
    pub(crate) durable: LogImage,
    pub(crate) quorum_state: Option<String>,
    pub(crate) old_quorum_state: Option<String>,
    pub(crate) snapshots: BTreeMap<SnapshotId, Bytes>,
    pub(crate) part: Option<(SnapshotId, BytesMut)>,
    /// Counts truncations, so that a flush that began before one is known.
    pub(crate) generation: u64,
}

impl Disk {
    pub(crate) fn new(directory: DirectoryId) -> Self {
        Self {
            directory,
            log: LogImage::default(),
            durable: LogImage::default(),
            quorum_state: None,
            old_quorum_state: None,
            snapshots: BTreeMap::new(),
            part: None,
            generation: 0,
        }
    }

    /// The power fails. Some of what was not flushed may have reached the disk.
    pub(crate) fn crash(&mut self, chance: &mut Chance) {
        let extends = self.log.start == self.durable.start
            && self.log.entries.get(..self.durable.entries.len()) == Some(self.durable.entries.as_slice());
        if extends {
            let lost = (self.log.entries.len() - self.durable.entries.len()) as u64;
            let kept = self.log.entries.len() as u64 - chance.between(0, lost);
            self.log.entries.truncate(kept as usize);
        } else {
            self.log = self.durable.clone();
        }
        // Starting, a node flushes what it finds before it counts on it.
        self.durable = self.log.clone();
        self.part = None;
        self.generation += 1;
    }

    /// What a node that starts tells its machine of the log.
    pub(crate) fn log_state(&self) -> LogState {
        let newest = self.snapshots.iter().next_back();
        let mut state = match newest {
            Some((id, bytes)) => {
                let file = SnapshotFile::from_bytes(bytes.clone()).expect("a snapshot under its name is whole");
                LogState::from_snapshot(*id, bytes.len() as u64, file.version, file.voters)
            }
            None => LogState::default(),
        };
        for (id, bytes) in &self.snapshots {
            state.note_snapshot(*id, bytes.len() as u64);
        }
        let from = newest.map_or(0, |(id, _)| id.0.offset.0);
        for offset in from..self.log.end() {
            let entry = self.log.get(offset).expect("no gap between snapshot and log");
            state.note_durable(&summary(offset, entry)).expect("the log follows from the snapshot");
        }
        state
    }
}

pub(crate) fn summary(offset: i64, entry: &Entry) -> BatchSummary {
    let control = match &entry.content {
        Content::Control(record) => vec![(Offset(offset), record.clone())],
        Content::Data(_) => Vec::new(),
    };
    BatchSummary { base_offset: Offset(offset), last_offset: Offset(offset), epoch: LeaderEpoch(entry.epoch), control }
}

/// Entries as the bytes of a fetch.
pub(crate) fn encode(log: &LogImage, from: i64, bytes_max: i32) -> Bytes {
    let mut bytes = BytesMut::new();
    for offset in from..log.end() {
        let Some(entry) = log.get(offset) else { break };
        let (tag, payload) = match &entry.content {
            Content::Data(value) => (-1, Bytes::copy_from_slice(&value.to_be_bytes())),
            Content::Control(record) => (record.type_code(), record.value().unwrap()),
        };
        if !bytes.is_empty() && bytes.len() + payload.len() + 18 > usize::try_from(bytes_max).unwrap_or(0) {
            break;
        }
        bytes.put_i64(offset);
        bytes.put_i32(entry.epoch);
        bytes.put_i16(tag);
        bytes.put_u32(payload.len() as u32);
        bytes.extend_from_slice(&payload);
    }
    bytes.freeze()
}

/// The entries in the bytes of a fetch.
pub(crate) fn decode(mut bytes: Bytes) -> Vec<(i64, i32, Content)> {
    let mut entries = Vec::new();
    while bytes.len() >= 18 {
        let (offset, epoch, tag) = (bytes.get_i64(), bytes.get_i32(), bytes.get_i16());
        let length = bytes.get_u32() as usize;
        let payload = bytes.split_to(length);
        let content = if tag < 0 {
            Content::Data(u64::from_be_bytes(payload.as_ref().try_into().unwrap()))
        } else {
            let [high, low] = tag.to_be_bytes();
            Content::Control(ControlRecord::decode(&[0, 0, high, low], &payload).unwrap().unwrap())
        };
        entries.push((offset, epoch, content));
    }
    entries
}
