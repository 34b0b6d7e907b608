use super::wire::{Wire, error};
use super::world::{World, now_ms};
use crate::history::{LogName, Value, WriterId};
use ottla_protocol::ErrorCode;
use ottla_protocol::RecordSet;
use ottla_protocol::messages::ProduceRequest;
use ottla_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use ottla_records::{BatchBuilder, BatchOptions, Compressor, RecordToWrite};
use ottla_types::{ProducerEpoch, ProducerId, Sequence, Timestamp};
use std::io;

/// The first version that names topics by their ids, so that no record goes to another life of a topic.
const PRODUCE: i16 = 13;

/// How long the server may take.
const TIMEOUT_MS: i32 = 10_000;

/// The producer of a transaction.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Its transactional id.
    pub transactional_id: String,
    /// Its producer id.
    pub id: i64,
    /// Its epoch.
    pub epoch: i16,
    /// The next sequence.
    pub sequence: i32,
}

/// A record to write.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The key, if any.
    pub key: Option<u32>,
    /// Whether it is a tombstone; then it has no value to be known by.
    pub is_tombstone: bool,
}

impl Entry {
    /// A record without a key.
    pub const PLAIN: Self = Self { key: None, is_tombstone: false };
}

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// It is at this offset.
    At(i64),
    /// The server says that it is nowhere.
    Refused(ErrorCode),
    /// Nobody knows.
    Unknown,
}

/// Writes numbered records to one log, one batch at a time and none twice.
#[derive(Debug)]
pub struct LogWriter {
    /// Which log.
    pub log: LogName,
    writer: WriterId,
    wire: Wire,
    compressor: Compressor,
    padding: usize,
}

impl LogWriter {
    /// A new writer whose records are filled up by so many bytes.
    pub fn new(world: &World, log: LogName, padding: usize) -> Self {
        let writer = world.history().records.writer(log.id);
        Self { log, writer, wire: Wire::new(&world.address), compressor: Compressor::new(), padding }
    }

    /// Who it is in the history.
    pub fn id(&self) -> WriterId {
        self.writer
    }

    /// Writes records and notes what became of them. Also answers which they were.
    pub fn write(
        &mut self,
        world: &World,
        entries: &[Entry],
        acks: i16,
        identity: Option<&Identity>,
    ) -> (Vec<Value>, Written) {
        let values: Vec<Value> = {
            let history = &mut world.history();
            entries.iter().map(|_| history.records.send(self.writer)).collect()
        };
        let written = match self.request(entries, &values, acks, identity) {
            Ok(request) if acks == 0 => self.wire.tell(PRODUCE, &request).map(|()| Written::Unknown),
            Ok(request) => self.wire.ask(PRODUCE, &request).map(|answer| {
                let partition = answer.responses.first().and_then(|topic| topic.partition_responses.first());
                partition.map_or(Written::Unknown, |partition| judge(partition.error_code, partition.base_offset))
            }),
            Err(error) => Err(error),
        };
        let written = written.unwrap_or(Written::Unknown);
        self.note(world, entries, &values, &written);
        (values, written)
    }

    fn note(&self, world: &World, entries: &[Entry], values: &[Value], written: &Written) {
        match written {
            Written::At(base) => {
                for (offset, (value, entry)) in (*base..).zip(values.iter().zip(entries)) {
                    if !entry.is_tombstone {
                        world.acknowledged(&self.log, offset, *value);
                    }
                }
            }
            Written::Refused(_) => {
                let history = &mut world.history();
                values.iter().for_each(|value| history.records.refused(*value));
            }
            Written::Unknown => {}
        }
    }

    fn request(
        &mut self,
        entries: &[Entry],
        values: &[Value],
        acks: i16,
        identity: Option<&Identity>,
    ) -> io::Result<ProduceRequest> {
        let mut options = BatchOptions::default();
        if let Some(identity) = identity {
            options.producer_id = ProducerId(identity.id);
            options.producer_epoch = ProducerEpoch(identity.epoch);
            options.base_sequence = Sequence(identity.sequence);
            options.is_transactional = true;
        }
        let mut batch = BatchBuilder::new(options);
        for (value, entry) in values.iter().zip(entries) {
            let key = entry.key.map(|key| key.to_string());
            let text = value.text(0, self.padding);
            let record = RecordToWrite {
                timestamp: Timestamp(now_ms()),
                key: key.as_deref().map(str::as_bytes),
                value: (!entry.is_tombstone).then_some(text.as_bytes()),
                headers: &[],
            };
            batch.append(&record).map_err(io::Error::other)?;
        }
        let records = batch.build(&mut self.compressor).map_err(io::Error::other)?;
        let partition = PartitionProduceData {
            index: self.log.partition,
            records: RecordSet::Bytes(records),
            ..Default::default()
        };
        let topic = TopicProduceData { topic_id: self.log.id, partition_data: vec![partition], ..Default::default() };
        Ok(ProduceRequest {
            transactional_id: identity.map(|identity| identity.transactional_id.clone()),
            acks,
            timeout_ms: TIMEOUT_MS,
            topic_data: vec![topic],
            ..Default::default()
        })
    }
}

fn judge(code: i16, base_offset: i64) -> Written {
    match error(code) {
        ErrorCode::None => Written::At(base_offset),
        // Something of it may have been done.
        // A leader that hands over says so too of what it has appended and not acknowledged.
        ErrorCode::NotLeaderOrFollower
        | ErrorCode::RequestTimedOut
        | ErrorCode::NotEnoughReplicasAfterAppend
        | ErrorCode::UnknownServerError
        | ErrorCode::KafkaStorageError => Written::Unknown,
        error => Written::Refused(error),
    }
}
