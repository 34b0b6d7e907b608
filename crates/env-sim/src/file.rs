//! A simulated file: what programs see of it, and what a crash would leave.

use crate::disk::State;
use crate::fault::{CrashMode, FaultKind};
use crate::random::SeededRandom;
use ottla_env::{DiskError, DiskOperation, DiskResult, File};
use parking_lot::Mutex;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The unit that a real disk writes as a whole.
const SECTOR: usize = 512;

/// A change that is not durable yet.
#[derive(Clone)]
enum Pending {
    Write { position: u64, bytes: Vec<u8> },
    Length(u64),
}

#[derive(Default)]
struct Versions {
    current: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Pending>,
    /// Up to here there is room on the disk, whatever the length.
    reserved: u64,
}

/// The contents of one file, whatever its names are.
#[derive(Default)]
pub(crate) struct Contents(Mutex<Versions>);

impl Contents {
    pub(crate) fn length(&self) -> usize {
        self.0.lock().current.len()
    }

    /// The room that it takes on the disk.
    pub(crate) fn occupied(&self) -> u64 {
        let versions = self.0.lock();
        versions.reserved.max(versions.current.len() as u64)
    }

    /// What a crash leaves of the file.
    pub(crate) fn after_crash(&self, mode: CrashMode, random: &SeededRandom) -> Self {
        let versions = self.0.lock();
        let contents = match mode {
            CrashMode::LoseAll => versions.durable.clone(),
            CrashMode::KeepAll => versions.current.clone(),
            CrashMode::Some { .. } => {
                let mut contents = versions.durable.clone();
                for change in &versions.pending {
                    match random.below(4) {
                        0 => {}
                        1 => apply(&mut contents, change),
                        2 => apply(&mut contents, &torn(change, random)),
                        _ => scattered(change, random).iter().for_each(|part| apply(&mut contents, part)),
                    }
                }
                contents
            }
        };
        Self(Mutex::new(Versions { current: contents.clone(), durable: contents, ..Versions::default() }))
    }

    /// Changes bytes that are durable, as a failing disk does.
    pub(crate) fn corrupt(&self, position: u64, bytes: &[u8]) {
        let mut versions = self.0.lock();
        let change = Pending::Write { position, bytes: bytes.to_vec() };
        apply(&mut versions.current, &change);
        apply(&mut versions.durable, &change);
    }

    pub(crate) fn truncate(&self, length: u64) {
        self.0.lock().reserved = 0;
        self.change(Pending::Length(length));
    }

    fn change(&self, change: Pending) {
        let mut versions = self.0.lock();
        apply(&mut versions.current, &change);
        versions.pending.push(change);
    }

    /// Writes what is pending. What a failed sync has forgotten stays lost, as on a real system.
    pub(crate) fn sync(&self) {
        let versions = &mut *self.0.lock();
        for change in versions.pending.drain(..) {
            apply(&mut versions.durable, &change);
        }
    }

    /// A failed sync: the system forgets that there was something to write.
    pub(crate) fn forget(&self) {
        self.0.lock().pending.clear();
    }
}

/// A change of which only the sectors before some place were written.
fn torn(change: &Pending, random: &SeededRandom) -> Pending {
    match change {
        Pending::Write { position, bytes } => {
            let sectors = bytes.len().div_ceil(SECTOR) as u64;
            let kept = (random.below(sectors + 1) as usize * SECTOR).min(bytes.len());
            Pending::Write { position: *position, bytes: bytes[..kept].to_vec() }
        }
        length => length.clone(),
    }
}

/// A change of which any sectors were written: the disk takes them in an order of its own.
fn scattered(change: &Pending, random: &SeededRandom) -> Vec<Pending> {
    let Pending::Write { position, bytes } = change else { return vec![change.clone()] };
    let mut kept = Vec::new();
    let mut from = 0;
    while from < bytes.len() {
        // Sectors lie where the disk has them, not where the write begins.
        let end = bytes.len().min(from + SECTOR - (*position as usize + from) % SECTOR);
        if random.below(2) == 0 {
            kept.push(Pending::Write { position: *position + from as u64, bytes: bytes[from..end].to_vec() });
        }
        from = end;
    }
    kept
}

