#![no_main]

#[path = "../../crates/records/tests/entries/mod.rs"]
mod entries;

use ottla_records::Compression;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| entries::decompress_with(Compression::Gzip, bytes));
