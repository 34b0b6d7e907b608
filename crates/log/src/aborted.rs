//! The aborted transactions of a log: the `.txnindex` files.

use crate::error::ReadError;
use crate::format::{AbortedTransaction, parse_transaction_index};
use crate::log::Log;
use crate::names::FileKind;
use crate::producers::CompletedTransaction;
use crate::segment::Segment;
use crate::small_file::{read_file, remove_file_if_exists};
use ottla_env::{Disk, DiskResult, OpenMode};
use ottla_types::Offset;

/// The most that a transaction index may have: millions of aborted transactions in one segment.
const LENGTH_MAX: u64 = 256 << 20;

impl AbortedTransaction {
    /// The entry for a transaction that was aborted, with the last stable offset after it.
    pub(crate) fn of((transaction, last_stable_offset): &(CompletedTransaction, Offset)) -> Self {
        Self {
            producer_id: transaction.producer_id,
            first_offset: transaction.first_offset,
            last_offset: transaction.last_offset,
            last_stable_offset: *last_stable_offset,
        }
    }
}

impl Segment {
    /// Makes sure that so many entries find room in the transaction index: once their marker is in the log they must.
    pub(crate) fn reserve_aborted(&self, disk: &dyn Disk, count: usize) -> DiskResult<()> {
        if count == 0 {
            return Ok(());
        }
        let file = disk.open(&self.path_of(FileKind::TransactionIndex), OpenMode::CreateReadWrite)?;
        // Readers that look for the file now find one without entries.
        self.set_has_aborted(true);
        file.reserve(file.length()? + (count * AbortedTransaction::LENGTH) as u64)
    }

    /// Adds entries to the transaction index.
    pub(crate) fn append_aborted(&self, disk: &dyn Disk, entries: &[AbortedTransaction]) -> DiskResult<()> {
        if entries.is_empty() {
            return Ok(());
        }
        let file = disk.open(&self.path_of(FileKind::TransactionIndex), OpenMode::CreateReadWrite)?;
        self.set_has_aborted(true);
        let bytes: Vec<u8> = entries.iter().flat_map(AbortedTransaction::to_bytes).collect();
        // After a failure the directory is offline, so that what is there is always whole.
        file.write_at(&bytes, file.length()?)
    }

    /// Writes the transaction index anew; without entries there is no file.
    pub(crate) fn write_aborted(&self, disk: &dyn Disk, entries: &[AbortedTransaction]) -> DiskResult<()> {
        self.set_has_aborted(!entries.is_empty());
        let path = self.path_of(FileKind::TransactionIndex);
        if entries.is_empty() {
            return remove_file_if_exists(disk, &path);
        }
        let bytes: Vec<u8> = entries.iter().flat_map(AbortedTransaction::to_bytes).collect();
        disk.open(&path, OpenMode::CreateTruncate)?.write_at(&bytes, 0)
    }

    /// The entries of the transaction index. An index that can't be read has none that can be relied on; it is reported.
    pub(crate) fn read_aborted(&self, disk: &dyn Disk) -> DiskResult<Vec<AbortedTransaction>> {
        if !self.may_have_aborted() {
            return Ok(Vec::new());
        }
        let path = self.path_of(FileKind::TransactionIndex);
        let Some(contents) = read_file(disk, &path, LENGTH_MAX)? else {
            self.set_has_aborted(false);
            return Ok(Vec::new());
        };
        Ok(parse_transaction_index(&contents, self.base_offset).unwrap_or_else(|error| {
            tracing::error!(path = %path.display(), %error, "the transaction index is damaged");
            Vec::new()
        }))
    }

    /// Drops the entries of transactions that ended at or beyond an offset.
    pub(crate) fn truncate_aborted(&self, disk: &dyn Disk, offset: Offset) -> DiskResult<()> {
        let mut entries = self.read_aborted(disk)?;
        let before = entries.len();
        entries.retain(|entry| entry.last_offset < offset);
        if entries.len() == before { Ok(()) } else { self.write_aborted(disk, &entries) }
    }
}

impl Log {
    /// The aborted transactions that a reader of committed records must leave out when it reads from `start` up to, not
    /// including, `end`.
    pub fn aborted_transactions(&self, start: Offset, end: Offset) -> Result<Vec<AbortedTransaction>, ReadError> {
        let view = self.view();
        let mut found = Vec::new();
        let first = view.floor(start).unwrap_or(0);
        for segment in view.segments.get(first..).unwrap_or_default() {
            for entry in segment.read_aborted(self.disk())? {
                if entry.last_offset >= start && entry.first_offset < end {
                    found.push(entry);
                }
                // Whatever was aborted later began at or after this offset.
                if entry.last_stable_offset >= end {
                    return Ok(found);
                }
            }
        }
        Ok(found)
    }
}
