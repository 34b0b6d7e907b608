//! Metrics as clients push them, in protobuf. What is read lies within the bytes, and there is no more of it than is allowed.

#![no_main]

use ottla_metrics::otlp::points;

/// Few, so that the limit is met.
const POINTS_MAX: usize = 64;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(read) = points(bytes, POINTS_MAX) else { return };
    assert!(read.len() <= POINTS_MAX);
    for point in &read {
        let texts = point.attributes.iter().map(|(name, text)| name.len() + text.len());
        assert!(point.name.len() + texts.sum::<usize>() <= bytes.len());
    }
    // A smaller limit refuses, and changes nothing else.
    assert_eq!(points(bytes, read.len()).map(|again| again.len()), Ok(read.len()));
    if let Some(fewer) = read.len().checked_sub(1) {
        assert!(points(bytes, fewer).is_err());
    }
});
