//! What a hostile producer or a rotten disk may send: each case is refused with the error code that Kafka's protocol
//! has for it, or read as far as it is sound.

#![allow(clippy::unwrap_used, clippy::panic)]

mod entries;
mod support;

use ottla_records::*;
use ottla_types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};
use support::Numbers;
use support::case::Case;

const NOW: Timestamp = Timestamp(1_700_000_000_000);
const CORRUPT_MESSAGE: i16 = 2;
const MESSAGE_TOO_LARGE: i16 = 10;
const INVALID_TIMESTAMP: i16 = 32;
const INVALID_PRODUCER_EPOCH: i16 = 47;
const UNSUPPORTED_COMPRESSION_TYPE: i16 = 76;
const INVALID_RECORD: i16 = 87;

const OPTIONS: ValidationOptions = ValidationOptions {
    origin: AppendOrigin::Client,
    depth: ValidationDepth::Records,
    batch_bytes_max: 1_048_588,
    record_bytes_max: usize::MAX,
    is_compacted: false,
    timestamp_type: TimestampType::CreateTime,
    now: NOW,
    timestamp_before_milliseconds_max: i64::MAX,
    timestamp_after_milliseconds_max: 3_600_000,
    target_compression: None,
    leader_epoch: LeaderEpoch(0),
};

fn code_with(options: &ValidationOptions, bytes: &[u8]) -> i16 {
    match validate_for_append(bytes, options, &mut Decompressor::new(1 << 20)) {
        Ok(_) => 0,
        Err(invalid) => invalid.error_code(),
    }
}

fn code(bytes: &[u8]) -> i16 {
    code_with(&OPTIONS, bytes)
}

fn batch_of(options: BatchOptions, values: &[&[u8]]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(options);
    for value in values {
        let record = RecordToWrite { timestamp: NOW, key: Some(b"key"), value: Some(value), headers: &[] };
        builder.append(&record).unwrap();
    }
    builder.build_vec(&mut Compressor::new()).unwrap()
}

/// Three sound records; the batch is then damaged and its checksum made right.
fn damaged(damage: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = batch_of(BatchOptions::default(), &[b"one", b"two", b"three"]);
    damage(&mut bytes);
    entries::make_checksum_right(&mut bytes);
    bytes
}

fn put<const N: usize>(bytes: &mut [u8], at: usize, value: [u8; N]) {
    bytes[at..at + N].copy_from_slice(&value);
}

/// A batch with the given bytes as its records.
fn with_body(count: i32, codec: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = batch_of(BatchOptions::default(), &[b""]);
    bytes.truncate(BATCH_HEADER_BYTES);
    bytes.extend_from_slice(body);
    let length = (bytes.len() - LENGTH_PREFIX_BYTES) as i32;
    put(&mut bytes, 8, length.to_be_bytes());
    put(&mut bytes, 21, i16::from(codec).to_be_bytes());
    put(&mut bytes, 23, (count - 1).to_be_bytes());
    put(&mut bytes, 57, count.to_be_bytes());
    entries::make_checksum_right(&mut bytes);
    bytes
}

#[test]
fn a_sound_batch_is_accepted_which_all_the_others_are_made_of() {
    assert_eq!(code(&damaged(|_| {})), 0);
    // length, attributes, timestamp delta, offset delta, key, value, no headers
    assert_eq!(code(&with_body(1, 0, &[14, 0, 0, 0, 1, 2, b'v', 0])), 0);
}

#[test]
fn produce_needs_exactly_one_batch() {
    assert_eq!(code(&[]), INVALID_RECORD);
    let sound = damaged(|_| {});
    assert_eq!(code(&[sound.clone(), sound.clone()].concat()), INVALID_RECORD);
    // A second one that is cut off is dropped, as Kafka does.
    assert_eq!(code(&[&sound[..], &sound[..30]].concat()), 0);
}

