//! The checker checked: between the log and the simulated disk stands something that does what a mistake in the log would
//! do, and for each such mistake the crash test finds that a promise is broken.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod fixture;

use fixture::crash::{STEPS, Step, enumerate, honest, run_until, sequences};
use ottla_env::{Disk, DiskResult, EntryKind, File, FileSystem, OpenMode};
use ottla_env_sim::{CrashMode, MemoryDisk, SeededRandom};
use std::os::fd::BorrowedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

/// A mistake, as the disk meets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mistake {
    /// Records are acknowledged as durable before they are synced.
    NoSyncOfRecords,
    /// New names are not made durable.
    NoSyncOfDirectories,
    /// A small file is renamed over the old one before its contents are durable.
    NoSyncBeforeRename,
    /// A small file is written over the old one instead of beside it.
    ReplacedInPlace,
    /// What a truncation cuts off stays in the file.
    NoCut,
    /// The recovery point is not lowered on the disk before a truncation.
    NoLowering,
    /// The beginning of the log is not noted.
    NoLogStarts,
    /// The segments that compaction makes are not durable when they take the place of the old ones.
    NoSyncOfCompacted,
    /// An error of a sync is taken for success.
    SyncErrorsSwallowed,
    /// A batch is written a sector away from where it belongs.
    Misplaced,
    /// A batch is written with a byte changed.
    Garbled,
}

const MISTAKES: [Mistake; 11] = [
    Mistake::NoSyncOfRecords,
    Mistake::NoSyncOfDirectories,
    Mistake::NoSyncBeforeRename,
    Mistake::ReplacedInPlace,
    Mistake::NoCut,
    Mistake::NoLowering,
    Mistake::NoLogStarts,
    Mistake::NoSyncOfCompacted,
    Mistake::SyncErrorsSwallowed,
    Mistake::Misplaced,
    Mistake::Garbled,
];

/// So many histories of so many steps are tried until a mistake is found.
const SEEDS: u64 = 40;
const LENGTH: usize = 10;

fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

fn holds_records(path: &Path) -> bool {
    name(path).contains(".log")
}

struct MistakenDisk {
    disk: MemoryDisk,
    mistake: Mistake,
}

struct MistakenFile {
    file: Arc<dyn File>,
    mistake: Mistake,
}

impl MistakenDisk {
    /// The number at the end of a checkpoint.
    fn number(&self, path: &Path) -> Option<i64> {
        let file = self.disk.open(path, OpenMode::Read).ok()?;
        let mut bytes = vec![0; file.length().ok()? as usize];
        file.read_at(&mut bytes, 0).ok()?;
        String::from_utf8(bytes).ok()?.split_whitespace().last()?.parse().ok()
    }

    fn copy_over(&self, from: &Path, to: &Path) -> DiskResult<()> {
        let source = self.disk.open(from, OpenMode::Read)?;
        let mut bytes = vec![0; source.length()? as usize];
        source.read_at(&mut bytes, 0)?;
        let target = self.disk.open(to, OpenMode::CreateTruncate)?;
        target.write_at(&bytes, 0)?;
        target.sync()?;
        self.disk.remove_file(from)
    }
}

impl Disk for MistakenDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> DiskResult<Arc<dyn File>> {
        Ok(Arc::new(MistakenFile { file: self.disk.open(path, mode)?, mistake: self.mistake }))
    }

    fn rename(&self, from: &Path, to: &Path) -> DiskResult<()> {
        let skipped = match self.mistake {
            Mistake::NoLowering => name(to).starts_with("recovery-point") && self.number(from) < self.number(to),
            Mistake::NoLogStarts => name(to).starts_with("log-start"),
            _ => false,
        };
        if skipped {
            return self.disk.remove_file(from);
        }
        if self.mistake == Mistake::ReplacedInPlace && name(to).contains("checkpoint") {
            return self.copy_over(from, to);
        }
        self.disk.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> DiskResult<()> {
        self.disk.remove_file(path)
    }

    fn remove_directory(&self, path: &Path) -> DiskResult<()> {
        self.disk.remove_directory(path)
    }

    fn create_directory(&self, path: &Path) -> DiskResult<()> {
        self.disk.create_directory(path)
    }

    fn list(&self, path: &Path) -> DiskResult<Vec<(String, EntryKind)>> {
        self.disk.list(path)
    }

    fn exists(&self, path: &Path) -> DiskResult<bool> {
        self.disk.exists(path)
    }

    fn sync_directory(&self, path: &Path) -> DiskResult<()> {
        if self.mistake == Mistake::NoSyncOfDirectories { Ok(()) } else { self.disk.sync_directory(path) }
    }

    fn file_system(&self, path: &Path) -> DiskResult<Option<Box<dyn FileSystem>>> {
        self.disk.file_system(path)
    }

    fn lock(&self, path: &Path) -> DiskResult<Option<Box<dyn Send + Sync>>> {
        self.disk.lock(path)
    }

    fn space(&self, path: &Path) -> DiskResult<(u64, u64)> {
        self.disk.space(path)
    }
}

