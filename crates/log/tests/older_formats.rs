//! A log that older releases wrote, in the message formats 0 and 1: it is opened, read on, appended to and compacted.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod fixture;

use fixture::{CLIENT, START, World, partition, stop};
use ottla_env::OpenMode;
use ottla_log::{CleanupPolicy, CompactionSettings, Log, LogConfig, ReadBound, ReadRequest};
use ottla_records::{
    AnyBatch, AnyBatches, BatchBuilder, BatchOptions, Compression, Compressor, Decompressor, RecordToWrite,
};
use ottla_types::LeaderEpoch;

const SETTINGS: CompactionSettings = CompactionSettings {
    dedupe_bytes: 1 << 20,
    load_factor: 0.9,
    decompressed_bytes_max: 1 << 20,
    bytes_per_second: f64::MAX,
};

/// A message as an old producer or broker wrote it.
fn message(magic: u8, offset: i64, codec: Compression, key: Option<&[u8]>, value: Option<&[u8]>) -> Vec<u8> {
    let mut body = vec![magic, codec.id()];
    if magic == 1 {
        body.extend(START.0.to_be_bytes());
    }
    for bytes in [key, value] {
        body.extend(bytes.map_or(-1, |bytes| bytes.len() as i32).to_be_bytes());
        body.extend(bytes.unwrap_or_default());
    }
    let mut bytes = offset.to_be_bytes().to_vec();
    bytes.extend((body.len() as i32 + 4).to_be_bytes());
    bytes.extend(crc_fast::crc32_iso_hdlc(&body).to_be_bytes());
    bytes.extend(body);
    bytes
}

fn record(magic: u8, offset: i64, key: &str, value: Option<&str>) -> Vec<u8> {
    message(magic, offset, Compression::None, Some(key.as_bytes()), value.map(str::as_bytes))
}

/// A set of format 1: offsets inside count from the first.
fn set(last: i64, codec: Compression, inside: &[Vec<u8>]) -> Vec<u8> {
    let mut value = Vec::new();
    Compressor::new().compress(codec, &inside.concat(), &mut value).unwrap();
    message(1, last, codec, None, Some(&value))
}

/// Format, offset, key and value of every record.
fn read(log: &Log) -> Vec<(i8, i64, String, Option<String>)> {
    let request = ReadRequest {
        offset: log.log_start_offset(),
        max_bytes: 1 << 20,
        min_one_batch: true,
        bound: ReadBound::LogEnd,
    };
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (mut found, mut request) = (Vec::new(), request);
    loop {
        let slice = log.read(request).unwrap();
        let bytes: Vec<u8> = slice.ranges.iter().flat_map(|range| range.read().unwrap()).collect();
        if bytes.is_empty() {
            return found;
        }
        for batch in AnyBatches::new(&bytes) {
            let batch: AnyBatch<'_> = batch.unwrap();
            assert!(batch.is_checksum_valid());
            request.offset = batch.last_offset().next();
            for record in batch.records(&mut Decompressor::new(1 << 20)).unwrap() {
                let record = record.unwrap();
                let (key, value) = (text(record.key.unwrap()), record.value.map(text));
                found.push((batch.magic(), record.offset.0, key, value));
            }
        }
    }
}

fn append(log: &Log, key: &str, value: &str) {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    let record =
        RecordToWrite { timestamp: START, key: Some(key.as_bytes()), value: Some(value.as_bytes()), headers: &[] };
    builder.append(&record).unwrap();
    let mut batch = builder.build_vec(&mut Compressor::new()).unwrap();
    log.append_as_leader(&mut batch, LeaderEpoch(0), CLIENT).unwrap();
    log.set_high_watermark(log.log_end_offset());
}

#[test]
fn compaction_makes_batches_of_what_stays_of_older_messages() {
    for world in World::both() {
        let directory = world.path.join(partition().to_string());
        world.disk.create_directory(&directory).unwrap();
        let inside = |number: i64, key: &str, value: Option<&str>| record(1, number, key, value);
        let contents = [
            record(0, 0, "a", Some("zero")),
            record(0, 1, "b", Some("zero")),
            set(
                4,
                Compression::Gzip,
                &[inside(0, "a", Some("one")), inside(1, "c", None), inside(2, "d", Some("one"))],
            ),
            set(6, Compression::Snappy, &[inside(0, "d", Some("two")), inside(1, "d", Some("three"))]),
            record(1, 7, "e", Some("one")),
        ];
        let file = world.disk.open(&directory.join("00000000000000000000.log"), OpenMode::CreateReadWrite).unwrap();
        file.write_at(&contents.concat(), 0).unwrap();
        let config = LogConfig {
            cleanup_policy: CleanupPolicy { delete: false, compact: true },
            min_cleanable_dirty_ratio: 0.0,
            delete_retention_ms: 1_000,
            file_delete_delay_ms: 0,
            ..LogConfig::default()
        };
        let directories = world.load(&config);
        let log = directories.get(&partition()).unwrap();
        assert_eq!(read(&log).len(), 8);
        append(&log, "e", "two");
        log.roll().unwrap();
        append(&log, "b", "active");
        assert!(directories.compact_next(&SETTINGS, START).is_some());
        let of = |offset: i64, key: &str, value: Option<&str>| (2, offset, key.to_owned(), value.map(str::to_owned));
        let first = vec![
            of(1, "b", Some("zero")),
            of(2, "a", Some("one")),
            of(3, "c", None),
            of(6, "d", Some("three")),
            of(8, "e", Some("two")),
            of(9, "b", Some("active")),
        ];
        assert_eq!(read(&log), first);
        log.roll().unwrap();
        append(&log, "f", "one");
        assert!(directories.compact_next(&SETTINGS, START.plus_milliseconds(1_000)).is_some());
        let second =
            [of(2, "a", Some("one")), first[3].clone(), first[4].clone(), first[5].clone(), of(10, "f", Some("one"))];
        assert_eq!(read(&log), second);
        drop(log);
        stop(directories);
        let directories = world.load(&config);
        assert_eq!(read(&directories.get(&partition()).unwrap()), second);
        stop(directories);
    }
}
