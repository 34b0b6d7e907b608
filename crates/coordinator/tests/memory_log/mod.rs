//! A partition's log in memory, with a high watermark that can be held back, and errors on demand.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use ottla_coordinator::{MachineLog, MarkerEpoch};
use ottla_protocol::ErrorCode;
use ottla_records::{AnyBatch, RecordBatchView, assign_offsets};
use ottla_types::{LeaderEpoch, Offset};
use std::sync::Mutex;

/// The log.
#[derive(Default)]
pub(crate) struct MemoryLog {
    inner: Mutex<Inner>,
    /// What an announcement sets free, once.
    set_free: Mutex<Option<SetFree>>,
}

type SetFree = Box<dyn FnOnce() + Send>;

#[derive(Debug, Default)]
struct Inner {
    batches: Vec<Vec<u8>>,
    end: i64,
    start: i64,
    high_watermark: i64,
    holds_back: bool,
    error: Option<ErrorCode>,
    batch_bytes_max: Option<usize>,
    forgets: bool,
}

#[allow(dead_code)]
impl MemoryLog {
    /// Holds the high watermark where it is, or lets it follow the end.
    pub(crate) fn hold_back(&self, holds_back: bool) {
        let mut inner = self.inner.lock().unwrap();
        inner.holds_back = holds_back;
        if !holds_back {
            inner.high_watermark = inner.end;
        }
    }

    /// What the next announcement sets free.
    pub(crate) fn on_announcement(&self, set_free: impl FnOnce() + Send + 'static) {
        *self.set_free.lock().unwrap() = Some(Box::new(set_free));
    }

    /// The error of the next appends.
    pub(crate) fn set_error(&self, error: Option<ErrorCode>) {
        self.inner.lock().unwrap().error = error;
    }

    /// The largest batch that is taken.
    pub(crate) fn set_batch_bytes_max(&self, bytes: usize) {
        self.inner.lock().unwrap().batch_bytes_max = Some(bytes);
    }

    /// Keeps no batches from now on: what is measured is not the log.
    pub(crate) fn forget_batches(&self) {
        self.inner.lock().unwrap().forgets = true;
    }

    /// Puts the bytes of batches into the log as they are.
    pub(crate) fn push_raw(&self, bytes: &[u8]) {
        let mut inner = self.inner.lock().unwrap();
        let mut rest = bytes;
        while !rest.is_empty() {
            let batch = AnyBatch::parse(rest).unwrap();
            inner.end = batch.last_offset().value() + 1;
            inner.high_watermark = inner.end;
            inner.batches.push(batch.bytes().to_vec());
            rest = &rest[batch.size()..];
        }
    }

    /// Changes a byte of a batch.
    pub(crate) fn damage(&self, batch: usize, byte: usize) {
        self.inner.lock().unwrap().batches[batch][byte] ^= 0x40;
    }

    /// All batches, one after the other.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.inner.lock().unwrap().batches.concat()
    }

    /// How many batches there are.
    pub(crate) fn batches(&self) -> usize {
        self.inner.lock().unwrap().batches.len()
    }
}

impl MachineLog for MemoryLog {
    fn append(&self, batch: &mut [u8]) -> Result<Offset, ErrorCode> {
        let mut inner = self.inner.lock().unwrap();
        if let Some(error) = inner.error {
            return Err(error);
        }
        assign_offsets(batch, Offset(inner.end), LeaderEpoch(0)).unwrap();
        let view = RecordBatchView::parse(batch).unwrap();
        assert!(view.is_checksum_valid());
        inner.end = view.next_offset().value();
        if !inner.forgets {
            inner.batches.push(batch.to_vec());
        }
        if !inner.holds_back {
            inner.high_watermark = inner.end;
        }
        Ok(view.last_offset())
    }

    fn append_marker(&self, batch: &mut [u8], _epoch: MarkerEpoch) -> Result<Offset, ErrorCode> {
        self.append(batch)
    }

    fn announce(&self) {
        let set_free = self.set_free.lock().unwrap().take();
        if let Some(set_free) = set_free {
            set_free();
        }
    }

    fn high_watermark(&self) -> Offset {
        Offset(self.inner.lock().unwrap().high_watermark)
    }

    fn start_offset(&self) -> Offset {
        Offset(self.inner.lock().unwrap().start)
    }

    fn end_offset(&self) -> Result<Offset, ErrorCode> {
        Ok(Offset(self.inner.lock().unwrap().end))
    }

    fn read(&self, from: Offset, bytes_max: usize, into: &mut Vec<u8>) -> Result<(), ErrorCode> {
        into.clear();
        let inner = self.inner.lock().unwrap();
        let first = inner.batches.partition_point(|batch| AnyBatch::parse(batch).unwrap().last_offset() < from);
        for batch in &inner.batches[first..] {
            let is_wanted = AnyBatch::parse(batch).unwrap().last_offset() >= from;
            if is_wanted && (into.is_empty() || into.len() + batch.len() <= bytes_max) {
                into.extend_from_slice(batch);
            } else if is_wanted {
                break;
            }
        }
        Ok(())
    }

    fn batch_bytes_max(&self) -> usize {
        self.inner.lock().unwrap().batch_bytes_max.unwrap_or(1_048_588)
    }
}
