use ottla_env::{DiskError, DiskOperation, DiskResult, File};
use rustix::fs::FallocateFlags;
use rustix::io::Errno;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// An open file of the operating system.
#[derive(Debug)]
pub(crate) struct OsFile {
    file: fs::File,
    path: PathBuf,
}

impl OsFile {
    pub(crate) fn new(file: fs::File, path: &Path) -> Self {
        Self { file, path: path.to_owned() }
    }

    fn error(&self, operation: DiskOperation) -> impl Fn(io::Error) -> DiskError + '_ {
        move |source| DiskError::new(operation, &self.path, source)
    }
}

impl File for OsFile {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> DiskResult<usize> {
        let mut read = 0;
        while let Some(rest) = buffer.get_mut(read..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, position + read as u64) {
                Ok(0) => break,
                Ok(bytes) => read += bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.error(DiskOperation::Read)(error)),
            }
        }
        Ok(read)
    }

    fn write_at(&self, bytes: &[u8], position: u64) -> DiskResult<()> {
        // Loops over short writes and interruptions.
        self.file.write_all_at(bytes, position).map_err(self.error(DiskOperation::Write))
    }

    fn sync(&self) -> DiskResult<()> {
        // fdatasync also writes the metadata that is needed to read the data back, the length among it.
        self.file.sync_data().map_err(self.error(DiskOperation::Sync))
    }

    fn length(&self) -> DiskResult<u64> {
        self.file.metadata().map(|metadata| metadata.len()).map_err(self.error(DiskOperation::Read))
    }

    fn set_length(&self, length: u64) -> DiskResult<()> {
        self.file.set_len(length).map_err(self.error(DiskOperation::Write))
    }

    fn reserve(&self, length: u64) -> DiskResult<()> {
        match rustix::fs::fallocate(&self.file, FallocateFlags::KEEP_SIZE, 0, length) {
            // A file system without the call: the space is then taken with each write, as without a reservation.
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
            Err(errno) => Err(self.error(DiskOperation::Write)(errno.into())),
        }
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.file.as_fd())
    }

    fn path(&self) -> &Path {
        &self.path
    }
}
