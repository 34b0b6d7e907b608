//! A short fixed number of what the fuzz targets do at length, with a seeded source of numbers: well-formed input is
//! changed, cut, doubled and fed to the same entry functions.

#![allow(clippy::unwrap_used)]

mod entries;
mod support;

use ottla_records::Compression;
use support::Numbers;
use support::case::Case;

/// `OTTLA_RECORDS_MUTATIONS` asks for more of them than CI has time for.
fn rounds() -> usize {
    std::env::var("OTTLA_RECORDS_MUTATIONS").map_or(10_000, |count| count.parse().unwrap())
}

fn mutate(numbers: &mut Numbers, bytes: &mut Vec<u8>) {
    for _ in 0..1 + numbers.below(4) {
        if bytes.is_empty() {
            return;
        }
        let at = numbers.below(bytes.len());
        match numbers.below(8) {
            0 => bytes[at] = numbers.next() as u8,
            1 => bytes[at] ^= 1 << numbers.below(8),
            2 => bytes[at] = numbers.pick(&[0, 1, 0x7f, 0x80, 0xff]),
            3 => bytes[at] = bytes[at].wrapping_add(1),
            4 => drop(bytes.remove(at)),
            5 => bytes.insert(at, numbers.next() as u8),
            6 => bytes.truncate(at),
            _ => {
                let length = numbers.below(bytes.len() - at).min(64);
                bytes.extend_from_within(at..at + length);
            }
        }
    }
}

/// Feeds mutations of some well-formed inputs; each input is used for a while before the next one is made.
fn feed(seed: u64, make: impl Fn(&mut Numbers) -> Vec<u8>, entry: impl Fn(&[u8])) {
    let mut numbers = Numbers(seed);
    let mut original = make(&mut numbers);
    for round in 0..rounds() {
        if round % 20 == 0 {
            original = make(&mut numbers);
        }
        let mut bytes = original.clone();
        mutate(&mut numbers, &mut bytes);
        entry(&bytes);
    }
}

fn batch(numbers: &mut Numbers) -> Vec<u8> {
    let mut case = Case::random(numbers, 2);
    case.options.delete_horizon = None;
    case.options.is_control &= numbers.one_in(3);
    case.options.base_offset = ottla_types::Offset::ZERO;
    for (at, record) in case.records.iter_mut().enumerate() {
        record.offset = at as i64;
    }
    case.build()
}

#[test]
fn mutated_batches_of_a_producer_are_refused_or_stored_well() {
    feed(11, batch, entries::produce);
}

#[test]
fn mutated_batches_of_a_log_are_read_or_refused() {
    feed(12, batch, entries::batches);
}

#[test]
fn mutated_message_sets_are_read_or_refused() {
    feed(13, legacy_set, entries::legacy);
}

#[test]
fn mutated_compressed_bytes_are_refused_or_stay_within_the_limit() {
    for codec in &Compression::ALL[1..] {
        let make = |numbers: &mut Numbers| {
            let input = numbers.bytes(3000);
            let mut compressed = Vec::new();
            ottla_records::Compressor::new().compress(*codec, &input, &mut compressed).unwrap();
            compressed
        };
        feed(14, make, |bytes| entries::decompress_with(*codec, bytes));
    }
}

/// A compressed set of format 1: the inner messages wrapped in an outer one, as an old producer wrote it.
fn legacy_set(numbers: &mut Numbers) -> Vec<u8> {
    let magic = numbers.below(2) as u8;
    let codec = numbers.pick(&Compression::ALL[..4]);
    let mut inner = Vec::new();
    for offset in 0..1 + numbers.below(5) as i64 {
        let (key, value) = (numbers.bytes(20), numbers.bytes(200));
        inner.extend(message(magic, offset, 0, Some(&key), Some(&value)));
    }
    if codec == Compression::None {
        return inner;
    }
    let mut value = Vec::new();
    ottla_records::Compressor::new().compress(codec, &inner, &mut value).unwrap();
    message(magic, 100, codec.id(), None, Some(&value))
}

fn message(magic: u8, offset: i64, attributes: u8, key: Option<&[u8]>, value: Option<&[u8]>) -> Vec<u8> {
    let mut body = vec![magic, attributes];
    if magic == 1 {
        body.extend(1_700_000_000_000i64.to_be_bytes());
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

/// The corpus that the fuzz targets found, each file on another way through the code.
#[test]
fn every_seed_of_the_fuzz_targets_is_survived() {
    type Entry = fn(&[u8]);
    let seeds = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds");
    let targets: [(&str, Entry); 8] = [
        ("records_batches", entries::batches),
        ("records_produce", entries::produce),
        ("records_legacy", entries::legacy),
        ("records_round_trip", entries::round_trip),
        ("records_gzip", |bytes| entries::decompress_with(Compression::Gzip, bytes)),
        ("records_snappy", |bytes| entries::decompress_with(Compression::Snappy, bytes)),
        ("records_lz4", |bytes| entries::decompress_with(Compression::Lz4, bytes)),
        ("records_zstd", |bytes| entries::decompress_with(Compression::Zstd, bytes)),
    ];
    for (target, entry) in targets {
        let files: Vec<_> = std::fs::read_dir(seeds.join(target)).unwrap().map(|file| file.unwrap().path()).collect();
        assert!(!files.is_empty(), "{target} has no seeds");
        for file in files {
            entry(&std::fs::read(file).unwrap());
        }
    }
}