impl File for MistakenFile {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> DiskResult<usize> {
        self.file.read_at(buffer, position)
    }

    fn write_at(&self, bytes: &[u8], position: u64) -> DiskResult<()> {
        let is_batch = holds_records(self.path());
        match self.mistake {
            Mistake::Misplaced if is_batch => self.file.write_at(bytes, position + 512),
            Mistake::Garbled if is_batch => {
                let mut garbled = bytes.to_vec();
                if let Some(byte) = garbled.last_mut() {
                    *byte ^= 1;
                }
                self.file.write_at(&garbled, position)
            }
            _ => self.file.write_at(bytes, position),
        }
    }

    fn sync(&self) -> DiskResult<()> {
        let name = name(self.path());
        let skipped = match self.mistake {
            Mistake::NoSyncOfRecords => holds_records(self.path()),
            Mistake::NoSyncBeforeRename => name.ends_with(".tmp"),
            Mistake::NoSyncOfCompacted => name.ends_with(".cleaned") || name.ends_with(".swap"),
            _ => false,
        };
        if skipped {
            return Ok(());
        }
        match self.file.sync() {
            Err(_) if self.mistake == Mistake::SyncErrorsSwallowed => Ok(()),
            synced => synced,
        }
    }

    fn length(&self) -> DiskResult<u64> {
        self.file.length()
    }

    fn set_length(&self, length: u64) -> DiskResult<()> {
        if self.mistake == Mistake::NoCut { Ok(()) } else { self.file.set_length(length) }
    }

    fn reserve(&self, length: u64) -> DiskResult<()> {
        self.file.reserve(length)
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.file.descriptor()
    }

    fn path(&self) -> &Path {
        self.file.path()
    }
}

/// What the crash test says about the log with this mistake, or without any; `None` when it finds nothing.
fn finding(mistake: Option<Mistake>) -> Option<String> {
    let between = move |disk: MemoryDisk| -> Arc<dyn Disk> {
        match mistake {
            Some(mistake) => Arc::new(MistakenDisk { disk, mistake }),
            None => honest(disk),
        }
    };
    for seed in 0..SEEDS {
        let random = SeededRandom::new(seed);
        let steps: Vec<Step> = (0..LENGTH).map(|_| STEPS[random.below(STEPS.len() as u64) as usize]).collect();
        let modes = [CrashMode::LoseAll, CrashMode::KeepAll, CrashMode::Some { seed }];
        let checked = catch_unwind(AssertUnwindSafe(|| enumerate(&between, &steps, &modes)));
        if let Err(panic) = checked {
            let text = panic.downcast_ref::<String>().cloned();
            return Some(
                text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default(),
            );
        }
    }
    None
}

#[test]
fn each_deliberate_mistake_is_found() {
    // What is found is a panic; it is not to be printed as a failure of this test.
    std::panic::set_hook(Box::new(|_| ()));
    let findings: Vec<_> = MISTAKES.into_iter().map(|mistake| (mistake, finding(Some(mistake)))).collect();
    let without = finding(None);
    let _ = std::panic::take_hook();
    assert_eq!(without, None, "the same histories without a mistake");
    for (mistake, finding) in &findings {
        println!("{mistake:?}: {}", finding.as_deref().unwrap_or("not found").chars().take(160).collect::<String>());
    }
    let missed: Vec<Mistake> =
        findings.iter().filter(|(_, found)| found.is_none()).map(|(mistake, _)| *mistake).collect();
    assert!(missed.is_empty(), "not found: {missed:?}");
}

#[test]
fn the_same_steps_ask_the_same_of_the_disk() {
    for steps in sequences(2) {
        let trace = || {
            let (run, _) = run_until(&honest, &steps, u64::MAX / 2);
            run.world.memory.as_ref().unwrap().trace()
        };
        assert_eq!(trace(), trace(), "{steps:?}");
    }
}
