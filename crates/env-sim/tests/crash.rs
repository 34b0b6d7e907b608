//! What the simulated disk keeps and loses in a crash.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use ottla_env::{Disk, DiskOperation, File, OpenMode};
use ottla_env_sim::{CrashMode, Fault, FaultKind, MemoryDisk};
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn disk() -> (MemoryDisk, PathBuf) {
    let disk = MemoryDisk::new();
    let root = PathBuf::from("/root");
    disk.create_directory(&root).unwrap();
    disk.sync_directory(Path::new("/")).unwrap();
    (disk, root)
}

fn contents(disk: &MemoryDisk, path: &Path) -> Option<Vec<u8>> {
    let file = disk.open(path, OpenMode::Read).ok()?;
    let mut bytes = vec![0; file.length().unwrap() as usize];
    file.read_at(&mut bytes, 0).unwrap();
    Some(bytes)
}

fn create(disk: &MemoryDisk, path: &Path, bytes: &[u8]) -> Arc<dyn File> {
    let file = disk.open(path, OpenMode::CreateReadWrite).unwrap();
    file.write_at(bytes, 0).unwrap();
    file
}

#[test]
fn contents_and_names_become_durable_apart() {
    for (sync_file, sync_name) in [(false, false), (true, false), (false, true), (true, true)] {
        let (disk, root) = disk();
        let path = root.join("file");
        let file = create(&disk, &path, b"abc");
        if sync_file {
            file.sync().unwrap();
        }
        if sync_name {
            disk.sync_directory(&root).unwrap();
        }
        disk.crash(CrashMode::LoseAll);
        let expected = match (sync_file, sync_name) {
            (_, false) => None,
            (false, true) => Some(Vec::new()),
            (true, true) => Some(b"abc".to_vec()),
        };
        assert_eq!(contents(&disk, &path), expected);
        assert!(file.length().is_err(), "a file of before the crash is of no use");
    }
}

#[test]
fn a_replacement_by_rename_is_old_or_new_whatever_the_crash_keeps() {
    for seed in 0..200 {
        let (disk, root) = disk();
        let (path, temporary) = (root.join("file"), root.join("file.tmp"));
        create(&disk, &path, b"old").sync().unwrap();
        disk.sync_directory(&root).unwrap();
        create(&disk, &temporary, b"new!").sync().unwrap();
        disk.rename(&temporary, &path).unwrap();
        disk.crash(CrashMode::Some { seed });
        let found = contents(&disk, &path);
        assert!(found == Some(b"old".to_vec()) || found == Some(b"new!".to_vec()), "{seed}: {found:?}");
    }
}

#[test]
fn some_of_the_writes_survive_and_sectors_are_torn() {
    let mut outcomes = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let (disk, root) = disk();
        let path = root.join("file");
        let file = create(&disk, &path, &[0; 1024]);
        file.sync().unwrap();
        disk.sync_directory(&root).unwrap();
        file.write_at(&[1; 1024], 0).unwrap();
        disk.crash(CrashMode::Some { seed });
        let bytes = contents(&disk, &path).unwrap();
        outcomes.insert((bytes[0], bytes[1023]));
    }
    assert_eq!(outcomes.into_iter().collect::<Vec<_>>(), [(0, 0), (0, 1), (1, 0), (1, 1)]);
}

#[test]
fn a_sync_of_the_file_system_keeps_contents_and_names() {
    let (disk, root) = disk();
    let (first, second) = (root.join("first"), root.join("second"));
    drop(create(&disk, &first, b"1"));
    drop(create(&disk, &second, b"2"));
    disk.file_system(&root).unwrap().unwrap().sync().unwrap();
    drop(create(&disk, &root.join("third"), b"3"));
    disk.crash(CrashMode::LoseAll);
    assert_eq!((contents(&disk, &first), contents(&disk, &second)), (Some(b"1".to_vec()), Some(b"2".to_vec())));
    assert_eq!(contents(&disk, &root.join("third")), None);
}

#[test]
fn a_failed_sync_forgets_what_it_should_have_written() {
    let (disk, root) = disk();
    let path = root.join("file");
    let file = create(&disk, &path, b"abc");
    disk.sync_directory(&root).unwrap();
    disk.inject(Fault { operation: DiskOperation::Sync, after: 0, times: 1, kind: FaultKind::Error });
    assert!(file.sync().is_err());
    // The next one has nothing to write, and says that all is well.
    file.sync().unwrap();
    disk.crash(CrashMode::Some { seed: 1 });
    assert_eq!(contents(&disk, &path), Some(Vec::new()));
}

#[test]
fn a_renamed_directory_keeps_what_was_durable_in_it() {
    let (disk, root) = disk();
    disk.create_directory(&root.join("a")).unwrap();
    create(&disk, &root.join("a/file"), b"abc").sync().unwrap();
    disk.sync_directory(&root.join("a")).unwrap();
    disk.sync_directory(&root).unwrap();
    disk.rename(&root.join("a"), &root.join("b")).unwrap();
    disk.sync_directory(&root).unwrap();
    disk.crash(CrashMode::LoseAll);
    assert_eq!(contents(&disk, &root.join("b/file")), Some(b"abc".to_vec()));
    assert!(!disk.exists(&root.join("a")).unwrap());
}

#[test]
fn a_full_disk_takes_what_fits_and_more_when_there_is_space() {
    let (disk, root) = disk();
    let file = create(&disk, &root.join("file"), b"abc");
    disk.set_capacity(5);
    assert!(file.write_at(b"defg", 3).unwrap_err().is_disk_full());
    assert_eq!(file.length().unwrap(), 5);
    file.set_length(3).unwrap();
    disk.set_capacity(100);
    file.write_at(b"defg", 3).unwrap();
    assert_eq!(contents(&disk, &root.join("file")), Some(b"abcdefg".to_vec()));
}

#[test]
fn the_same_seed_leaves_the_same_disk() {
    let run = |seed| {
        let (disk, root) = disk();
        for number in 0..10 {
            create(&disk, &root.join(format!("{number}")), &[number; 2000]);
        }
        disk.crash(CrashMode::Some { seed });
        (0..10).map(|number| contents(&disk, &root.join(format!("{number}")))).collect::<Vec<_>>()
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}
