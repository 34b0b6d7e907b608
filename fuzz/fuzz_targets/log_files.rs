//! The files beside a log's segments; the first byte chooses which. What is read and written again reads the same.

#![no_main]

use ottla_log::format::{
    MetaProperties, OffsetIndex, TimeIndex, format_epoch_checkpoint, format_offset_checkpoint,
    format_partition_metadata, format_producer_snapshot, parse_clean_shutdown, parse_epoch_checkpoint,
    parse_offset_checkpoint, parse_partition_metadata, parse_producer_snapshot, parse_transaction_index,
};
use ottla_types::Offset;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((&choice, contents)) = bytes.split_first() else { return };
    match choice % 9 {
        0 => index(contents),
        1 => time_index(contents),
        2 => snapshot(contents),
        3 => epochs(contents),
        4 => offsets(contents),
        5 => partition_metadata(contents),
        6 => meta_properties(contents),
        7 => drop(parse_clean_shutdown(contents)),
        _ => drop(parse_transaction_index(contents, Offset(5))),
    }
});

fn index(contents: &[u8]) {
    if let Ok(index) = OffsetIndex::parse(contents, 1 << 30) {
        assert_eq!(OffsetIndex::parse(&index.to_bytes(), 1 << 30), Ok(index.clone()));
        let _ = index.position_before(1000);
    }
}

fn time_index(contents: &[u8]) {
    if let Ok(index) = TimeIndex::parse(contents) {
        assert!(TimeIndex::parse(&index.to_bytes()).is_ok());
    }
}

fn snapshot(contents: &[u8]) {
    // The checksum is made right, since no mutation hits it.
    let mut contents = contents.to_vec();
    if contents.len() > 6 {
        let checksum = crc_fast::crc32_iscsi(&contents[6..]).to_be_bytes();
        contents[2..6].copy_from_slice(&checksum);
    }
    if let Ok(entries) = parse_producer_snapshot(&contents) {
        let written = format_producer_snapshot(entries.clone().into_iter());
        assert_eq!(parse_producer_snapshot(&written), Ok(entries));
    }
}

fn epochs(contents: &[u8]) {
    if let Ok(entries) = parse_epoch_checkpoint(contents) {
        assert_eq!(parse_epoch_checkpoint(format_epoch_checkpoint(&entries).as_bytes()), Ok(entries));
    }
}

fn offsets(contents: &[u8]) {
    if let Ok(entries) = parse_offset_checkpoint(contents) {
        assert_eq!(parse_offset_checkpoint(format_offset_checkpoint(&entries).as_bytes()), Ok(entries));
    }
}

fn partition_metadata(contents: &[u8]) {
    if let Ok(id) = parse_partition_metadata(contents) {
        assert_eq!(parse_partition_metadata(format_partition_metadata(id).as_bytes()), Ok(id));
    }
}

fn meta_properties(contents: &[u8]) {
    if let Ok(properties) = MetaProperties::parse(contents) {
        assert!(MetaProperties::parse(properties.format().as_bytes()).is_ok());
    }
}