#[test]
fn a_batch_length_that_lies_is_refused() {
    for length in [-1, i32::MIN, 0, 13, 48] {
        assert_eq!(code(&damaged(|bytes| put(bytes, 8, length.to_be_bytes()))), CORRUPT_MESSAGE, "{length}");
    }
    for length in [1000, i32::MAX] {
        assert_eq!(code(&damaged(|bytes| put(bytes, 8, length.to_be_bytes()))), INVALID_RECORD, "{length}");
    }
}

#[test]
fn formats_other_than_2_are_refused() {
    for magic in [0, 1] {
        assert_eq!(code(&damaged(|bytes| bytes[16] = magic)), INVALID_RECORD);
    }
    for magic in [3, 127, 255] {
        assert_eq!(code(&damaged(|bytes| bytes[16] = magic)), CORRUPT_MESSAGE);
    }
}

#[test]
fn a_wrong_checksum_is_refused_and_so_is_every_single_flipped_bit_that_it_covers() {
    let sound = damaged(|_| {});
    for bit in 8 * 17..8 * sound.len() {
        let mut bytes = sound.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(code(&bytes), CORRUPT_MESSAGE, "bit {bit}");
    }
}

#[test]
fn a_record_count_that_lies_is_refused() {
    for count in [0, -1, i32::MAX, 2, 4] {
        assert_eq!(code(&damaged(|bytes| put(bytes, 57, count.to_be_bytes()))), INVALID_RECORD, "{count}");
    }
    for delta in [-1, i32::MIN, 0, 1, 3, i32::MAX] {
        assert_eq!(code(&damaged(|bytes| put(bytes, 23, delta.to_be_bytes()))), INVALID_RECORD, "{delta}");
    }
    // Both lie alike.
    for count in [2i32, 4, i32::MAX] {
        let bytes = damaged(|bytes| {
            put(bytes, 57, count.to_be_bytes());
            put(bytes, 23, (count - 1).to_be_bytes());
        });
        assert_eq!(code(&bytes), INVALID_RECORD, "{count}");
    }
}

#[test]
fn a_base_offset_set_by_a_client_is_refused_and_its_leader_epoch_overwritten() {
    assert_eq!(code(&damaged(|bytes| put(bytes, 0, 1i64.to_be_bytes()))), INVALID_RECORD);
    let mut bytes = damaged(|bytes| put(bytes, 12, 1234i32.to_be_bytes()));
    let valid = validate_for_append(&bytes, &OPTIONS, &mut Decompressor::new(1 << 20)).unwrap();
    valid.patch(&mut bytes, Offset(9), LeaderEpoch(7)).unwrap();
    let batch = RecordBatchView::parse(&bytes).unwrap();
    assert_eq!((batch.partition_leader_epoch(), batch.base_offset()), (LeaderEpoch(7), Offset(9)));
    assert!(batch.is_checksum_valid());
}

#[test]
fn a_record_length_that_lies_is_refused() {
    // The length is zig-zag: 13 is -7, 1 is -1, 0 is 0, 12 is 6, 16 is 8.
    for length in [13, 1, 0, 12, 16, 126] {
        assert_eq!(code(&with_body(1, 0, &[length, 0, 0, 0, 1, 2, b'v', 0])), INVALID_RECORD, "{length}");
    }
    let endless = [0xff; 12];
    assert_eq!(code(&with_body(1, 0, &endless)), INVALID_RECORD);
}

#[test]
fn offsets_that_are_repeated_unordered_or_have_gaps_are_refused() {
    let record = |delta: u8| [14, 0, 0, delta, 1, 2, b'v', 0];
    assert_eq!(code(&with_body(2, 0, &[record(0), record(2)].concat())), 0);
    for deltas in [[0, 0], [2, 0], [0, 4], [2, 2], [1, 0]] {
        let body = [record(deltas[0]), record(deltas[1])].concat();
        assert_eq!(code(&with_body(2, 0, &body)), INVALID_RECORD, "{deltas:?}");
    }
}

