//! What a batch costs on its way into the log, in bytes of the batch per second.

#![allow(clippy::unwrap_used, missing_docs)]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ottla_records::*;
use ottla_types::{LeaderEpoch, Offset, Timestamp};

const NOW: Timestamp = Timestamp(1_700_000_000_000);
const KIBIBYTE: usize = 1 << 10;

/// Text that compresses as events in JSON do: about three to six times.
fn event(number: usize, bytes: usize) -> Vec<u8> {
    let mut text = String::new();
    while text.len() < bytes {
        let mixed = (number * 2_654_435_761 + text.len() * 40_503) % 1_000_003;
        text.push_str(&format!(
            r#"{{"user":"user-{}","action":"view","page":"/products/{}","session":"{mixed:08x}","ok":true}}"#,
            mixed % 977,
            mixed % 89,
        ));
    }
    text.truncate(bytes);
    text.into_bytes()
}

fn batch(compression: Compression, batch_bytes: usize, record_bytes: usize) -> Vec<u8> {
    let options = BatchOptions { compression: compression.into(), ..BatchOptions::default() };
    let mut builder = BatchBuilder::new(options);
    let mut number = 0;
    while builder.uncompressed_size() + record_bytes < batch_bytes {
        let value = event(number, record_bytes);
        builder.append(&RecordToWrite { timestamp: NOW, key: None, value: Some(&value), headers: &[] }).unwrap();
        number += 1;
    }
    builder.build_vec(&mut Compressor::new()).unwrap()
}

fn options(depth: ValidationDepth) -> ValidationOptions {
    ValidationOptions {
        origin: AppendOrigin::Client,
        depth,
        batch_bytes_max: usize::MAX,
        record_bytes_max: usize::MAX,
        is_compacted: false,
        timestamp_type: TimestampType::CreateTime,
        now: NOW,
        timestamp_before_milliseconds_max: i64::MAX,
        timestamp_after_milliseconds_max: 3_600_000,
        target_compression: None,
        leader_epoch: LeaderEpoch(1),
    }
}

fn validate_and_patch(c: &mut Criterion) {
    let mut group = c.benchmark_group("validate and patch, uncompressed");
    for (batch_bytes, record_bytes) in
        [(16 * KIBIBYTE, 100), (16 * KIBIBYTE, KIBIBYTE), (KIBIBYTE * KIBIBYTE, 100), (KIBIBYTE * KIBIBYTE, KIBIBYTE)]
    {
        let mut bytes = batch(Compression::None, batch_bytes, record_bytes);
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        for (depth, name) in [(ValidationDepth::Header, "header"), (ValidationDepth::Records, "records")] {
            let options = options(depth);
            let mut decompressor = Decompressor::new(1 << 24);
            let id = BenchmarkId::new(name, format!("{} KiB of {record_bytes} B", batch_bytes / KIBIBYTE));
            group.bench_function(id, |b| {
                b.iter(|| {
                    let bytes = black_box(&mut bytes[..]);
                    let valid = validate_for_append(bytes, &options, &mut decompressor).unwrap();
                    valid.patch(bytes, Offset(0), LeaderEpoch(1)).unwrap();
                    valid
                });
            });
        }
    }
    group.finish();
}

fn validate_compressed(c: &mut Criterion) {
    let mut group = c.benchmark_group("validate, compressed, by plain bytes");
    for batch_bytes in [16 * KIBIBYTE, KIBIBYTE * KIBIBYTE] {
        for compression in Compression::ALL.into_iter().skip(1) {
            let bytes = batch(compression, batch_bytes, KIBIBYTE);
            group.throughput(Throughput::Bytes(batch_bytes as u64));
            let options = options(ValidationDepth::Records);
            let mut decompressor = Decompressor::new(1 << 24);
            group.bench_function(
                BenchmarkId::new(compression.name(), format!("{} KiB", batch_bytes / KIBIBYTE)),
                |b| {
                    b.iter(|| validate_for_append(black_box(&bytes), &options, &mut decompressor).unwrap());
                },
            );
        }
    }
    group.finish();
}

fn codecs(c: &mut Criterion) {
    for batch_bytes in [16 * KIBIBYTE, KIBIBYTE * KIBIBYTE] {
        let plain: Vec<u8> = (0..batch_bytes / KIBIBYTE).flat_map(|number| event(number, KIBIBYTE)).collect();
        let mut group = c.benchmark_group(format!("codecs, {} KiB", batch_bytes / KIBIBYTE));
        group.throughput(Throughput::Bytes(plain.len() as u64));
        for compression in Compression::ALL.into_iter().skip(1) {
            let mut compressor = Compressor::new();
            let mut out = Vec::new();
            group.bench_function(BenchmarkId::new("compress", compression), |b| {
                b.iter(|| {
                    out.clear();
                    compressor.compress(compression, black_box(&plain), &mut out).unwrap();
                });
            });
            let mut decompressor = Decompressor::new(1 << 24);
            group.bench_function(BenchmarkId::new("decompress", compression), |b| {
                b.iter(|| decompressor.decompress(compression, black_box(&out)).unwrap().len());
            });
        }
        group.finish();
    }
}

fn build(c: &mut Criterion) {
    let mut group = c.benchmark_group("build, uncompressed");
    let values: Vec<Vec<u8>> = (0..160).map(|number| event(number, 100)).collect();
    group.throughput(Throughput::Bytes(160 * 100));
    group.bench_function("160 records of 100 B", |b| {
        let mut buffer = Vec::new();
        let mut compressor = Compressor::new();
        b.iter(|| {
            let mut builder = BatchBuilder::with_buffer(BatchOptions::default(), core::mem::take(&mut buffer));
            for value in &values {
                let record = RecordToWrite { timestamp: NOW, key: None, value: Some(value), headers: &[] };
                builder.append(&record).unwrap();
            }
            buffer = builder.build_vec(&mut compressor).unwrap();
        });
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(std::time::Duration::from_millis(300))
        .measurement_time(std::time::Duration::from_secs(1)).sample_size(20);
    targets = validate_and_patch, validate_compressed, codecs, build
}
criterion_main!(benches);
