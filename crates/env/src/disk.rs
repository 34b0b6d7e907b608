use core::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What was being done when the disk failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskOperation {
    /// Opening a file that is there.
    Open,
    /// Opening a file that is made when it is not there.
    Create,
    /// Reading file contents or a length.
    Read,
    /// Writing file contents or changing a length.
    Write,
    /// Forcing contents or directory entries to stable storage.
    Sync,
    /// Renaming.
    Rename,
    /// Removing.
    Remove,
    /// Making a directory.
    CreateDirectory,
    /// Listing a directory.
    List,
    /// Taking the lock of a directory.
    Lock,
}

/// The system's numbers for too many open files: in all, and in this process. Every Unix has these.
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;

/// A failed disk operation, with the path it concerned.
#[derive(Debug)]
pub struct DiskError {
    /// What was being done.
    pub operation: DiskOperation,
    /// The file or directory.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

impl DiskError {
    /// Names the operation and the path of a system error.
    pub fn new(operation: DiskOperation, path: &Path, source: io::Error) -> Self {
        Self { operation, path: path.to_owned(), source }
    }

    /// Whether the cause is a full disk: the one failure of a write after which the file can be used again.
    pub fn is_disk_full(&self) -> bool {
        matches!(self.source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }

    /// Whether the process, or the system, has as many open files as it may have: no fault of the disk.
    pub fn is_too_many_files(&self) -> bool {
        matches!(self.source.raw_os_error(), Some(ENFILE | EMFILE))
    }

    /// Whether the file or directory does not exist.
    pub fn is_not_found(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }
}

impl fmt::Display for DiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let doing = match self.operation {
            DiskOperation::Open => "open",
            DiskOperation::Create => "create",
            DiskOperation::Read => "read",
            DiskOperation::Write => "write",
            DiskOperation::Sync => "sync",
            DiskOperation::Rename => "rename",
            DiskOperation::Remove => "remove",
            DiskOperation::CreateDirectory => "create directory",
            DiskOperation::List => "list",
            DiskOperation::Lock => "lock",
        };
        write!(f, "cannot {doing} {}: {}", self.path.display(), self.source)
    }
}

impl std::error::Error for DiskError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// The result of a disk operation.
pub type DiskResult<T> = Result<T, DiskError>;

impl OpenMode {
    /// What it is that fails when a file can't be opened so.
    pub const fn operation(self) -> DiskOperation {
        match self {
            Self::Read | Self::ReadWrite => DiskOperation::Open,
            Self::CreateReadWrite | Self::CreateNew | Self::CreateTruncate => DiskOperation::Create,
        }
    }
}

/// How to open a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// The file must exist; it will not be written.
    Read,
    /// The file must exist.
    ReadWrite,
    /// The file is made when it does not exist; its contents are kept when it does.
    CreateReadWrite,
    /// The file must not exist.
    CreateNew,
    /// The file is made, or emptied.
    CreateTruncate,
}

/// What a directory entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryKind {
    /// An ordinary file.
    File,
    /// A directory.
    Directory,
    /// Anything else.
    Other,
}

/// A disk: directories, files, and what is durable when.
///
/// **Durability.** Nothing is durable when a call returns, except: what `File::sync` covers, and what
/// `sync_directory` covers. A file's contents and its directory entry are durable apart: a new or renamed file
/// survives a crash only after both its `sync` and the `sync_directory` of its directory have returned.
///
/// **Failure.** After a failed `sync` the state of everything written since the last good one is unknown; calling
/// again may report success without having written anything, so the caller must stop trusting the directory.
pub trait Disk: Send + Sync + 'static {
    /// Opens a file.
    fn open(&self, path: &Path, mode: OpenMode) -> DiskResult<Arc<dyn File>>;

    /// Renames a file or directory, replacing an existing file atomically. Durable after `sync_directory` of the
    /// parent (of both parents when they differ).
    fn rename(&self, from: &Path, to: &Path) -> DiskResult<()>;

    /// Removes a file. A file that is open goes on being readable by who holds it.
    fn remove_file(&self, path: &Path) -> DiskResult<()>;

    /// Removes a directory with everything in it.
    fn remove_directory(&self, path: &Path) -> DiskResult<()>;

    /// Makes a directory and the missing ones above it. No error when it exists.
    fn create_directory(&self, path: &Path) -> DiskResult<()>;

    /// The entries of a directory, in the order of their names.
    fn list(&self, path: &Path) -> DiskResult<Vec<(String, EntryKind)>>;

    /// Whether the path exists.
    fn exists(&self, path: &Path) -> DiskResult<bool>;

    /// The length of a file, without keeping it open.
    fn length(&self, path: &Path) -> DiskResult<u64> {
        self.open(path, OpenMode::Read)?.length()
    }

    /// Makes the entries of a directory durable: files created, renamed and removed in it.
    fn sync_directory(&self, path: &Path) -> DiskResult<()>;

    /// A handle for making everything in the file system that holds the path durable at once: for many files much cheaper
    /// than one `sync` each. `None` when the system can't do that, or can't tell of everything that fails in it.
    fn file_system(&self, path: &Path) -> DiskResult<Option<Box<dyn FileSystem>>> {
        let _ = path;
        Ok(None)
    }

    /// Takes the exclusive advisory lock of a file, made when missing, as Kafka does with `.lock`. `None` when another
    /// process holds it. Held until the guard is dropped.
    fn lock(&self, path: &Path) -> DiskResult<Option<Box<dyn Send + Sync>>>;

    /// Bytes free for an ordinary user and bytes in all of the file system that holds the path.
    fn space(&self, path: &Path) -> DiskResult<(u64, u64)>;
}

/// A whole file system.
pub trait FileSystem: Send + Sync {
    /// Makes all that was written before the call durable: contents, lengths and names. Fails also when something written
    /// since the handle was made, or since the last call, could not be kept, whichever file it was in.
    fn sync(&self) -> DiskResult<()>;
}

/// An open file. Positioned reads and writes only: there is no cursor. Any number of threads may read while one
/// writes; a reader sees of a concurrent write either nothing, all, or a part.
pub trait File: Send + Sync + 'static {
    /// Reads up to `buffer.len()` bytes at `position`, and says how many: fewer only at the end of the file.
    fn read_at(&self, buffer: &mut [u8], position: u64) -> DiskResult<usize>;

    /// Writes all bytes at `position`. On an error any part of them may have been written.
    fn write_at(&self, bytes: &[u8], position: u64) -> DiskResult<()>;

    /// Makes contents and length durable.
    fn sync(&self) -> DiskResult<()>;

    /// The length in bytes.
    fn length(&self) -> DiskResult<u64>;

    /// Cuts or extends the file (with zeros).
    fn set_length(&self, length: u64) -> DiskResult<()>;

    /// Reserves space up to `length` without changing the length of the file, where the system can.
    fn reserve(&self, length: u64) -> DiskResult<()>;

    /// The descriptor, for sending a range of the file without copying it through user space. `None` in simulation.
    fn descriptor(&self) -> Option<BorrowedFd<'_>>;

    /// The path the file was opened by, for messages; it may have been renamed since.
    fn path(&self) -> &Path;
}
