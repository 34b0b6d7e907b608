use crate::fault::{CrashMode, Fault, FaultKind};
use crate::file::{Contents, MemoryFile};
use crate::random::SeededRandom;
use crate::tree::{Entry, Tree};
use ottla_env::{Disk, DiskError, DiskOperation, DiskResult, EntryKind, File, FileSystem, OpenMode};
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A disk in memory that keeps apart what programs see and what a crash would leave.
///
/// File contents become durable by `sync` of the file, names by `sync_directory` of their directory: creating, renaming
/// and removing are all changes of names. `crash` drops what is not durable, or some of it; files that were open before
/// are of no use after it, locks are free.
#[derive(Clone)]
pub struct MemoryDisk {
    state: Arc<State>,
    is_below: bool,
}

#[derive(Default)]
struct Names {
    current: Tree,
    durable: Tree,
    /// Directories renamed since the parent was synced: what is durable in them goes along when the name does.
    renamed: Vec<(PathBuf, PathBuf)>,
    locked: BTreeSet<PathBuf>,
    incarnation: u64,
}

/// What the disk and its open files share.
pub(crate) struct State {
    names: Mutex<Names>,
    /// Faults to come, each with the directory that it strikes.
    faults: Mutex<Vec<(PathBuf, Fault)>>,
    capacity: AtomicU64,
    operations: AtomicU64,
    /// A hash of all operations in their order.
    trace: AtomicU64,
    /// The operation before which the disk dies, for enumerating crash points.
    dies_at: AtomicU64,
}

impl State {
    /// Counts an operation, and fails it when a fault is due or the program is of a time before a crash.
    pub(crate) fn begin(
        &self,
        operation: DiskOperation,
        path: &Path,
        incarnation: u64,
    ) -> Result<(), (FaultKind, DiskError)> {
        let error =
            |kind: io::ErrorKind, text: &str| DiskError::new(operation, path, io::Error::new(kind, text.to_owned()));
        if incarnation != self.names.lock().incarnation {
            return Err((FaultKind::Error, error(io::ErrorKind::NotConnected, "the machine has crashed since")));
        }
        self.note(operation, path);
        let changes = !matches!(operation, DiskOperation::Read | DiskOperation::List | DiskOperation::Lock);
        if changes && self.operations.fetch_add(1, Ordering::AcqRel) >= self.dies_at.load(Ordering::Acquire) {
            return Err((FaultKind::Error, error(io::ErrorKind::NotConnected, "the machine dies here")));
        }
        let mut faults = self.faults.lock();
        let strikes = |(directory, fault): &&mut (PathBuf, Fault)| {
            fault.operation == operation && fault.times > 0 && path.starts_with(directory)
        };
        let Some((_, fault)) = faults.iter_mut().find(strikes) else { return Ok(()) };
        if fault.after > 0 {
            fault.after -= 1;
            return Ok(());
        }
        fault.times -= 1;
        Err(match fault.kind {
            FaultKind::Error => (FaultKind::Error, error(io::ErrorKind::Other, "input/output error")),
            FaultKind::Full => (FaultKind::Full, error(io::ErrorKind::StorageFull, "no space left on device")),
        })
    }

    fn note(&self, operation: DiskOperation, path: &Path) {
        let mut hasher = DefaultHasher::new();
        (self.trace.load(Ordering::Acquire), operation as u8, path).hash(&mut hasher);
        self.trace.store(hasher.finish(), Ordering::Release);
    }

    /// Bytes that still fit.
    pub(crate) fn free(&self) -> u64 {
        self.capacity.load(Ordering::Acquire).saturating_sub(self.used())
    }

    fn used(&self) -> u64 {
        let names = self.names.lock();
        let lengths = names.current.entries.values().map(|entry| match entry {
            Entry::File(contents) => contents.occupied(),
            Entry::Directory => 0,
        });
        lengths.sum()
    }
}

