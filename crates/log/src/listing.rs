//! The files of a partition directory as they are found at the start.

use crate::context::DirectoryContext;
use crate::names::{CLEANED_FILE_SUFFIX, DELETED_FILE_SUFFIX, FileKind, SWAP_FILE_SUFFIX};
use crate::recovery::check_offsets;
use crate::scan::HeaderWalk;
use crate::segment::LogPath;
use crate::small_file::remove_file_if_exists;
use ottla_env::{DiskResult, EntryKind, OpenMode};
use ottla_types::Offset;
use std::collections::BTreeSet;

/// The files of a partition directory, by kind.
#[derive(Default)]
pub(crate) struct Listing {
    pub(crate) logs: BTreeSet<Offset>,
    pub(crate) indexes: BTreeSet<(Offset, FileKind)>,
    pub(crate) snapshots: BTreeSet<Offset>,
}

impl Listing {
    /// Lists the files, finishes or undoes what an interrupted compaction has left, and removes what waits for removal.
    pub(crate) fn read(context: &DirectoryContext, path: &LogPath) -> DiskResult<Self> {
        let directory = path.get();
        let disk = context.disk();
        let mut listing = Self::default();
        let mut swaps = Vec::new();
        let mut cleaned_min = None;
        for (name, kind) in disk.list(&directory)? {
            let Some((offset, file, suffix)) = FileKind::parse_name(&name) else { continue };
            if kind != EntryKind::File {
                tracing::warn!(path = %directory.join(&name).display(), "leaving alone what is not a file");
                continue;
            }
            match suffix {
                DELETED_FILE_SUFFIX => remove_file_if_exists(disk, &directory.join(name))?,
                CLEANED_FILE_SUFFIX => {
                    cleaned_min = Some(cleaned_min.map_or(offset, |least: Offset| least.min(offset)));
                    remove_file_if_exists(disk, &directory.join(name))?;
                }
                SWAP_FILE_SUFFIX => swaps.push((offset, file, name)),
                _ => listing.add(offset, file),
            }
        }
        listing.finish_swaps(context, path, swaps, cleaned_min)?;
        listing.remove_orphans(context, path)?;
        Ok(listing)
    }

    fn add(&mut self, offset: Offset, kind: FileKind) {
        match kind {
            FileKind::Log => drop(self.logs.insert(offset)),
            FileKind::ProducerSnapshot => drop(self.snapshots.insert(offset)),
            kind => drop(self.indexes.insert((offset, kind))),
        }
    }

    /// A `.swap` file is whole: it was written and synced before it got that name. What it replaces goes, then it takes its
    /// place. When `.cleaned` files are there too, those of greater offsets are of an operation that was not finished.
    fn finish_swaps(
        &mut self,
        context: &DirectoryContext,
        path: &LogPath,
        swaps: Vec<(Offset, FileKind, String)>,
        cleaned_min: Option<Offset>,
    ) -> DiskResult<()> {
        let (disk, directory) = (context.disk(), path.get());
        let (kept, dropped): (Vec<_>, Vec<_>) =
            swaps.into_iter().partition(|(offset, ..)| cleaned_min.is_none_or(|least| *offset < least));
        for (_, _, name) in dropped {
            remove_file_if_exists(disk, &directory.join(name))?;
        }
        for (offset, _, name) in kept.iter().filter(|(_, kind, _)| *kind == FileKind::Log) {
            let file = disk.open(&directory.join(name), OpenMode::Read)?;
            let mut end = *offset;
            let mut walk = HeaderWalk::new(&*file, 0, file.length()?);
            while let Some(Ok(located)) = walk.next()? {
                // Offsets that go back say that it has rotted since. Nothing is taken to be replaced because of them.
                if check_offsets(&located.header, *offset, end).is_err() {
                    break;
                }
                end = located.header.last_offset().next();
            }
            for replaced in self.logs.range(*offset..end).copied().collect::<Vec<_>>() {
                self.logs.remove(&replaced);
                remove_file_if_exists(disk, &path.file(FileKind::Log, replaced))?;
            }
        }
        for (offset, kind, name) in kept {
            disk.rename(&directory.join(name), &path.file(kind, offset))?;
            self.add(offset, kind);
        }
        Ok(())
    }

    /// Index files without their segment are of no use.
    fn remove_orphans(&mut self, context: &DirectoryContext, path: &LogPath) -> DiskResult<()> {
        let orphans: Vec<_> = self.indexes.iter().filter(|(offset, _)| !self.logs.contains(offset)).copied().collect();
        for (offset, kind) in orphans {
            remove_file_if_exists(context.disk(), &path.file(kind, offset))?;
            self.indexes.remove(&(offset, kind));
        }
        Ok(())
    }
}
