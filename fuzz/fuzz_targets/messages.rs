#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ottla_protocol::fuzz_decode(bytes));
