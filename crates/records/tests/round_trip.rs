//! What is built is read back, in every codec.

#![allow(clippy::unwrap_used)]

use ottla_records::*;
use ottla_types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};
use proptest::prelude::*;

type OwnedHeader = (Vec<u8>, Option<Vec<u8>>);

#[derive(Clone, Debug, PartialEq)]
struct OwnedRecord {
    offset: i64,
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<OwnedHeader>,
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..40),
        (any::<u8>(), 0usize..3000).prop_map(|(byte, length)| vec![byte; length])
    ]
}

fn records() -> impl Strategy<Value = Vec<OwnedRecord>> {
    let header = (bytes(), proptest::option::of(bytes()));
    let record = (
        1i64..5,
        -1i64..4_000_000_000_000,
        proptest::option::of(bytes()),
        proptest::option::of(bytes()),
        proptest::collection::vec(header, 0..4),
    );
    proptest::collection::vec(record, 1..30).prop_map(|records| {
        let mut offset = 99;
        records
            .into_iter()
            .map(|(step, timestamp, key, value, headers)| {
                offset += step;
                OwnedRecord { offset, timestamp, key, value, headers }
            })
            .collect()
    })
}

fn build(options: BatchOptions, records: &[OwnedRecord]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(options);
    for record in records {
        let headers: Vec<_> = record.headers.iter().map(|(key, value)| (key.as_slice(), value.as_deref())).collect();
        let written = RecordToWrite {
            timestamp: Timestamp(record.timestamp),
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: &headers,
        };
        let estimate = builder.estimated_size(&written);
        builder.append_with_offset(Offset(record.offset), &written).unwrap();
        assert!(builder.uncompressed_size() <= estimate);
    }
    builder.build_vec(&mut Compressor::new()).unwrap()
}

fn read(batch: RecordBatchView<'_>) -> Vec<OwnedRecord> {
    let mut decompressor = Decompressor::new(1 << 20);
    batch
        .records(&mut decompressor)
        .unwrap()
        .map(|record| {
            let record = record.unwrap();
            OwnedRecord {
                offset: record.offset.value(),
                timestamp: record.timestamp.value(),
                key: record.key.map(<[u8]>::to_vec),
                value: record.value.map(<[u8]>::to_vec),
                headers: record.headers.iter().map(|h| (h.key.to_vec(), h.value.map(<[u8]>::to_vec))).collect(),
            }
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn records_come_back_as_they_were_written(records in records(), codec in 0u8..5, flags in 0u8..8) {
        let options = BatchOptions {
            compression: Compression::from_id(codec).unwrap().into(),
            base_offset: Offset(100),
            partition_leader_epoch: LeaderEpoch(7),
            producer_id: ProducerId(4711),
            producer_epoch: ProducerEpoch(3),
            base_sequence: Sequence(12),
            is_transactional: flags & 1 != 0,
            is_control: flags & 2 != 0,
            delete_horizon: (flags & 4 != 0).then_some(Timestamp(55)),
            ..BatchOptions::default()
        };
        let bytes = build(options, &records);
        let batch = RecordBatchView::parse(&bytes).unwrap();
        prop_assert_eq!(batch.size(), bytes.len());
        prop_assert!(batch.is_checksum_valid());
        prop_assert_eq!(batch.compression().unwrap().id(), codec);
        prop_assert_eq!(batch.is_transactional(), options.is_transactional);
        prop_assert_eq!(batch.is_control(), options.is_control);
        prop_assert_eq!(batch.delete_horizon(), options.delete_horizon);
        prop_assert_eq!(batch.base_offset(), Offset(100));
        prop_assert_eq!(batch.last_offset().value(), records.last().unwrap().offset);
        prop_assert_eq!(batch.max_timestamp().value(), records.iter().map(|r| r.timestamp).max().unwrap());
        prop_assert_eq!(batch.count() as usize, records.len());
        prop_assert_eq!(batch.producer_id(), ProducerId(4711));
        prop_assert_eq!(batch.producer_epoch(), ProducerEpoch(3));
        prop_assert_eq!(batch.partition_leader_epoch(), LeaderEpoch(7));
        prop_assert_eq!(read(batch), records);
    }

    #[test]
    fn any_bytes_come_back_from_every_codec_at_every_level(
        input in proptest::collection::vec(any::<u8>(), 0..200),
        repeat in 1usize..2000,
        codec in 0u8..5,
        level in -5i32..23,
    ) {
        let input: Vec<u8> = input.iter().copied().cycle().take(input.len() * repeat).collect();
        let codec = Compression::from_id(codec).unwrap();
        let level = CompressionLevel::new(codec, level).unwrap_or(codec.into());
        let mut compressor = Compressor::new();
        let mut decompressor = Decompressor::new(input.len().max(1));
        for _ in 0..2 {
            let mut compressed = Vec::new();
            compressor.compress(level, &input, &mut compressed).unwrap();
            prop_assert_eq!(decompressor.decompress(codec, &compressed).unwrap(), &input[..]);
        }
    }
}

#[test]
fn a_level_of_lz4_beyond_the_fast_one_makes_less_of_the_same() {
    let input: Vec<u8> = (0..20_000u32)
        .flat_map(|number| format!("record {} of {}\n", number * 7919 % 1000, number).into_bytes())
        .collect();
    let compressed = |level| {
        let mut out = Vec::new();
        let level = CompressionLevel::new(Compression::Lz4, level).unwrap();
        Compressor::new().compress(level, &input, &mut out).unwrap();
        out
    };
    let (fast, high) = (compressed(9), compressed(12));
    assert!(high.len() < fast.len() * 9 / 10, "{} of {}", high.len(), fast.len());
    assert_eq!(compressed(17).len(), high.len(), "the library's greatest level is 12");
}
