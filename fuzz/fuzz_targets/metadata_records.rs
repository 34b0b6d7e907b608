//! The records of the metadata log or of a snapshot, each with its length in two bytes before it. Each is refused or replayed,
//! the image can be written, and what is written makes the same image again.

#![no_main]

use ottla_metadata::MetadataImage;
use ottla_protocol::metadata_records::MetadataRecord;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut image = MetadataImage::new();
    let mut rest = bytes;
    while let Some((&[high, low], after)) = rest.split_first_chunk() {
        let (frame, after) = after.split_at(usize::from(u16::from_be_bytes([high, low])).min(after.len()));
        rest = after;
        let Ok((record, _)) = MetadataRecord::decode_frame(frame) else { continue };
        let before = image.clone();
        if let Err(error) = image.replay(&record) {
            assert!(!error.to_string().is_empty());
            assert!(image == before, "a record that is refused has changed the image");
        }
    }
    let written = image.to_records();
    let mut again = MetadataImage::new();
    for versioned in &written {
        if again.replay(&versioned.record).is_err() {
            return;
        }
    }
    assert!(again.to_records() == written, "a snapshot of a snapshot differs");
});
