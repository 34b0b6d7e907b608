use super::RecoveryError;
use ottla_env::{Disk, DiskResult, EntryKind, OpenMode};
use std::path::Path;

const COPY_BYTES: usize = 1 << 20;

/// Copies a directory's files, durably. The copy has its name only when it is whole.
pub(super) fn copy(disk: &dyn Disk, from: &Path, to: &Path) -> Result<(), RecoveryError> {
    if disk.exists(to)? {
        return Err(RecoveryError::BackupExists(to.to_owned()));
    }
    let mut part = to.as_os_str().to_owned();
    part.push(".part");
    let part = Path::new(&part);
    disk.create_directory(part)?;
    for (name, kind) in disk.list(from)? {
        if kind == EntryKind::File {
            copy_file(disk, &from.join(&name), &part.join(&name))?;
        }
    }
    disk.sync_directory(part)?;
    disk.rename(part, to)?;
    if let Some(parent) = to.parent() {
        disk.sync_directory(parent)?;
    }
    Ok(())
}

fn copy_file(disk: &dyn Disk, from: &Path, to: &Path) -> DiskResult<()> {
    let source = disk.open(from, OpenMode::Read)?;
    // A copy that was broken off before is written anew.
    let target = disk.open(to, OpenMode::CreateTruncate)?;
    let mut position = 0;
    let mut buffer = vec![0; COPY_BYTES];
    loop {
        let read = source.read_at(&mut buffer, position)?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        target.write_at(bytes, position)?;
        position += bytes.len() as u64;
    }
    target.sync()
}