#[test]
fn key_and_value_lengths_that_lie_are_refused() {
    // Kafka takes every negative length for null, so -2 is read as null, but then the record's own length is wrong.
    for (key, value) in [(4, 2), (126, 2), (1, 4), (1, 126), (1, 3)] {
        assert_eq!(code(&with_body(1, 0, &[14, 0, 0, 0, key, value, b'v', 0])), INVALID_RECORD, "{key} {value}");
    }
}

#[test]
fn header_counts_and_keys_that_lie_are_refused() {
    // No value, then the header count: -1, 1 without a header, 63; then one header with a null key.
    for count in [1, 2, 126] {
        assert_eq!(code(&with_body(1, 0, &[12, 0, 0, 0, 1, 1, count])), INVALID_RECORD, "{count}");
    }
    assert_eq!(code(&with_body(1, 0, &[16, 0, 0, 0, 1, 1, 2, 1, 1])), INVALID_RECORD);
    let count_max = [0xfe, 0xff, 0xff, 0xff, 0x0f];
    assert_eq!(code(&with_body(1, 0, &[&[20, 0, 0, 0, 1, 1][..], &count_max].concat())), INVALID_RECORD);
}

#[test]
fn bytes_after_the_last_record_are_refused() {
    assert_eq!(code(&with_body(1, 0, &[14, 0, 0, 0, 1, 2, b'v', 0, 0])), INVALID_RECORD);
    let mut compressed = Vec::new();
    Compressor::new().compress(Compression::Zstd, &[14, 0, 0, 0, 1, 2, b'v', 0, 0], &mut compressed).unwrap();
    assert_eq!(code(&with_body(1, 4, &compressed)), INVALID_RECORD);
}

#[test]
fn codecs_that_do_not_exist_are_refused() {
    for codec in 5..8 {
        assert_eq!(code(&with_body(1, codec, &[14, 0, 0, 0, 1, 2, b'v', 0])), UNSUPPORTED_COMPRESSION_TYPE);
    }
}

#[test]
fn what_only_brokers_may_set_is_refused_from_clients() {
    let control = BatchOptions { is_control: true, ..BatchOptions::default() };
    assert_eq!(code(&batch_of(control, &[b"v"])), INVALID_RECORD);
    let options = ValidationOptions { origin: AppendOrigin::Coordinator, ..OPTIONS };
    assert_eq!(code_with(&options, &batch_of(control, &[b"v"])), 0);
    let horizon = BatchOptions { delete_horizon: Some(NOW), ..BatchOptions::default() };
    assert_eq!(code(&batch_of(horizon, &[b"v"])), INVALID_RECORD);
    let append_time = BatchOptions { log_append_time: Some(NOW), ..BatchOptions::default() };
    let options = ValidationOptions { timestamp_type: TimestampType::LogAppendTime, ..OPTIONS };
    assert_eq!(code_with(&options, &batch_of(append_time, &[b"v"])), INVALID_TIMESTAMP);
}

#[test]
fn producer_fields_that_contradict_each_other_are_refused() {
    let producer = |id, epoch, sequence, is_transactional| {
        let options = BatchOptions {
            producer_id: ProducerId(id),
            producer_epoch: ProducerEpoch(epoch),
            base_sequence: Sequence(sequence),
            is_transactional,
            ..BatchOptions::default()
        };
        code(&batch_of(options, &[b"v"]))
    };
    assert_eq!(producer(7, 0, 0, true), 0);
    assert_eq!(producer(7, i16::MAX, i32::MAX, false), 0);
    assert_eq!(producer(7, 0, -1, false), INVALID_RECORD);
    assert_eq!(producer(7, -1, 0, false), INVALID_PRODUCER_EPOCH);
    assert_eq!(producer(-2, 0, 0, false), INVALID_RECORD);
    assert_eq!(producer(-1, -1, -1, true), INVALID_RECORD);
}

