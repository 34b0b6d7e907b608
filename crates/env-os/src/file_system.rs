use ottla_env::{DiskError, DiskOperation, DiskResult, FileSystem};
use std::fs;
use std::path::{Path, PathBuf};

/// The first Linux whose `syncfs` tells of contents that could not be written back (the kernel's commit 735e4ae5ba28).
const FIRST_HONEST: (u32, u32) = (5, 8);

/// A file system, by a directory in it that stays open: what fails between two syncs is told to who had it open meanwhile.
pub(crate) struct OsFileSystem {
    directory: fs::File,
    path: PathBuf,
}

impl OsFileSystem {
    /// `None` where a sync of a whole file system could keep quiet about what failed.
    pub(crate) fn open(path: &Path) -> DiskResult<Option<Self>> {
        if !is_honest(&rustix::system::uname().release().to_string_lossy()) {
            return Ok(None);
        }
        let directory = fs::File::open(path).map_err(|error| DiskError::new(DiskOperation::Open, path, error))?;
        Ok(Some(Self { directory, path: path.to_owned() }))
    }
}

impl FileSystem for OsFileSystem {
    fn sync(&self) -> DiskResult<()> {
        let synced = rustix::fs::syncfs(&self.directory);
        synced.map_err(|errno| DiskError::new(DiskOperation::Sync, &self.path, errno.into()))
    }
}

fn is_honest(release: &str) -> bool {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse::<u32>());
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= FIRST_HONEST,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_kernels_that_tell_of_lost_writes_are_trusted() {
        for (release, honest) in
            [("6.1.0-13-amd64", true), ("5.8.0", true), ("5.7.19", false), ("4.19", false), ("x", false)]
        {
            assert_eq!(is_honest(release), honest, "{release}");
        }
    }

    #[test]
    fn a_file_system_is_synced_by_a_directory_in_it() {
        let directory = tempfile::tempdir().unwrap();
        let Some(file_system) = OsFileSystem::open(directory.path()).unwrap() else { return };
        fs::write(directory.path().join("file"), b"contents").unwrap();
        file_system.sync().unwrap();
    }
}
