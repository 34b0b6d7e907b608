use ottla_env::{DiskError, DiskOperation, DiskResult};
use parking_lot::Mutex;
use rustix::fs::FlockOperation;
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The files locked by this process, by device and inode. A POSIX lock does not keep out its own process, and closing
/// *any* descriptor of the file gives the lock up, so a second attempt must be refused before the file is opened.
static HELD: Mutex<BTreeSet<(u64, u64)>> = Mutex::new(BTreeSet::new());

/// A held POSIX record lock over a whole file: the kind that Java's `FileChannel.lock` takes, so that Apache Kafka and
/// Ottla keep each other out of a log directory.
#[derive(Debug)]
struct FileLock {
    identity: (u64, u64),
    _file: File,
}

impl Drop for FileLock {
    fn drop(&mut self) {
        HELD.lock().remove(&self.identity);
        // Closing the file, after this, releases the lock.
    }
}

/// Takes the lock of a file, made when missing. `None` when someone else holds it, in this process or another.
pub(crate) fn lock(path: &Path) -> DiskResult<Option<Box<dyn Send + Sync>>> {
    let error = |source| DiskError::new(DiskOperation::Lock, path, source);
    let mut held = HELD.lock();
    if let Ok(metadata) = std::fs::metadata(path)
        && held.contains(&(metadata.dev(), metadata.ino()))
    {
        return Ok(None);
    }
    let file = File::options().read(true).write(true).create(true).truncate(false).open(path).map_err(error)?;
    match rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {
            let metadata = file.metadata().map_err(error)?;
            let identity = (metadata.dev(), metadata.ino());
            held.insert(identity);
            Ok(Some(Box::new(FileLock { identity, _file: file })))
        }
        Err(Errno::AGAIN | Errno::ACCESS) => Ok(None),
        Err(errno) => Err(error(errno.into())),
    }
}
