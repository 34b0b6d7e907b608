//! Sectors that rot, or that were written in the wrong place: whatever file they are in, nothing else than what was written
//! is ever given out as a record, and nothing below the durable mark goes away without a word.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod fixture;

use fixture::{World, append, batch_with, create, partition};
use ottla_env::{EntryKind, Random};
use ottla_env_sim::{CrashMode, SeededRandom};
use ottla_log::{DirectoriesOptions, Log, LogConfig, LogDirectories, ReadBound, ReadRequest};
use ottla_records::{BatchOptions, Batches, Decompressor};
use ottla_types::{BrokerEpoch, Offset};
use std::path::PathBuf;

const SECTOR: u64 = 512;
const BATCHES: i64 = 60;

fn config() -> LogConfig {
    LogConfig { segment_bytes: 4_000, index_interval_bytes: 300, ..LogConfig::default() }
}

/// The value of the record at an offset: of a length of its own, and unlike every other.
fn value(offset: i64) -> Vec<u8> {
    format!("{offset} ").repeat(1 + usize::try_from(offset % 90).unwrap()).into_bytes()
}

/// All files of the node.
fn files(world: &World) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![world.path.clone()];
    while let Some(directory) = directories.pop() {
        for (name, kind) in world.disk.list(&directory).unwrap() {
            let path = directory.join(name);
            if kind == EntryKind::File { found.push(path) } else { directories.push(path) }
        }
    }
    found.retain(|path| world.disk.length(path).unwrap() > 0);
    found.sort();
    found
}

fn read(world: &World, path: &std::path::Path, position: u64) -> Vec<u8> {
    let mut sector = vec![0; SECTOR as usize];
    let file = world.disk.open(path, ottla_env::OpenMode::ReadWrite).unwrap();
    let length = file.read_at(&mut sector, position).unwrap();
    sector.truncate(length);
    sector
}

/// Damages one sector of one file: by rot, or by what belongs to another place.
fn damage(world: &World, random: &SeededRandom) -> PathBuf {
    let files = files(world);
    let any = |random: &SeededRandom| {
        let path = &files[random.below(files.len() as u64) as usize];
        let sectors = world.disk.length(path).unwrap().div_ceil(SECTOR);
        (path.clone(), random.below(sectors) * SECTOR)
    };
    let (path, position) = any(random);
    let length = read(world, &path, position).len();
    let mut bytes = match random.below(2) {
        0 => (0..length).map(|_| random.next_u64() as u8).collect(),
        _ => {
            let (from, place) = any(random);
            read(world, &from, place)
        }
    };
    bytes.truncate(length);
    world.memory.as_ref().unwrap().corrupt(&path, position, &bytes);
    path
}

/// Where a reader comes to who checks each batch and takes no gap. Whatever it is given is what was written.
fn read_up_to(log: &Log) -> i64 {
    let mut offset = 0;
    let mut decompressor = Decompressor::new(1 << 20);
    loop {
        let request =
            ReadRequest { offset: Offset(offset), max_bytes: 1 << 20, min_one_batch: true, bound: ReadBound::LogEnd };
        let Ok(slice) = log.read(request) else { return offset };
        let bytes: Vec<u8> = slice.ranges.iter().flat_map(|range| range.read().unwrap_or_default()).collect();
        let before = offset;
        for batch in Batches::new(&bytes) {
            let Ok(batch) = batch else { break };
            if !batch.is_checksum_valid() || batch.base_offset().value() > offset {
                return offset;
            }
            let Ok(records) = batch.records(&mut decompressor) else { return offset };
            for record in records {
                let record = record.unwrap();
                assert_eq!(record.value, Some(value(record.offset.value()).as_slice()));
            }
            offset = batch.next_offset().value().max(offset);
        }
        if offset == before {
            return offset;
        }
    }
}

fn write(world: &World, cleanly: bool) {
    let directories = world.load(&config());
    let log = create(&directories, &config());
    for offset in 0..BATCHES {
        append(&log, batch_with(1, &value(offset), fixture::START, BatchOptions::default())).unwrap();
    }
    log.set_high_watermark(log.log_end_offset());
    if cleanly {
        drop(log);
        directories.close(BrokerEpoch(1));
    } else {
        log.flush().unwrap();
        directories.checkpoint();
        drop((log, directories));
        world.memory.as_ref().unwrap().crash(CrashMode::KeepAll);
    }
}

fn open(world: &World) -> Option<LogDirectories> {
    let paths = std::slice::from_ref(&world.path);
    let directories = LogDirectories::open(world.environment(), paths, DirectoriesOptions::default()).ok()?;
    directories.load(&|_| config()).is_empty().then_some(directories)
}

#[test]
fn a_rotten_or_misplaced_sector_is_never_taken_for_records_and_hides_none() {
    let (mut reported, mut found_by_readers, mut harmless) = (0, 0, 0);
    for seed in 0..600 {
        let world = World::simulated();
        let random = SeededRandom::new(seed);
        write(&world, seed % 2 == 0);
        let path = damage(&world, &random);
        let what = format!("seed {seed}, {}", path.display());
        // A directory or a log that is refused is reported as a whole.
        let Some(directories) = open(&world) else {
            reported += 1;
            continue;
        };
        let Some(log) = directories.get(&partition()) else {
            panic!("{what}: the log is gone");
        };
        let end = log.log_end_offset().value();
        let read = read_up_to(&log);
        assert!(read <= end, "{what}: {read} of {end} are read");
        if log.damage().is_some() {
            reported += 1;
        } else if read < BATCHES {
            // What is not there any more may not be missed only by who counts: the log must still claim to have it.
            assert_eq!(end, BATCHES, "{what}: cut at {end} without a word");
            found_by_readers += 1;
        } else {
            harmless += 1;
        }
    }
    println!("{reported} are reported at the start, {found_by_readers} to readers, {harmless} do no harm");
    assert!(reported > 20 && found_by_readers > 20 && harmless > 20);
}
