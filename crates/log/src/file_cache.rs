//! The segment files that are open: as many as are used, never more than a limit.

use crate::segment::Segment;
use ottla_env::{Disk, DiskResult, File, OpenMode};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::{Arc, Weak};

/// Keeps segment files open, at most `capacity` of them. Which one goes when there are too many is found by the clock
/// algorithm: those used since the hand last came by, and those with data not yet flushed, are passed over once.
///
/// A reader holds its file itself, so that closing it here takes nothing from anyone.
pub(crate) struct FileCache {
    disk: Arc<dyn Disk>,
    capacity: usize,
    open: Mutex<VecDeque<Weak<Segment>>>,
}

impl FileCache {
    pub(crate) fn new(disk: Arc<dyn Disk>, capacity: usize) -> Self {
        Self { disk, capacity: capacity.max(1), open: Mutex::new(VecDeque::new()) }
    }

    /// The open file of a segment.
    pub(crate) fn get(&self, segment: &Arc<Segment>) -> DiskResult<Arc<dyn File>> {
        match segment.open_file() {
            Some(file) => Ok(file),
            None => self.insert(segment, segment.open(&*self.disk, OpenMode::ReadWrite)?),
        }
    }

    /// Takes up a file that was just opened or made.
    pub(crate) fn insert(&self, segment: &Arc<Segment>, file: Arc<dyn File>) -> DiskResult<Arc<dyn File>> {
        let (file, is_new) = segment.keep_open(file);
        if is_new {
            let mut open = self.open.lock();
            open.push_back(Arc::downgrade(segment));
            self.evict(&mut open);
        }
        Ok(file)
    }

    fn evict(&self, open: &mut VecDeque<Weak<Segment>>) {
        // Each entry is passed over at most once, so that this ends.
        let mut patience = open.len();
        while open.len() > self.capacity {
            let Some(entry) = open.pop_front() else { return };
            let Some(segment) = entry.upgrade() else { continue };
            if patience > 0 && segment.was_used() {
                patience -= 1;
                open.push_back(entry);
            } else {
                segment.close_file();
            }
        }
    }

    /// How many segment files are open.
    pub(crate) fn open_files(&self) -> usize {
        let is_open = |entry: &&Weak<Segment>| entry.upgrade().is_some_and(|segment| segment.open_file().is_some());
        self.open.lock().iter().filter(is_open).count()
    }
}