impl Default for MemoryDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryDisk {
    /// An empty disk.
    pub fn new() -> Self {
        let state = State {
            names: Mutex::new(Names::default()),
            faults: Mutex::new(Vec::new()),
            capacity: AtomicU64::new(u64::MAX),
            operations: AtomicU64::new(0),
            trace: AtomicU64::new(0),
            dies_at: AtomicU64::new(u64::MAX),
        };
        Self { state: Arc::new(state), is_below: false }
    }

    /// The same disk for one who looks at it from outside: no fault strikes him, and what he does is not counted.
    pub fn below(&self) -> Self {
        Self { is_below: true, ..self.clone() }
    }

    /// The machine loses power and starts again.
    pub fn crash(&self, mode: CrashMode) {
        let seed = if let CrashMode::Some { seed } = mode { seed } else { 0 };
        let random = SeededRandom::new(seed);
        let mut names = self.state.names.lock();
        let mut tree = match mode {
            CrashMode::LoseAll => names.durable.clone(),
            CrashMode::KeepAll => names.current.clone(),
            CrashMode::Some { .. } => some_names(&names, &random),
        };
        for entry in tree.entries.values_mut() {
            if let Entry::File(contents) = entry {
                *contents = Arc::new(contents.after_crash(mode, &random));
            }
        }
        tree.drop_orphans();
        names.durable = tree.clone();
        names.current = tree;
        names.renamed.clear();
        names.locked.clear();
        names.incarnation += 1;
        self.state.faults.lock().clear();
        self.state.dies_at.store(u64::MAX, Ordering::Release);
    }

    /// How many operations that change something have been asked for so far.
    pub fn operations(&self) -> u64 {
        self.state.operations.load(Ordering::Acquire)
    }

    /// What was asked of the disk so far, and in which order, as one number: two runs with equal ones were the same.
    pub fn trace(&self) -> u64 {
        self.state.trace.load(Ordering::Acquire)
    }

    /// From the operation with this number on nothing that changes something succeeds, until `crash`.
    pub fn die_at(&self, operation: u64) {
        self.state.dies_at.store(operation, Ordering::Release);
    }

    /// Whether the operation of `die_at` has been reached.
    pub fn is_dead(&self) -> bool {
        self.operations() > self.state.dies_at.load(Ordering::Acquire)
    }

    /// Lets operations fail.
    pub fn inject(&self, fault: Fault) {
        self.inject_under(Path::new("/"), fault);
    }

    /// Lets operations on this directory, and on what is in it, fail.
    pub fn inject_under(&self, directory: &Path, fault: Fault) {
        self.state.faults.lock().push((directory.to_owned(), fault));
    }

    /// Nothing fails any more.
    pub fn mend(&self) {
        self.state.faults.lock().clear();
        self.set_capacity(u64::MAX);
    }

    /// Limits the bytes that all files together may have.
    pub fn set_capacity(&self, bytes: u64) {
        self.state.capacity.store(bytes, Ordering::Release);
    }

    /// The bytes that all files have.
    pub fn used(&self) -> u64 {
        self.state.used()
    }

    /// Changes bytes of a file as a rotting disk does: nobody is told.
    pub fn corrupt(&self, path: &Path, position: u64, bytes: &[u8]) {
        if let Some(Entry::File(contents)) = self.state.names.lock().current.entries.get(path) {
            contents.corrupt(position, bytes);
        }
    }

    fn begin(&self, operation: DiskOperation, path: &Path) -> DiskResult<u64> {
        let incarnation = self.state.names.lock().incarnation;
        if !self.is_below {
            self.state.begin(operation, path, incarnation).map_err(|(_, error)| error)?;
        }
        Ok(incarnation)
    }
}

/// Of each name that differs, the old or the new state. A directory that was renamed goes with all that is in it, or stays.
fn some_names(names: &Names, random: &SeededRandom) -> Tree {
    let (mut tree, mut current) = (names.durable.clone(), names.current.clone());
    let mut undone: Vec<&(PathBuf, PathBuf)> = Vec::new();
    for renamed in &names.renamed {
        let needs_undone = undone.iter().any(|(_, to)| *to == renamed.0);
        if needs_undone || random.below(2) == 0 {
            undone.push(renamed);
        } else {
            tree.move_to(&renamed.0, &renamed.1);
        }
    }
    for (from, to) in undone.into_iter().rev() {
        current.move_to(to, from);
    }
    let all: BTreeSet<PathBuf> = current.entries.keys().chain(tree.entries.keys()).cloned().collect();
    for path in all {
        if random.below(2) == 0 {
            continue;
        }
        match current.entries.get(&path) {
            Some(entry) => drop(tree.entries.insert(path, entry.clone())),
            None => drop(tree.entries.remove(&path)),
        }
    }
    tree
}

