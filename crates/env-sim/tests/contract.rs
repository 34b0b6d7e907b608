//! What every disk must do: the same suite for the real one and the simulated one.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use ottla_env::{Disk, EntryKind, OpenMode};
use ottla_env_os::OsDisk;
use ottla_env_sim::MemoryDisk;
use std::path::{Path, PathBuf};

/// Runs a test on both disks, each with an empty directory.
fn on_both(test: impl Fn(&dyn Disk, &Path)) {
    let temporary = tempfile::tempdir().unwrap();
    test(&OsDisk, temporary.path());
    let memory = MemoryDisk::new();
    let root = PathBuf::from("/root");
    memory.create_directory(&root).unwrap();
    test(&memory, &root);
}

#[test]
fn what_is_written_is_read_back_also_by_another_handle() {
    on_both(|disk, root| {
        let path = root.join("file");
        let file = disk.open(&path, OpenMode::CreateNew).unwrap();
        file.write_at(b"hello", 0).unwrap();
        file.write_at(b"world", 10).unwrap();
        assert_eq!(file.length().unwrap(), 15);
        assert_eq!(disk.length(&path).unwrap(), 15);
        let mut buffer = [9; 20];
        let other = disk.open(&path, OpenMode::Read).unwrap();
        assert_eq!(other.read_at(&mut buffer, 0).unwrap(), 15);
        assert_eq!(&buffer[..15], b"hello\0\0\0\0\0world");
        assert_eq!(other.read_at(&mut buffer, 12).unwrap(), 3);
        assert_eq!(other.read_at(&mut buffer, 15).unwrap(), 0);
        assert_eq!(other.read_at(&mut buffer, 1000).unwrap(), 0);
        assert_eq!(file.path(), path);
    });
}

#[test]
fn the_length_of_a_file_is_cut_and_extended_with_zeros_and_not_by_a_reservation() {
    on_both(|disk, root| {
        let file = disk.open(&root.join("file"), OpenMode::CreateReadWrite).unwrap();
        file.write_at(b"0123456789", 0).unwrap();
        file.set_length(4).unwrap();
        file.set_length(6).unwrap();
        let mut buffer = [9; 10];
        assert_eq!(file.read_at(&mut buffer, 0).unwrap(), 6);
        assert_eq!(&buffer[..6], b"0123\0\0");
        file.reserve(1 << 16).unwrap();
        assert_eq!(file.length().unwrap(), 6);
        file.sync().unwrap();
    });
}

#[test]
fn each_mode_opens_what_it_says() {
    on_both(|disk, root| {
        let path = root.join("file");
        for mode in [OpenMode::Read, OpenMode::ReadWrite] {
            assert!(disk.open(&path, mode).err().unwrap().is_not_found());
        }
        assert!(disk.open(&root.join("no/file"), OpenMode::CreateNew).err().unwrap().is_not_found());
        disk.open(&path, OpenMode::CreateNew).unwrap().write_at(b"abc", 0).unwrap();
        assert!(disk.open(&path, OpenMode::CreateNew).is_err());
        assert_eq!(disk.open(&path, OpenMode::CreateReadWrite).unwrap().length().unwrap(), 3);
        assert_eq!(disk.open(&path, OpenMode::CreateTruncate).unwrap().length().unwrap(), 0);
        assert!(disk.open(root, OpenMode::ReadWrite).is_err());
    });
}

#[test]
fn a_file_can_be_read_by_who_holds_it_after_it_was_renamed_replaced_and_removed() {
    on_both(|disk, root| {
        let (one, two) = (root.join("one"), root.join("two"));
        let held = disk.open(&one, OpenMode::CreateNew).unwrap();
        held.write_at(b"one", 0).unwrap();
        let replaced = disk.open(&two, OpenMode::CreateNew).unwrap();
        replaced.write_at(b"two!", 0).unwrap();
        disk.rename(&one, &two).unwrap();
        assert!(!disk.exists(&one).unwrap());
        assert_eq!(disk.length(&two).unwrap(), 3);
        assert_eq!(replaced.length().unwrap(), 4);
        disk.remove_file(&two).unwrap();
        assert!(disk.remove_file(&two).unwrap_err().is_not_found());
        let mut buffer = [0; 3];
        assert_eq!(held.read_at(&mut buffer, 0).unwrap(), 3);
        assert_eq!(&buffer, b"one");
        assert!(disk.rename(&one, &two).unwrap_err().is_not_found());
    });
}

#[test]
fn directories_are_made_listed_renamed_and_removed_with_what_is_in_them() {
    on_both(|disk, root| {
        let deep = root.join("a/b/c");
        disk.create_directory(&deep).unwrap();
        disk.create_directory(&deep).unwrap();
        disk.open(&root.join("a/file"), OpenMode::CreateNew).unwrap();
        disk.open(&root.join("a/b/other"), OpenMode::CreateNew).unwrap();
        let listed = disk.list(&root.join("a")).unwrap();
        assert_eq!(listed, [("b".to_owned(), EntryKind::Directory), ("file".to_owned(), EntryKind::File)]);
        disk.rename(&root.join("a"), &root.join("z")).unwrap();
        assert!(disk.exists(&root.join("z/b/other")).unwrap());
        assert!(disk.list(&root.join("a")).unwrap_err().is_not_found());
        disk.sync_directory(root).unwrap();
        disk.remove_directory(&root.join("z")).unwrap();
        assert!(disk.list(root).unwrap().is_empty());
    });
}

#[test]
fn a_lock_is_held_by_one_until_it_is_dropped() {
    on_both(|disk, root| {
        let path = root.join(".lock");
        let held = disk.lock(&path).unwrap();
        assert!(held.is_some());
        assert!(disk.lock(&path).unwrap().is_none());
        drop(held);
        assert!(disk.lock(&path).unwrap().is_some());
    });
}

#[test]
fn the_space_of_a_disk_is_told() {
    on_both(|disk, root| {
        let (free, total) = disk.space(root).unwrap();
        assert!(free > 0 && free <= total);
    });
}
