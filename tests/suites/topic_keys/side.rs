//! A topic on one of the servers, with all that can be seen of it: answers, batches, files.

use ottla_protocol::ApiKey;
use ottla_records::{
    AnyBatches, BatchBuilder, BatchOptions, Compression, CompressionLevel, Compressor, RecordToWrite, TimestampType,
};
use ottla_tests::raw::{base64, unbase64};
use ottla_tests::{Asker, unique};
use ottla_types::Timestamp;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub(crate) const HOUR: i64 = 3_600_000;
const PATIENCE: Duration = Duration::from_secs(90);
/// In that time a server has looked after its logs several times.
const PAUSE: Duration = Duration::from_millis(1_500);

pub(crate) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

/// A server.
pub(crate) struct Place {
    pub(crate) name: &'static str,
    pub(crate) address: String,
    pub(crate) data: PathBuf,
}

/// A batch of one record.
pub(crate) struct Records {
    pub(crate) key: String,
    pub(crate) value_bytes: usize,
    pub(crate) is_tombstone: bool,
    /// Words in disorder instead of one letter.
    pub(crate) is_text: bool,
    pub(crate) timestamp: i64,
    pub(crate) codec: Compression,
}

impl Default for Records {
    fn default() -> Self {
        Self {
            key: "key".to_owned(),
            value_bytes: 10,
            is_tombstone: false,
            is_text: false,
            timestamp: now(),
            codec: Compression::None,
        }
    }
}

impl Records {
    fn batch(&self) -> Vec<u8> {
        let mut value = vec![b'x'; self.value_bytes];
        if self.is_text {
            let mut number = 1u32;
            for byte in &mut value {
                number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *byte = b"aeinrst "[(number >> 29) as usize];
            }
        }
        let compression = CompressionLevel::default_of(self.codec);
        let mut builder = BatchBuilder::new(BatchOptions { compression, ..BatchOptions::default() });
        let record = RecordToWrite {
            timestamp: Timestamp(self.timestamp),
            key: Some(self.key.as_bytes()),
            value: (!self.is_tombstone).then_some(&value),
            headers: &[],
        };
        builder.append(&record).unwrap();
        builder.build_vec(&mut Compressor::default()).unwrap()
    }
}

/// A batch as it was stored.
pub(crate) struct Stored {
    pub(crate) codec: Compression,
    pub(crate) bytes: usize,
    pub(crate) is_append_time: bool,
    pub(crate) max_timestamp: i64,
    offsets: Vec<i64>,
}

/// A topic with one partition.
pub(crate) struct Topic {
    asker: Asker,
    name: String,
    directory: PathBuf,
}

impl Topic {
    pub(crate) fn new(place: &Place, name: &str) -> Self {
        let name = unique(name);
        let mut asker = Asker::new(place.address.clone());
        let body =
            json!({ "topics": [{ "name": name, "numPartitions": 1, "replicationFactor": 1 }], "timeoutMs": 30_000 });
        let answer = asker.ask(ApiKey::CreateTopics, 7, &body).unwrap();
        assert_eq!(answer["topics"][0]["errorCode"], 0, "{answer}");
        let directory = place.data.join(format!("{name}-0"));
        Self { asker, name, directory }
    }

    fn ask(&mut self, api: ApiKey, version: i16, body: &Value) -> Value {
        self.asker.ask(api, version, body).unwrap()
    }

    /// Changes configurations at run time.
    pub(crate) fn alter(&mut self, configs: &[(&str, &str)]) {
        let configs: Value =
            configs.iter().map(|(name, value)| json!({ "name": name, "configOperation": 0, "value": value })).collect();
        let body = json!({ "resources": [{ "resourceType": 2, "resourceName": self.name, "configs": configs }] });
        let answer = self.ask(ApiKey::IncrementalAlterConfigs, 1, &body);
        assert_eq!(answer["responses"][0]["errorCode"], 0, "{answer}");
        // A broker learns of it a little later.
        sleep(Duration::from_millis(300));
    }

    /// The partition's part of the answer.
    pub(crate) fn produce(&mut self, records: &Records) -> Value {
        let partition = json!({ "index": 0, "records": base64(&records.batch()) });
        let body = json!({ "acks": -1, "timeoutMs": 30_000, "topicData": [{ "name": self.name, "partitionData": [partition] }] });
        self.ask(ApiKey::Produce, 9, &body)["responses"][0]["partitionResponses"][0].clone()
    }

    /// Has the next record begin a new segment: one from long after the others.
    pub(crate) fn roll(&mut self) {
        let before = self.segments().len();
        self.alter(&[("segment.ms", "1")]);
        sleep(Duration::from_millis(5));
        self.produce(&Records { key: "of the next segment".to_owned(), ..Records::default() });
        assert!(self.segments().len() > before, "{}: no new segment", self.name);
        self.alter(&[("segment.ms", "604800000")]);
    }

