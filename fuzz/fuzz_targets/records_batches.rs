#![no_main]

#[path = "../../crates/records/tests/entries/mod.rs"]
mod entries;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| entries::batches(bytes));
