//! Small files that are replaced as a whole: old or new after a crash, never mixed.

use ottla_env::{Disk, DiskError, DiskOperation, DiskResult, File, OpenMode};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Replaces the contents of a file: written beside it, made durable, renamed over it, and the renaming made durable.
/// When this returns the new contents survive any crash; after a crash within, the old ones are there.
pub fn replace_file(disk: &dyn Disk, path: &Path, contents: &[u8]) -> DiskResult<()> {
    write_beside(disk, path, contents)?.sync()?;
    rename_over(disk, path)?;
    disk.sync_directory(path.parent().unwrap_or(Path::new(".")))
}

/// The first part of a replacement: the new contents beside the file, not durable yet.
pub(crate) fn write_beside(disk: &dyn Disk, path: &Path, contents: &[u8]) -> DiskResult<Arc<dyn File>> {
    let file = disk.open(&temporary_path(path), OpenMode::CreateTruncate)?;
    file.write_at(contents, 0)?;
    Ok(file)
}

/// The last part of a replacement, when the new contents are durable. It is itself not durable yet.
pub(crate) fn rename_over(disk: &dyn Disk, path: &Path) -> DiskResult<()> {
    disk.rename(&temporary_path(path), path)
}

/// Reads a whole file, at most `length_max` bytes. `None` when it does not exist.
pub fn read_file(disk: &dyn Disk, path: &Path, length_max: u64) -> DiskResult<Option<Vec<u8>>> {
    let file = match disk.open(path, OpenMode::Read) {
        Err(error) if error.is_not_found() => return Ok(None),
        other => other?,
    };
    let length = file.length()?;
    if length > length_max {
        let source =
            io::Error::new(io::ErrorKind::FileTooLarge, format!("{length} bytes where {length_max} are allowed"));
        return Err(DiskError::new(DiskOperation::Read, path, source));
    }
    let mut contents = vec![0; length as usize];
    let read = file.read_at(&mut contents, 0)?;
    contents.truncate(read);
    Ok(Some(contents))
}

/// Removes a file that need not be there.
pub fn remove_file_if_exists(disk: &dyn Disk, path: &Path) -> DiskResult<()> {
    match disk.remove_file(path) {
        Err(error) if error.is_not_found() => Ok(()),
        other => other,
    }
}

/// Where new contents are written first: Kafka's name for it, so that each program overwrites the other's leftovers.
fn temporary_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    PathBuf::from(name)
}
