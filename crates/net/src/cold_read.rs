//! Ranges of files that are not in the page cache are read by a thread of their own, so that the connections of a loop
//! do not wait for the disk.

use core::sync::atomic::{AtomicBool, Ordering};
use std::io::IoSliceMut;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;

use ottla_env::{DiskError, DiskOperation, DiskResult, File};
use parking_lot::Mutex;
use rustix::io::{Errno, ReadWriteFlags, preadv2};

use crate::channel::Channel;
use crate::inbox::Notice;
use crate::output::ColdRange;

/// What reading without waiting for the disk gave.
pub(crate) enum Warmth {
    /// So many bytes: 0 at the end of the file.
    Cached(usize),
    /// Nothing: the disk would have to be asked.
    Cold,
}

/// Reads what is in the page cache, and only that, unless `wait` is set. A file without descriptor is always read.
pub(crate) fn read_cached(file: &dyn File, position: u64, buffer: &mut [u8], wait: bool) -> DiskResult<Warmth> {
    let Some(descriptor) = file.descriptor().filter(|_| !wait) else {
        return file.read_at(buffer, position).map(Warmth::Cached);
    };
    match preadv2(descriptor, &mut [IoSliceMut::new(buffer)], position, ReadWriteFlags::NOWAIT) {
        Ok(bytes) => Ok(Warmth::Cached(bytes)),
        Err(Errno::AGAIN) => Ok(Warmth::Cold),
        // The file system can't tell. It is then read as if it were in memory.
        Err(Errno::OPNOTSUPP | Errno::INTR | Errno::INVAL) => file.read_at(buffer, position).map(Warmth::Cached),
        Err(error) => Err(DiskError::new(DiskOperation::Read, file.path(), error.into())),
    }
}

/// Whether sending the range will hardly wait for the disk. Asks for the first and the last byte: files are written and
/// read ahead in sequence, so what is between them is nearly always there when both are.
pub(crate) fn is_cached(file: &dyn File, position: u64, length: u64) -> DiskResult<bool> {
    for probed in [position, position + length.saturating_sub(1)] {
        if matches!(read_cached(file, probed, &mut [0], false)?, Warmth::Cold) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// How many connections may wait for the disk; more than that read in the loop after all.
const WAITING_MAX: usize = 1024;

struct ColdRead {
    range: ColdRange,
    channel: Arc<Channel>,
}

/// The thread that waits for the disk. Started by the first range that needs it, so that a node whose readers keep up
/// has none.
#[derive(Default)]
pub(crate) struct ColdReader {
    queue: Mutex<Option<SyncSender<ColdRead>>>,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
    failed: AtomicBool,
}

impl ColdReader {
    /// Brings the range into memory, then lets the channel's loop send it. Says whether it will; if not, the caller
    /// reads itself.
    pub(crate) fn read(&self, range: ColdRange, channel: Arc<Channel>) -> bool {
        let Some(queue) = self.queue() else { return false };
        match queue.try_send(ColdRead { range, channel }) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }

    /// Ends the thread after what is queued.
    pub(crate) fn stop(&self) {
        self.failed.store(true, Ordering::Release);
        *self.queue.lock() = None;
        if let Some(thread) = self.thread.lock().take() {
            let _ = thread.join();
        }
    }

    fn queue(&self) -> Option<SyncSender<ColdRead>> {
        let mut queue = self.queue.lock();
        if queue.is_none() && !self.failed.load(Ordering::Acquire) {
            let (sender, receiver) = sync_channel(WAITING_MAX);
            match thread::Builder::new().name("cold-reader".to_owned()).spawn(move || read_all(&receiver)) {
                Ok(thread) => {
                    *self.thread.lock() = Some(thread);
                    *queue = Some(sender);
                }
                Err(error) => {
                    tracing::warn!(%error, "no thread for reads from the disk; connections will wait for them");
                    self.failed.store(true, Ordering::Release);
                }
            }
        }
        queue.clone()
    }
}

fn read_all(queue: &Receiver<ColdRead>) {
    let mut buffer = vec![0; 256 << 10];
    while let Ok(ColdRead { range, channel }) = queue.recv() {
        let mut position = range.position;
        let end = range.position.saturating_add(range.length);
        while position < end {
            let wanted = usize::try_from(end - position).unwrap_or(usize::MAX).min(buffer.len());
            // What goes wrong here goes wrong again when the loop sends the range, and is handled there.
            match range.file.read_at(&mut buffer[..wanted], position) {
                Ok(bytes) if bytes > 0 => position += bytes as u64,
                Ok(_) | Err(_) => break,
            }
        }
        channel.set_warmed();
        let inbox = Arc::clone(channel.inbox());
        inbox.send(Notice::Flush(channel));
    }
}
