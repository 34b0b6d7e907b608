//! Damaged records: they are refused or replayed, but nothing breaks.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use ottla_metadata::MetadataImage;
use ottla_protocol::metadata_records::MetadataRecord;
use ottla_records::Batches;

/// The frames of all records of a snapshot that Kafka has written.
fn frames() -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    for batch in Batches::new(include_bytes!("golden/kafka.checkpoint")) {
        let batch = batch.unwrap();
        if !batch.is_control() {
            let records = batch.uncompressed_records().unwrap().unwrap();
            frames.extend(records.map(|record| record.unwrap().value.unwrap().to_vec()));
        }
    }
    frames
}

#[test]
fn a_record_with_any_byte_changed_is_refused_or_replayed_and_leaves_an_image_that_can_be_written() {
    let frames = frames();
    let mut image = MetadataImage::new();
    for frame in &frames {
        image.replay(&MetadataRecord::decode_frame(frame).unwrap().0).unwrap();
    }
    let (mut replayed, mut refused) = (0, 0);
    for frame in &frames {
        for at in 0..frame.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff, frame[at] ^ 1] {
                let mut damaged = frame.clone();
                damaged[at] = value;
                let Ok((record, _)) = MetadataRecord::decode_frame(&damaged) else { continue };
                let mut copy = image.clone();
                match copy.replay(&record) {
                    Ok(()) => {
                        replayed += 1;
                        assert!(!copy.to_records().is_empty());
                    }
                    Err(error) => {
                        refused += 1;
                        assert!(!error.to_string().is_empty());
                        assert_eq!(copy, image, "{record:?}");
                    }
                }
            }
        }
    }
    assert!(replayed > 1_000 && refused > 1_000, "{replayed} replayed, {refused} refused");
}

#[test]
fn a_record_that_is_cut_off_anywhere_is_refused() {
    for frame in frames() {
        for length in 0..frame.len() {
            assert!(MetadataRecord::decode_frame(&frame[..length]).is_err());
        }
    }
}