#[test]
fn timestamps_out_of_range_are_refused_and_the_extremes_do_not_overflow() {
    let with_base = |timestamp: i64| damaged(|bytes| put(bytes, 27, timestamp.to_be_bytes()));
    assert_eq!(code(&with_base(NOW.value() + 3_600_000)), 0);
    assert_eq!(code(&with_base(NOW.value() + 3_600_001)), INVALID_TIMESTAMP);
    for timestamp in [i64::MAX, i64::MAX - 1, i64::MIN / 2] {
        let _ = code(&with_base(timestamp));
    }
    let options = ValidationOptions { timestamp_before_milliseconds_max: 1000, ..OPTIONS };
    assert_eq!(code_with(&options, &with_base(NOW.value() - 1000)), 0);
    assert_eq!(code_with(&options, &with_base(NOW.value() - 1001)), INVALID_TIMESTAMP);
    assert_eq!(code_with(&options, &with_base(i64::MIN)), INVALID_TIMESTAMP);
    assert_eq!(code_with(&options, &with_base(-1)), 0);
}

#[test]
fn a_max_timestamp_that_lies_is_put_right() {
    let mut bytes = damaged(|bytes| put(bytes, 35, 5i64.to_be_bytes()));
    let valid = validate_for_append(&bytes, &OPTIONS, &mut Decompressor::new(1 << 20)).unwrap();
    assert_eq!(valid.max_timestamp, NOW);
    valid.patch(&mut bytes, Offset(0), LeaderEpoch(0)).unwrap();
    let batch = RecordBatchView::parse(&bytes).unwrap();
    assert_eq!(batch.max_timestamp(), NOW);
    assert!(batch.is_checksum_valid());
}

#[test]
fn a_batch_of_exactly_the_largest_size_is_accepted_and_one_byte_more_is_not() {
    let bytes = damaged(|_| {});
    let options = ValidationOptions { batch_bytes_max: bytes.len(), ..OPTIONS };
    assert_eq!(code_with(&options, &bytes), 0);
    let options = ValidationOptions { batch_bytes_max: bytes.len() - 1, ..OPTIONS };
    assert_eq!(code_with(&options, &bytes), MESSAGE_TOO_LARGE);
}

#[test]
fn a_compacted_topic_names_the_records_without_a_key() {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    for key in [Some(&b"k"[..]), None, Some(b""), None] {
        builder.append(&RecordToWrite { timestamp: NOW, key, value: None, headers: &[] }).unwrap();
    }
    let bytes = builder.build(&mut Compressor::new()).unwrap();
    let options = ValidationOptions { is_compacted: true, ..OPTIONS };
    let invalid = validate_for_append(&bytes, &options, &mut Decompressor::new(1 << 20)).unwrap_err();
    assert_eq!(invalid.error_name(), "INVALID_RECORD");
    assert_eq!(invalid.records.iter().map(|error| error.index).collect::<Vec<_>>(), [1, 3]);
}

fn varint(value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut zig_zag = 2 * value;
    while zig_zag >= 0x80 {
        bytes.push(zig_zag as u8 | 0x80);
        zig_zag >>= 7;
    }
    bytes.push(zig_zag as u8);
    bytes
}

#[test]
fn two_million_small_headers_are_walked_and_refused_for_their_size() {
    let count = 2_000_000;
    let body = [&[0, 0, 0, 1, 1][..], &varint(count), &[2, b'k', 1].repeat(count)].concat();
    let bytes = with_body(1, 0, &[varint(body.len()), body].concat());
    let batch = RecordBatchView::parse(&bytes).unwrap();
    let record = batch.uncompressed_records().unwrap().unwrap().next().unwrap().unwrap();
    assert_eq!(record.headers.len(), count);
    assert_eq!(code(&bytes), MESSAGE_TOO_LARGE);
}

