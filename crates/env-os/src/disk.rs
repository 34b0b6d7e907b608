use crate::file::OsFile;
use crate::file_system::OsFileSystem;
use crate::lock;
use ottla_env::{Disk, DiskError, DiskOperation, DiskResult, EntryKind, File, FileSystem, OpenMode};
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// The file systems of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsDisk;

fn error(operation: DiskOperation, path: &Path) -> impl Fn(io::Error) -> DiskError + '_ {
    move |source| DiskError::new(operation, path, source)
}

impl Disk for OsDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> DiskResult<Arc<dyn File>> {
        let mut options = fs::File::options();
        options.read(true).write(mode != OpenMode::Read);
        match mode {
            OpenMode::Read | OpenMode::ReadWrite => &mut options,
            OpenMode::CreateReadWrite => options.create(true),
            OpenMode::CreateNew => options.create_new(true),
            OpenMode::CreateTruncate => options.create(true).truncate(true),
        };
        let file = options.open(path).map_err(error(mode.operation(), path))?;
        Ok(Arc::new(OsFile::new(file, path)))
    }

    fn rename(&self, from: &Path, to: &Path) -> DiskResult<()> {
        fs::rename(from, to).map_err(error(DiskOperation::Rename, from))
    }

    fn remove_file(&self, path: &Path) -> DiskResult<()> {
        fs::remove_file(path).map_err(error(DiskOperation::Remove, path))
    }

    fn remove_directory(&self, path: &Path) -> DiskResult<()> {
        fs::remove_dir_all(path).map_err(error(DiskOperation::Remove, path))
    }

    fn create_directory(&self, path: &Path) -> DiskResult<()> {
        fs::create_dir_all(path).map_err(error(DiskOperation::CreateDirectory, path))
    }

    fn list(&self, path: &Path) -> DiskResult<Vec<(String, EntryKind)>> {
        let error = error(DiskOperation::List, path);
        let mut entries = Vec::new();
        for entry in fs::read_dir(path).map_err(&error)? {
            let entry = entry.map_err(&error)?;
            // Links are not followed: a link out of the directory counts as something that is not ours.
            let kind = match entry.file_type().map_err(&error)? {
                kind if kind.is_file() => EntryKind::File,
                kind if kind.is_dir() => EntryKind::Directory,
                _ => EntryKind::Other,
            };
            // Nothing of Kafka's is named outside of UTF-8.
            if let Ok(name) = entry.file_name().into_string() {
                entries.push((name, kind));
            }
        }
        entries.sort_unstable();
        Ok(entries)
    }

    fn exists(&self, path: &Path) -> DiskResult<bool> {
        path.try_exists().map_err(error(DiskOperation::Read, path))
    }

    fn length(&self, path: &Path) -> DiskResult<u64> {
        fs::metadata(path).map(|metadata| metadata.len()).map_err(error(DiskOperation::Read, path))
    }

    fn sync_directory(&self, path: &Path) -> DiskResult<()> {
        fs::File::open(path).and_then(|directory| directory.sync_all()).map_err(error(DiskOperation::Sync, path))
    }

    fn file_system(&self, path: &Path) -> DiskResult<Option<Box<dyn FileSystem>>> {
        Ok(OsFileSystem::open(path)?.map(|opened| Box::new(opened) as Box<dyn FileSystem>))
    }

    fn lock(&self, path: &Path) -> DiskResult<Option<Box<dyn Send + Sync>>> {
        lock::lock(path)
    }

    fn space(&self, path: &Path) -> DiskResult<(u64, u64)> {
        let status =
            rustix::fs::statvfs(path).map_err(|errno| error(DiskOperation::Read, path)(io::Error::from(errno)))?;
        let block = status.f_frsize;
        Ok((status.f_bavail.saturating_mul(block), status.f_blocks.saturating_mul(block)))
    }
}
