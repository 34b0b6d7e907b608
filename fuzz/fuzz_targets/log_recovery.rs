//! The directory of a node after a crash, whatever is in its files. A log that opens is read to its end, takes a record, and
//! is the same after the next start. Not so if the files claim a clean stop: then only the end is looked at first, and all of it
//! after the crash.

#![no_main]

use ottla_env::{Disk, OpenMode};
use ottla_env_sim::{CrashMode, MemoryDisk, SeededRandom, SimClock};
use ottla_log::format::MetaProperties;
use ottla_log::{
    AppendOrigin, DirectoriesOptions, Environment, Log, LogConfig, LogDirectories, ReadBound, ReadRequest,
    TransactionCheck, format_directory,
};
use ottla_records::{BatchBuilder, BatchOptions, Batches, Compressor, Decompressor, RecordToWrite};
use ottla_types::{DirectoryId, LeaderEpoch, NodeId, Offset, Timestamp, TopicPartition};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const NOW: Timestamp = Timestamp(1_700_000_000_000);
const ROOT: &str = "/data";

/// The files whose contents the input gives; the first byte of a piece chooses one.
const FILES: [&str; 16] = [
    "topic-0/00000000000000000000.log",
    "topic-0/00000000000000000000.index",
    "topic-0/00000000000000000000.timeindex",
    "topic-0/00000000000000000000.txnindex",
    "topic-0/00000000000000000005.log",
    "topic-0/00000000000000000005.index",
    "topic-0/00000000000000000005.timeindex",
    "topic-0/00000000000000000005.snapshot",
    "topic-0/00000000000000000005.log.swap",
    "topic-0/00000000000000000005.log.cleaned",
    "topic-0/leader-epoch-checkpoint",
    "topic-0/partition.metadata",
    "recovery-point-offset-checkpoint",
    "log-start-offset-checkpoint",
    "replication-offset-checkpoint",
    ".kafka_cleanshutdown",
];

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let memory = MemoryDisk::new();
    let world = Environment {
        disk: Arc::new(memory.clone()),
        clock: Arc::new(SimClock::new(NOW)),
        random: Arc::new(SeededRandom::new(7)),
    };
    format_directory(&world, Path::new(ROOT), &properties()).unwrap();
    write_files(&memory, bytes);
    let was_clean = memory.exists(&Path::new(ROOT).join(".kafka_cleanshutdown")).unwrap();
    let Some((directories, log)) = open(&world) else { return };
    let end = read_to_end(&log);
    let appended = log.append_as_leader(&mut batch(), LeaderEpoch(1 << 20), CLIENT).is_ok();
    let (start, end_then) = (log.log_start_offset(), log.log_end_offset());
    assert_eq!(end_then.0 - end.0, i64::from(appended));
    drop((log, directories));
    memory.crash(CrashMode::KeepAll);
    let (_directories, log) = open(&world).expect("a log that was opened opens again");
    if !was_clean {
        assert_eq!((log.log_start_offset(), log.log_end_offset()), (start, end_then));
    }
});

const CLIENT: AppendOrigin = AppendOrigin::Client { transaction: TransactionCheck::Unverified };

fn properties() -> MetaProperties {
    MetaProperties {
        cluster_id: "MkU3OEVBNTcwNTJENDM2Qg".to_owned(),
        node_id: NodeId(1),
        directory_id: Some(DirectoryId::from_u128(0x1234_5678_9abc_4def_8123_4567_89ab_cdef)),
    }
}

/// Writes the pieces of the input: which file, how long in two bytes, contents.
fn write_files(disk: &MemoryDisk, bytes: &[u8]) {
    disk.create_directory(&Path::new(ROOT).join("topic-0")).unwrap();
    let mut rest = bytes;
    while let Some((&[choice, high, low], after)) = rest.split_first_chunk::<3>() {
        let (contents, after) = after.split_at(usize::from(u16::from_be_bytes([high, low])).min(after.len()));
        rest = after;
        let name = FILES[usize::from(choice) % FILES.len()];
        let mut contents = contents.to_vec();
        if name.contains(".log") {
            make_checksums_right(&mut contents);
        } else if name.ends_with(".snapshot") && contents.len() > 6 {
            let checksum = crc_fast::crc32_iscsi(&contents[6..]).to_be_bytes();
            contents[2..6].copy_from_slice(&checksum);
        }
        let file = disk.open(&PathBuf::from(ROOT).join(name), OpenMode::CreateTruncate).unwrap();
        file.write_at(&contents, 0).unwrap();
    }
}

/// Of each batch that a length in the bytes leads to, since no mutation hits it.
fn make_checksums_right(bytes: &mut [u8]) {
    let mut at = 0;
    while let Some(length) = bytes.get(at + 8..at + 12) {
        let length = u32::from_be_bytes(length.try_into().unwrap()) as usize;
        let Some(batch) = at.checked_add(12 + length).and_then(|end| bytes.get_mut(at..end)) else { return };
        if batch.len() > 21 {
            let checksum = crc_fast::crc32_iscsi(&batch[21..]).to_be_bytes();
            batch[17..21].copy_from_slice(&checksum);
        }
        at += 12 + length;
    }
}

fn open(world: &Environment) -> Option<(LogDirectories, Arc<Log>)> {
    let options = DirectoriesOptions::default();
    let directories = LogDirectories::open(world.clone(), &[PathBuf::from(ROOT)], options).ok()?;
    let config = LogConfig { segment_bytes: 4_096, index_interval_bytes: 100, ..LogConfig::default() };
    drop(directories.load(&|_| config.clone()));
    let log = directories.get(&TopicPartition::new("topic", 0))?;
    Some((directories, log))
}

/// Reads as a follower would; the end of the log.
fn read_to_end(log: &Log) -> Offset {
    let end = log.log_end_offset();
    let mut offset = log.log_start_offset();
    let mut decompressor = Decompressor::new(1 << 18);
    while offset < end {
        let request = ReadRequest { offset, max_bytes: 1 << 20, min_one_batch: true, bound: ReadBound::LogEnd };
        let Ok(slice) = log.read(request) else { break };
        let bytes: Vec<u8> = slice.ranges.iter().filter_map(|range| range.read().ok()).flatten().collect();
        let before = offset;
        for batch in Batches::new(&bytes) {
            let Ok(batch) = batch else { break };
            offset = offset.max(batch.next_offset());
            let Ok(records) = batch.records(&mut decompressor) else { continue };
            records.take_while(Result::is_ok).for_each(drop);
        }
        if offset == before {
            break;
        }
    }
    end
}

fn batch() -> Vec<u8> {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    builder.append(&RecordToWrite { timestamp: NOW, key: None, value: Some(b"v"), headers: &[] }).unwrap();
    builder.build_vec(&mut Compressor::default()).unwrap()
}
