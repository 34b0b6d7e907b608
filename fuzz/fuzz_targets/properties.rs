#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Err(error) = ottla_config::properties::parse(bytes, "fuzz") {
        let _ = error.to_string();
    }
});