    fn offset(&mut self, timestamp: i64) -> i64 {
        let partition = json!({ "partitionIndex": 0, "currentLeaderEpoch": -1, "timestamp": timestamp });
        let body = json!({ "replicaId": -1, "isolationLevel": 0, "topics": [{ "name": self.name, "partitions": [partition] }] });
        self.ask(ApiKey::ListOffsets, 7, &body)["topics"][0]["partitions"][0]["offset"].as_i64().unwrap()
    }

    pub(crate) fn log_start(&mut self) -> i64 {
        self.offset(-2)
    }

    pub(crate) fn log_end(&mut self) -> i64 {
        self.offset(-1)
    }

    pub(crate) fn delete_records(&mut self, before: i64) {
        let body = json!({ "topics": [{ "name": self.name, "partitions": [{ "partitionIndex": 0, "offset": before }] }], "timeoutMs": 30_000 });
        assert_eq!(self.ask(ApiKey::DeleteRecords, 2, &body)["topics"][0]["partitions"][0]["errorCode"], 0);
    }

    pub(crate) fn batches(&mut self) -> Vec<Stored> {
        let (mut offset, mut stored) = (self.log_start(), Vec::new());
        loop {
            let partition = json!({ "partition": 0, "currentLeaderEpoch": -1, "fetchOffset": offset, "logStartOffset": -1, "partitionMaxBytes": 10_000_000 });
            let body = json!({ "replicaId": -1, "maxWaitMs": 0, "minBytes": 0, "maxBytes": 10_000_000, "isolationLevel": 0, "sessionId": 0,
                "sessionEpoch": -1, "topics": [{ "topic": self.name, "partitions": [partition] }], "forgottenTopicsData": [], "rackId": "" });
            let answer = self.ask(ApiKey::Fetch, 12, &body);
            let bytes = unbase64(answer["responses"][0]["partitions"][0]["records"].as_str().unwrap_or(""));
            if bytes.is_empty() {
                return stored;
            }
            let mut decompressor = ottla_records::Decompressor::new(1 << 24);
            for batch in AnyBatches::new(&bytes).map_while(Result::ok) {
                let records = batch.records(&mut decompressor).unwrap();
                stored.push(Stored {
                    codec: batch.compression().unwrap(),
                    bytes: batch.size(),
                    is_append_time: batch.timestamp_type() == TimestampType::LogAppendTime,
                    max_timestamp: batch.max_timestamp().0,
                    offsets: records.map(|record| record.unwrap().offset.value()).collect(),
                });
                offset = batch.last_offset().value() + 1;
            }
        }
    }

    /// The offsets of all records but those that only began a segment.
    pub(crate) fn offsets(&mut self) -> Vec<i64> {
        self.batches().iter().flat_map(|batch| batch.offsets.clone()).collect()
    }

    /// The names of files that end so.
    pub(crate) fn files(&self, suffix: &str) -> Vec<String> {
        let names = fs::read_dir(&self.directory).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = names.filter_map(|name| name.into_string().ok()).collect();
        names.retain(|name| name.ends_with(suffix));
        names.sort();
        names
    }

    /// Where the segments begin.
    pub(crate) fn segments(&self) -> Vec<i64> {
        self.files(".log").iter().map(|name| name.trim_end_matches(".log").parse().unwrap()).collect()
    }

    fn bytes_of(&self, name: &str) -> u64 {
        fs::metadata(self.directory.join(name)).unwrap().len()
    }

    /// The length of the active segment's file, or the space that it has beyond that.
    pub(crate) fn active_bytes_on_disk(&self) -> u64 {
        let file = fs::metadata(self.directory.join(self.files(".log").pop().unwrap())).unwrap();
        file.len().max(file.blocks() * 512)
    }

    /// The sizes of both indexes of the last sealed segment.
    pub(crate) fn sealed_index_bytes(&self) -> Vec<u64> {
        let sealed = self.files(".log").into_iter().rev().nth(1).unwrap();
        [".index", ".timeindex"].map(|suffix| self.bytes_of(&sealed.replace(".log", suffix))).to_vec()
    }

    /// What the directory's checkpoint says.
    pub(crate) fn recovery_point(&self) -> Option<i64> {
        let checkpoint = self.directory.parent().unwrap().join("recovery-point-offset-checkpoint");
        let text = fs::read_to_string(checkpoint).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{} 0 ", self.name)).map(str::to_owned));
        line?.parse().ok()
    }

    /// Waits until the server has looked after its logs.
    pub(crate) fn pause(&self) {
        sleep(PAUSE);
    }

    /// Waits until something is so.
    pub(crate) fn wait(&mut self, is_so: impl Fn(&mut Self) -> bool) -> &mut Self {
        let end = Instant::now() + PATIENCE;
        while !is_so(self) {
            assert!(Instant::now() < end, "{}: it does not come about", self.name);
            sleep(Duration::from_millis(50));
        }
        self
    }
}
