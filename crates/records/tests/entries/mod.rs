//! What the fuzz targets and the mutation tests feed: any bytes go in, nothing panics, and what is accepted keeps its
//! promises.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used, missing_docs)]

use ottla_records::*;
use ottla_types::{LeaderEpoch, Offset, Timestamp};

/// The most that may come out of one batch here.
pub const LIMIT: usize = 1 << 18;

const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// Batches of any format, as they come from a file or a Fetch answer.
pub fn batches(bytes: &[u8]) {
    let mut decompressor = Decompressor::new(LIMIT);
    let mut end = 0;
    for batch in AnyBatches::new(bytes) {
        let Ok(batch) = batch else { break };
        end += batch.size();
        assert!(end <= bytes.len());
        walk(batch, &mut decompressor);
    }
    let _ = validate_replicated(bytes, LeaderEpoch(5));
}

fn walk(batch: AnyBatch<'_>, decompressor: &mut Decompressor) {
    let _ = format!("{batch:?}");
    let Ok(records) = batch.records(decompressor) else { return };
    let mut count = 0;
    for record in records {
        let Ok(record) = record else { break };
        assert_eq!(record.headers.iter().count(), record.headers.len());
        for header in record.headers {
            let _ = header.key_text();
        }
        if let Ok(control) = ControlRecord::parse(&record) {
            let _ = control.end_transaction();
        }
        count += 1;
    }
    assert!(count <= LIMIT.max(batch.size()));
}

/// One batch that a client wants appended; the checksum is made right first, since no mutation hits it.
pub fn produce(bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    make_checksum_right(&mut bytes);
    let mut decompressor = Decompressor::new(LIMIT);
    for (index, target) in [None, Some(Compression::None), Some(Compression::Lz4)].into_iter().enumerate() {
        let options = ValidationOptions {
            origin: AppendOrigin::Client,
            depth: ValidationDepth::Records,
            batch_bytes_max: 1 << 20,
            record_bytes_max: usize::MAX,
            is_compacted: index == 1,
            timestamp_type: if index == 2 { TimestampType::LogAppendTime } else { TimestampType::CreateTime },
            now: NOW,
            timestamp_before_milliseconds_max: i64::MAX,
            timestamp_after_milliseconds_max: i64::MAX,
            target_compression: target,
            leader_epoch: LeaderEpoch(3),
        };
        match validate_for_append(&bytes, &options, &mut decompressor) {
            Ok(valid) => stored(&bytes, &valid, &options, &mut decompressor),
            Err(invalid) => {
                let _ = (invalid.to_string(), invalid.error_code());
            }
        }
    }
}

/// What was found valid must be patched and read back without fault.
fn stored(bytes: &[u8], valid: &ValidatedBatch, options: &ValidationOptions, decompressor: &mut Decompressor) {
    let mut stored = bytes[..valid.size].to_vec();
    if valid.action == AppendAction::Rebuild {
        let rebuild_options = RebuildOptions {
            compression: options.target_compression.unwrap_or_default().into(),
            base_offset: Offset(77),
            partition_leader_epoch: LeaderEpoch(3),
            log_append_time: (options.timestamp_type == TimestampType::LogAppendTime).then_some(NOW),
        };
        let batch = RecordBatchView::parse(&stored).unwrap();
        match rebuild(batch, &rebuild_options, decompressor, &mut Compressor::new()) {
            Ok(rebuilt) => stored = rebuilt,
            Err(RebuildError::Build(BuildError::InvalidTimestamp(_))) => return,
            Err(error) => panic!("a valid batch could not be rebuilt: {error}"),
        }
    } else {
        valid.patch(&mut stored, Offset(77), LeaderEpoch(3)).unwrap();
    }
    let batch = RecordBatchView::parse(&stored).unwrap();
    assert!(batch.is_checksum_valid());
    assert_eq!(batch.size(), stored.len());
    assert_eq!(batch.timestamp_type(), valid.timestamp_type);
    let mut expected = Offset(77);
    for record in batch.records(decompressor).unwrap() {
        assert_eq!(record.unwrap().offset, expected);
        expected = expected.next();
    }
    assert_eq!(expected, batch.next_offset());
}

/// A message set of format 0 or 1, its first message's format and checksum made right.
pub fn legacy(bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    if let Some(magic) = bytes.get_mut(16) {
        *magic &= 1;
    }
    batches(&bytes);
    if let Ok(message) = LegacyMessageView::parse(&bytes) {
        let _ = message.is_checksum_valid();
        walk(AnyBatch::Legacy(message), &mut Decompressor::new(LIMIT));
    }
}

/// Bytes that a codec did not write; the first byte chooses the codec.
pub fn decompress(bytes: &[u8]) {
    let Some((&choice, input)) = bytes.split_first() else { return };
    let codec = Compression::ALL[1 + usize::from(choice % 4)];
    decompress_with(codec, input);
}

pub fn decompress_with(codec: Compression, input: &[u8]) {
    // Two limits, so that the one is often hit exactly where the other lets pass.
    for limit in [LIMIT, 1000] {
        let mut decompressor = Decompressor::new(limit);
        let first = decompressor.decompress(codec, input).map(<[u8]>::to_vec);
        if let Ok(output) = &first {
            assert!(output.len() <= limit);
        }
        // A context that is used again gives the same.
        assert_eq!(decompressor.decompress(codec, input).map(<[u8]>::to_vec), first);
    }
}

/// Any bytes survive every codec; the first two bytes choose it and its level.
pub fn round_trip(bytes: &[u8]) {
    let [choice, level, input @ ..] = bytes else { return };
    let codec = Compression::ALL[usize::from(choice % 5)];
    let level = CompressionLevel::new(codec, i32::from(level % 24)).unwrap_or(codec.into());
    let mut compressed = Vec::new();
    Compressor::new().compress(level, input, &mut compressed).unwrap();
    let mut decompressor = Decompressor::new(input.len());
    assert_eq!(decompressor.decompress(codec, &compressed).unwrap(), input);
}

pub fn make_checksum_right(bytes: &mut [u8]) {
    if let Ok(batch) = RecordBatchView::parse(bytes) {
        let checksum = batch.computed_checksum().to_be_bytes();
        bytes[17..21].copy_from_slice(&checksum);
    }
}
