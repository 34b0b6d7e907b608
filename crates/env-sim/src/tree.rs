//! The names on a simulated disk, as they are and as they would be after a crash.

use crate::file::Contents;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a name stands for.
#[derive(Clone)]
pub(crate) enum Entry {
    File(Arc<Contents>),
    Directory,
}

/// All names, full paths in order.
#[derive(Clone, Default)]
pub(crate) struct Tree {
    pub(crate) entries: BTreeMap<PathBuf, Entry>,
}

impl Tree {
    /// What lies directly in a directory.
    pub(crate) fn children<'a>(&'a self, directory: &'a Path) -> impl Iterator<Item = (&'a PathBuf, &'a Entry)> {
        self.entries.iter().filter(move |(path, _)| path.parent() == Some(directory))
    }

    /// Removes a path and everything below it, and returns it all.
    pub(crate) fn take(&mut self, path: &Path) -> Vec<(PathBuf, Entry)> {
        let below: Vec<PathBuf> = self.entries.keys().filter(|entry| entry.starts_with(path)).cloned().collect();
        below.into_iter().filter_map(|path| self.entries.remove_entry(&path)).collect()
    }

    /// Puts what was taken from one path to another.
    pub(crate) fn put(&mut self, taken: Vec<(PathBuf, Entry)>, from: &Path, to: &Path) {
        for (path, entry) in taken {
            let path = match path.strip_prefix(from) {
                Ok(rest) if !rest.as_os_str().is_empty() => to.join(rest),
                _ => to.to_owned(),
            };
            self.entries.insert(path, entry);
        }
    }

    /// Moves a path with everything below it.
    pub(crate) fn move_to(&mut self, from: &Path, to: &Path) {
        let taken = self.take(from);
        self.put(taken, from, to);
    }

    /// Drops names whose directory is not there: a name can't outlive it. Paths come in order, directories first.
    pub(crate) fn drop_orphans(&mut self) {
        let mut kept: BTreeMap<PathBuf, Entry> = BTreeMap::new();
        for (path, entry) in std::mem::take(&mut self.entries) {
            let parent = path.parent();
            if parent.is_none_or(|parent| parent.parent().is_none() || kept.contains_key(parent)) {
                kept.insert(path, entry);
            }
        }
        self.entries = kept;
    }
}
