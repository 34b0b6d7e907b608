//! A disk that fails when it is told to, below a program that knows nothing of it.

use crate::workspace;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::UNIX_EPOCH;

/// The source of the program that stands between, in the folder of the tests.
const SOURCE: &str = "tests/failing-disk/failing-disk.c";

/// Which calls have an effect, and which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The kind of call: `write`, `sync`, `rename`, ...; `any` is all.
    pub kind: String,
    /// A glob for the path.
    pub pattern: String,
    /// The number of the first such call that has the effect, from 1 on.
    pub first: u64,
    /// How many have it; 0 is for ever.
    pub count: u64,
    /// What becomes of the call: `EIO`, `ENOSPC`, `short`, `torn`, ...
    pub effect: String,
}

/// A call that the program has made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// When: microseconds since 1970.
    pub time: u64,
    /// Its kind.
    pub kind: String,
    /// Its path, or both.
    pub path: String,
    /// What became of it, when that was not what the program wanted.
    pub effect: Option<String>,
}

/// A folder for the data of a program, and what is to become of its calls there.
#[derive(Debug)]
pub struct FailingDisk {
    folder: tempfile::TempDir,
    program: PathBuf,
}

impl FailingDisk {
    /// A folder on which nothing fails yet.
    ///
    /// # Errors
    /// There is no C compiler, or no room for a folder.
    pub fn new() -> io::Result<Self> {
        let disk = Self { folder: tempfile::tempdir()?, program: built()? };
        fs::create_dir(disk.data())?;
        disk.heal()?;
        Ok(disk)
    }

    /// The folder whose calls are judged.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The words before a program's name that put it on this disk.
    pub fn wrapper(&self) -> Vec<String> {
        let [rules, journal] = ["rules", "journal"].map(|name| self.folder.path().join(name));
        [&self.program, &rules, &journal, &self.data()].map(|path| path.display().to_string()).into()
    }

    /// From now on these calls have their effects.
    ///
    /// # Errors
    /// The rules can't be written.
    pub fn fail(&self, rules: &[Rule]) -> io::Result<()> {
        let line =
            |rule: &Rule| format!("{} {} {} {} {}\n", rule.kind, rule.pattern, rule.first, rule.count, rule.effect);
        let beside = self.folder.path().join("new rules");
        fs::write(&beside, rules.iter().map(line).collect::<String>())?;
        fs::rename(beside, self.folder.path().join("rules"))
    }

    /// From now on nothing fails.
    ///
    /// # Errors
    /// As [`Self::fail`].
    pub fn heal(&self) -> io::Result<()> {
        self.fail(&[])
    }

    /// All calls so far.
    ///
    /// # Errors
    /// The journal can't be read.
    pub fn calls(&self) -> io::Result<Vec<Call>> {
        let text = match fs::read_to_string(self.folder.path().join("journal")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            text => text?,
        };
        Ok(text.lines().filter_map(call).collect())
    }
}

impl Drop for FailingDisk {
    /// What a failed test has left is looked at by a person.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.folder.disable_cleanup(true);
            println!("the disk is left in {}", self.folder.path().display());
        }
    }
}

fn call(line: &str) -> Option<Call> {
    let mut words = line.splitn(3, ' ');
    let (time, kind, rest) = (words.next()?.parse().ok()?, words.next()?, words.next()?);
    let (path, effect) = match rest.split_once(": ") {
        Some((path, effect)) => (path, Some(effect.to_owned())),
        None => (rest, None),
    };
    Some(Call { time, kind: kind.to_owned(), path: path.to_owned(), effect })
}

/// The program, compiled when its source is newer.
fn built() -> io::Result<PathBuf> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one = ONE_AT_A_TIME.lock();
    let source = workspace().join(SOURCE);
    let changed = |path: &Path| {
        let time = fs::metadata(path).and_then(|metadata| metadata.modified()).unwrap_or(UNIX_EPOCH);
        time.duration_since(UNIX_EPOCH).unwrap_or_default()
    };
    // target/<profile>/deps/<test>
    let test = std::env::current_exe()?;
    let folder = test.ancestors().nth(2).unwrap_or(Path::new("."));
    let program = folder.join("failing-disk");
    if changed(&program) > changed(&source) {
        return Ok(program);
    }
    let beside = folder.join(format!("failing-disk-{}", std::process::id()));
    let compiled =
        Command::new("cc").args(["-O1", "-Wall", "-Wextra", "-Werror", "-o"]).arg(&beside).arg(&source).output()?;
    if !compiled.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&compiled.stderr).into_owned()));
    }
    fs::rename(&beside, &program)?;
    Ok(program)
}