#[test]
fn a_set_inside_of_a_set_is_refused() {
    let inner = damaged(|_| {});
    let mut compressed = Vec::new();
    Compressor::new().compress(Compression::Gzip, &inner, &mut compressed).unwrap();
    assert_eq!(code(&with_body(3, 1, &compressed)), INVALID_RECORD);
}

#[test]
fn compressed_records_of_another_number_than_the_header_says_are_refused() {
    let record = [14, 0, 0, 0, 1, 2, b'v', 0];
    for codec in &Compression::ALL[1..] {
        let mut compressed = Vec::new();
        Compressor::new().compress(*codec, &record, &mut compressed).unwrap();
        assert_eq!(code(&with_body(1, codec.id(), &compressed)), 0);
        assert_eq!(code(&with_body(2, codec.id(), &compressed)), INVALID_RECORD);
        assert_eq!(code(&with_body(1, codec.id(), &compressed[..compressed.len() - 5])), INVALID_RECORD);
    }
}

#[test]
fn every_truncation_of_a_batch_is_told_as_partial() {
    let mut numbers = Numbers(21);
    for _ in 0..20 {
        let bytes = Case::random(&mut numbers, 2).build();
        if bytes.len() > 4000 {
            continue;
        }
        for length in 0..bytes.len() {
            let mut batches = Batches::new(&bytes[..length]);
            match batches.next() {
                None => assert_eq!(length, 0),
                Some(Err(error)) => assert!(error.is_partial() && error.position == 0, "{error}"),
                Some(Ok(batch)) => panic!("{length} of {} bytes gave {batch:?}", bytes.len()),
            }
            assert!(batches.next().is_none());
            let after = [&bytes[..], &bytes[..length]].concat();
            let whole: Vec<_> = Batches::new(&after).take_while(Result::is_ok).collect();
            assert_eq!(whole.len(), 1);
        }
    }
}

#[test]
fn every_truncation_of_records_inside_of_a_sound_frame_is_refused() {
    let sound = damaged(|_| {});
    for length in 0..sound.len() - BATCH_HEADER_BYTES {
        let body = &sound[BATCH_HEADER_BYTES..BATCH_HEADER_BYTES + length];
        assert_eq!(code(&with_body(3, 0, body)), INVALID_RECORD, "{length}");
        for codec in &Compression::ALL[1..] {
            let mut compressed = Vec::new();
            Compressor::new().compress(*codec, body, &mut compressed).unwrap();
            assert_eq!(code(&with_body(3, codec.id(), &compressed)), INVALID_RECORD, "{codec} {length}");
        }
    }
}

#[test]
fn a_replicated_batch_of_a_later_epoch_ends_what_is_appended() {
    let batch = |base, epoch| {
        let options = BatchOptions {
            base_offset: Offset(base),
            partition_leader_epoch: LeaderEpoch(epoch),
            ..BatchOptions::default()
        };
        batch_of(options, &[b"a", b"b"])
    };
    let (first, second, third) = (batch(5, 1), batch(10, 2), batch(12, 3));
    let all = [&first[..], &second, &third, &third[..20]].concat();
    let summary = validate_replicated(&all, LeaderEpoch(2)).unwrap().unwrap();
    assert_eq!(summary.bytes, first.len() + second.len());
    assert_eq!((summary.first_offset, summary.last_offset), (Offset(5), Offset(11)));
    assert_eq!(validate_replicated(&all, LeaderEpoch(3)).unwrap().unwrap().batches, 3);
    assert_eq!(validate_replicated(&[], LeaderEpoch(3)).unwrap(), None);
    let unordered = [&second[..], &first].concat();
    assert_eq!(validate_replicated(&unordered, LeaderEpoch(3)).unwrap_err().kind, InvalidBatchKind::OffsetsOutOfOrder);
    let mut corrupt = first.clone();
    corrupt[30] ^= 1;
    assert_eq!(validate_replicated(&corrupt, LeaderEpoch(3)).unwrap_err().error_code(), CORRUPT_MESSAGE);
}