fn not_found(operation: DiskOperation, path: &Path) -> DiskError {
    DiskError::new(operation, path, io::Error::from(io::ErrorKind::NotFound))
}

impl Disk for MemoryDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> DiskResult<Arc<dyn File>> {
        let reads = matches!(mode, OpenMode::Read | OpenMode::ReadWrite);
        // Opening what exists changes nothing, and is no point at which a crash would make a difference.
        let incarnation = self.begin(if reads { DiskOperation::Read } else { mode.operation() }, path)?;
        let mut names = self.state.names.lock();
        let existing = match names.current.entries.get(path) {
            Some(Entry::Directory) => {
                return Err(DiskError::new(DiskOperation::Open, path, io::Error::from(io::ErrorKind::IsADirectory)));
            }
            Some(Entry::File(contents)) => Some(contents.clone()),
            None => None,
        };
        let contents = match (existing, mode) {
            (Some(_), OpenMode::CreateNew) => {
                return Err(DiskError::new(DiskOperation::Create, path, io::Error::from(io::ErrorKind::AlreadyExists)));
            }
            (Some(contents), OpenMode::CreateTruncate) => {
                contents.truncate(0);
                contents
            }
            (Some(contents), _) => contents,
            (None, OpenMode::Read | OpenMode::ReadWrite) => return Err(not_found(DiskOperation::Open, path)),
            (None, _) => {
                let parent = path.parent().unwrap_or(Path::new("/"));
                if parent.parent().is_some() && !names.current.entries.contains_key(parent) {
                    return Err(not_found(DiskOperation::Open, path));
                }
                let contents = Arc::new(Contents::default());
                names.current.entries.insert(path.to_owned(), Entry::File(contents.clone()));
                contents
            }
        };
        Ok(Arc::new(MemoryFile {
            contents,
            path: path.to_owned(),
            state: self.state.clone(),
            incarnation,
            is_below: self.is_below,
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> DiskResult<()> {
        self.begin(DiskOperation::Rename, from)?;
        let mut names = self.state.names.lock();
        let moved = names.current.take(from);
        if moved.is_empty() {
            return Err(not_found(DiskOperation::Rename, from));
        }
        if let Some((_, Entry::Directory)) = moved.first() {
            names.renamed.push((from.to_owned(), to.to_owned()));
        }
        names.current.put(moved, from, to);
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> DiskResult<()> {
        self.begin(DiskOperation::Remove, path)?;
        let mut names = self.state.names.lock();
        match names.current.entries.get(path) {
            Some(Entry::File(_)) => {
                names.current.entries.remove(path);
                Ok(())
            }
            _ => Err(not_found(DiskOperation::Remove, path)),
        }
    }

    fn remove_directory(&self, path: &Path) -> DiskResult<()> {
        self.begin(DiskOperation::Remove, path)?;
        if self.state.names.lock().current.take(path).is_empty() {
            return Err(not_found(DiskOperation::Remove, path));
        }
        Ok(())
    }

    fn create_directory(&self, path: &Path) -> DiskResult<()> {
        self.begin(DiskOperation::CreateDirectory, path)?;
        let mut names = self.state.names.lock();
        for directory in path.ancestors().filter(|directory| directory.parent().is_some()) {
            names.current.entries.entry(directory.to_owned()).or_insert(Entry::Directory);
        }
        Ok(())
    }

    fn list(&self, path: &Path) -> DiskResult<Vec<(String, EntryKind)>> {
        self.begin(DiskOperation::List, path)?;
        let names = self.state.names.lock();
        if path.parent().is_some() && !matches!(names.current.entries.get(path), Some(Entry::Directory)) {
            return Err(not_found(DiskOperation::List, path));
        }
        let mut entries: Vec<_> = names
            .current
            .children(path)
            .filter_map(|(path, entry)| {
                let name = path.file_name()?.to_str()?.to_owned();
                let kind = if let Entry::File(_) = entry { EntryKind::File } else { EntryKind::Directory };
                Some((name, kind))
            })
            .collect();
        entries.sort_unstable();
        Ok(entries)
    }

    fn exists(&self, path: &Path) -> DiskResult<bool> {
        self.begin(DiskOperation::Read, path)?;
        Ok(self.state.names.lock().current.entries.contains_key(path))
    }

    fn sync_directory(&self, path: &Path) -> DiskResult<()> {
        self.begin(DiskOperation::Sync, path)?;
        let mut names = self.state.names.lock();
        let names = &mut *names;
        // A directory's own name becomes durable with its parent: one whose parent was never synced is lost with all in it.
        let (renamed, others) =
            std::mem::take(&mut names.renamed).into_iter().partition(|(_, to)| to.parent() == Some(path));
        names.renamed = others;
        let renamed: Vec<(PathBuf, PathBuf)> = renamed;
        for (from, to) in renamed {
            names.durable.move_to(&from, &to);
        }
        let stale: Vec<PathBuf> = names.durable.children(path).map(|(path, _)| path.clone()).collect();
        for gone in stale {
            match names.current.entries.get(&gone) {
                Some(_) => drop(names.durable.entries.remove(&gone)),
                None => drop(names.durable.take(&gone)),
            }
        }
        let present: Vec<_> = names.current.children(path).map(|(path, entry)| (path.clone(), entry.clone())).collect();
        names.durable.entries.extend(present);
        Ok(())
    }

    fn file_system(&self, path: &Path) -> DiskResult<Option<Box<dyn FileSystem>>> {
        let incarnation = self.state.names.lock().incarnation;
        Ok(Some(Box::new(MemoryFileSystem { state: self.state.clone(), path: path.to_owned(), incarnation })))
    }

    fn lock(&self, path: &Path) -> DiskResult<Option<Box<dyn Send + Sync>>> {
        drop(self.open(path, OpenMode::CreateReadWrite)?);
        let mut names = self.state.names.lock();
        if !names.locked.insert(path.to_owned()) {
            return Ok(None);
        }
        let incarnation = names.incarnation;
        Ok(Some(Box::new(Lock { state: self.state.clone(), path: path.to_owned(), incarnation })))
    }

    fn space(&self, path: &Path) -> DiskResult<(u64, u64)> {
        self.begin(DiskOperation::Read, path)?;
        Ok((self.state.free(), self.state.capacity.load(Ordering::Acquire)))
    }
}

/// All of the disk at once.
struct MemoryFileSystem {
    state: Arc<State>,
    path: PathBuf,
    incarnation: u64,
}

impl FileSystem for MemoryFileSystem {
    fn sync(&self) -> DiskResult<()> {
        let begun = self.state.begin(DiskOperation::Sync, &self.path, self.incarnation);
        let mut names = self.state.names.lock();
        let files = names.current.entries.iter().filter_map(|(path, entry)| match entry {
            Entry::File(contents) => Some((path, contents)),
            Entry::Directory => None,
        });
        if let Err((_, error)) = begun {
            // Where only one directory fails, it is a device of its own.
            files.filter(|(path, _)| path.starts_with(&self.path)).for_each(|(_, contents)| contents.forget());
            return Err(error);
        }
        files.for_each(|(_, contents)| contents.sync());
        names.durable = names.current.clone();
        names.renamed.clear();
        Ok(())
    }
}

struct Lock {
    state: Arc<State>,
    path: PathBuf,
    incarnation: u64,
}

impl Drop for Lock {
    fn drop(&mut self) {
        let mut names = self.state.names.lock();
        if names.incarnation == self.incarnation {
            names.locked.remove(&self.path);
        }
    }
}
