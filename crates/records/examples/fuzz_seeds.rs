//! Writes the inputs that the fuzz targets of this crate start from: `cargo run -p ottla-records --example fuzz_seeds`.

#![allow(clippy::unwrap_used)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::path::Path;

use ottla_records::{Compression, Compressor};
use support::Numbers;
use support::case::Case;

const EACH: usize = 12;

fn main() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds");
    let mut numbers = Numbers(42);
    let write = |target: &str, index: usize, bytes: &[u8]| {
        let directory = seeds.join(target);
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join(format!("{index:02}")), bytes).unwrap();
    };
    let mut index = 0;
    while index < EACH {
        let mut case = Case::random(&mut numbers, 2);
        case.options.base_offset = ottla_types::Offset::ZERO;
        for (at, record) in case.records.iter_mut().enumerate() {
            record.offset = at as i64;
        }
        let bytes = case.build();
        // Small inputs are changed in more places per second.
        if bytes.len() <= 600 {
            write("records_batches", index, &bytes);
            write("records_produce", index, &bytes);
            index += 1;
        }
    }
    for index in 0..EACH {
        let input = numbers.bytes(300);
        for codec in &Compression::ALL[1..] {
            let mut compressed = Vec::new();
            Compressor::new().compress(*codec, &input, &mut compressed).unwrap();
            write(&format!("records_{codec}"), index, &compressed);
        }
        write("records_round_trip", index, &[&[index as u8, 3][..], &input].concat());
    }
}