fn apply(contents: &mut Vec<u8>, change: &Pending) {
    match change {
        Pending::Length(length) => contents.resize(*length as usize, 0),
        Pending::Write { position, bytes } => {
            let start = *position as usize;
            let end = start + bytes.len();
            if contents.len() < end && !bytes.is_empty() {
                contents.resize(end, 0);
            }
            if let Some(target) = contents.get_mut(start..end) {
                target.copy_from_slice(bytes);
            }
        }
    }
}

/// An open file of the simulated disk. It is of no use after a crash.
pub(crate) struct MemoryFile {
    pub(crate) contents: Arc<Contents>,
    pub(crate) path: PathBuf,
    pub(crate) state: Arc<State>,
    pub(crate) incarnation: u64,
    pub(crate) is_below: bool,
}

impl MemoryFile {
    fn begin(&self, operation: DiskOperation) -> Result<(), (FaultKind, DiskError)> {
        if self.is_below {
            return Ok(());
        }
        self.state.begin(operation, &self.path, self.incarnation)
    }

    /// What lacks to give the file room up to here.
    fn lacking(&self, end: u64) -> Option<u64> {
        let growth = end.saturating_sub(self.contents.occupied());
        growth.checked_sub(self.state.free()).filter(|lacking| *lacking > 0)
    }

    fn full(&self) -> DiskError {
        DiskError::new(DiskOperation::Write, &self.path, io::Error::from(io::ErrorKind::StorageFull))
    }
}

impl File for MemoryFile {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> DiskResult<usize> {
        self.begin(DiskOperation::Read).map_err(|(_, error)| error)?;
        let versions = self.contents.0.lock();
        let start = (position as usize).min(versions.current.len());
        let length = buffer.len().min(versions.current.len() - start);
        buffer[..length].copy_from_slice(&versions.current[start..start + length]);
        Ok(length)
    }

    fn write_at(&self, bytes: &[u8], position: u64) -> DiskResult<()> {
        let write = |bytes: &[u8]| self.contents.change(Pending::Write { position, bytes: bytes.to_vec() });
        if let Err((_, error)) = self.begin(DiskOperation::Write) {
            write(&bytes[..bytes.len() / 2]);
            return Err(error);
        }
        let end = position + bytes.len() as u64;
        if let Some(lacking) = self.lacking(end) {
            // As much as fits is written, as a real file system would.
            write(&bytes[..bytes.len().saturating_sub(lacking as usize)]);
            return Err(self.full());
        }
        write(bytes);
        Ok(())
    }

    fn sync(&self) -> DiskResult<()> {
        match self.begin(DiskOperation::Sync) {
            Ok(()) => {
                self.contents.sync();
                Ok(())
            }
            Err((_, error)) => {
                self.contents.forget();
                Err(error)
            }
        }
    }

    fn length(&self) -> DiskResult<u64> {
        self.begin(DiskOperation::Read).map_err(|(_, error)| error)?;
        Ok(self.contents.length() as u64)
    }

    fn set_length(&self, length: u64) -> DiskResult<()> {
        // Cutting needs no space, so that it is not struck by a full disk.
        match self.begin(DiskOperation::Write) {
            Err((FaultKind::Error, error)) => Err(error),
            _ => {
                self.contents.truncate(length);
                Ok(())
            }
        }
    }

    fn reserve(&self, length: u64) -> DiskResult<()> {
        self.begin(DiskOperation::Write).map_err(|(_, error)| error)?;
        if self.lacking(length).is_some() {
            return Err(self.full());
        }
        let reserved = &mut self.contents.0.lock().reserved;
        *reserved = length.max(*reserved);
        Ok(())
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn path(&self) -> &Path {
        &self.path
    }
}
