//! Starts an Ottla server of this build for a test, and stops or kills it.

pub mod answers;
mod asker;
pub mod besieged;
mod cluster;
mod cluster_pair;
mod dice;
pub mod embedded;
mod failing_disk;
pub mod foreign;
pub mod group_member;
mod guest;
pub mod history;
mod http;
mod load;
pub mod mixed_load;
mod namespaces;
pub mod raw;
pub mod soak;
mod target;
pub mod tool_calls;

pub use asker::Asker;
pub use besieged::Besieged;
pub use cluster::{Cluster, Copied, Gap, Wrote, copy_all_the_while, write_all_the_while, write_with};
pub use cluster_pair::ClusterPair;
pub use dice::Dice;
pub use failing_disk::{Call, FailingDisk, Rule};
pub use guest::Guest;
pub use http::http;
pub use load::{Application, Load, java_client};
pub use namespaces::{Namespaces, Place};
pub use target::Target;

use ottla_oracle::Leash;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long a server may take to answer, or to stop.
const PATIENCE: Duration = Duration::from_secs(30);
/// Where servers listen that have no address of their own.
const LOOPBACK: &str = "127.0.0.1";

/// The folder of the workspace.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_owned).unwrap_or_default()
}

/// The `ottla` binary of the profile that the running test was built in.
///
/// # Errors
/// When it was not built, or its sources have changed since: `cargo build -p ottla` builds it.
pub fn binary() -> io::Result<PathBuf> {
    static FRESH: OnceLock<()> = OnceLock::new();
    // target/<profile>/deps/<test>, or target/<profile>/<program>
    let test = std::env::current_exe()?;
    let folder = test.ancestors().nth(1).unwrap_or(&test);
    let profile = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
    let path = profile.join("ottla");
    if FRESH.get().is_none() {
        refuse_what_is_old(&path)?;
        let _ = FRESH.set(());
    }
    Ok(path)
}

/// Cargo does not build the program for a suite that is run by itself; what an old one does would be told of new sources.
fn refuse_what_is_old(binary: &Path) -> io::Result<()> {
    let refuse = |why: String| io::Error::other(format!("{why}: run cargo build -p ottla first"));
    let built = fs::metadata(binary)
        .and_then(|metadata| metadata.modified())
        .map_err(|error| refuse(format!("{}: {error}", binary.display())))?;
    // Cargo lists a program's sources beside it: `program: source source ...`, with `\ ` for a space in a name.
    let list = fs::read_to_string(binary.with_extension("d"))?.replace("\\ ", "\0");
    let sources = list.split_once(": ").map(|(_, sources)| sources.split_whitespace()).into_iter().flatten();
    for source in sources.map(|source| source.replace('\0', " ")) {
        let changed = fs::metadata(&source).and_then(|metadata| metadata.modified());
        if changed.map_or(true, |changed| changed > built) {
            return Err(refuse(format!("{source} has changed since {} was built", binary.display())));
        }
    }
    Ok(())
}

/// A port that was free a moment ago.
///
/// # Errors
/// When no port can be had.
pub fn free_port() -> io::Result<u16> {
    // Below 32768, where outgoing connections don't take ports by chance.
    let start = 20_000 + (std::process::id() % 10_000) as u16;
    for port in (start..32_000).chain(12_000..start) {
        if TcpListener::bind(("127.0.0.1", port)).is_ok() && claim(port)? {
            return Ok(port);
        }
    }
    Err(io::Error::new(io::ErrorKind::AddrNotAvailable, "no free port"))
}

/// Marks a port as taken by one of the tests that run at the same time. The marks are as old as the machine's boot at
/// the most, and are tried in turn, so a stale one costs nothing but its port.
fn claim(port: u16) -> io::Result<bool> {
    let folder = std::env::temp_dir().join("ottla-test-ports");
    fs::create_dir_all(&folder)?;
    match File::create_new(folder.join(port.to_string())) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// A running server of this build, in a directory of its own. Killed when dropped.
#[derive(Debug)]
pub struct Server {
    directory: tempfile::TempDir,
    /// The address at which clients reach it.
    host: String,
    port: u16,
    child: Option<(Child, Leash)>,
    /// The program that starts it, with its arguments; empty when nothing stands between.
    wrapper: Vec<String>,
}

impl Server {
    /// Starts a server with `settings` added to its properties, and waits until it answers.
    ///
    /// # Errors
    /// When it can't be started or does not answer; its log is in the error.
    pub fn start(settings: &[(&str, &str)]) -> io::Result<Self> {
        Self::start_by(&[], settings)
    }

    /// As [`Self::start`], by a program that becomes the server, such as `prlimit`: its name and its arguments.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_by(wrapper: &[&str], settings: &[(&str, &str)]) -> io::Result<Self> {
        let directory = tempfile::tempdir()?;
        let port = free_port()?;
        let mut file = File::create(directory.path().join("server.properties"))?;
        writeln!(file, "listeners=PLAINTEXT://127.0.0.1:{port}")?;
        // As the oracle's nodes have it, so that a description of the node says the same.
        writeln!(file, "advertised.listeners=PLAINTEXT://127.0.0.1:{port}")?;
        writeln!(file, "log.dirs={}", directory.path().join("data").display())?;
        writeln!(file, "group.initial.rebalance.delay.ms=0")?;
        for (name, value) in settings {
            writeln!(file, "{name}={value}")?;
        }
        let wrapper = wrapper.iter().map(|&word| word.to_owned()).collect();
        let mut server = Self { directory, host: LOOPBACK.to_owned(), port, child: None, wrapper };
        server.launch()?;
        Ok(server)
    }

    /// A server with these properties and no others, in which `DIRECTORY` stands for its directory; `port` is where clients are
    /// served. It is not started.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn prepare(port: u16, properties: &str) -> io::Result<Self> {
        let directory = tempfile::tempdir()?;
        let text = properties.replace("DIRECTORY", &directory.path().display().to_string());
        fs::write(directory.path().join("server.properties"), text)?;
        Ok(Self { directory, host: LOOPBACK.to_owned(), port, child: None, wrapper: Vec::new() })
    }

    /// As [`Self::prepare`], for a server that is reached at another address than this machine's own, and started by a program that
    /// puts it there: its name and its arguments.
    ///
    /// # Errors
    /// As [`Self::prepare`].
    pub fn prepare_at(host: &str, port: u16, wrapper: Vec<String>, properties: &str) -> io::Result<Self> {
        let mut server = Self::prepare(port, properties)?;
        (server.host, server.wrapper) = (host.to_owned(), wrapper);
        Ok(server)
    }

    /// Its data lies on this disk from the next start on.
    ///
    /// # Errors
    /// When its properties can't be written.
    pub fn put_on(&mut self, disk: &FailingDisk) -> io::Result<()> {
        let path = self.directory.path().join("server.properties");
        let properties = fs::read_to_string(&path)?;
        fs::write(&path, format!("{properties}log.dirs={}\n", disk.data().display()))?;
        self.wrapper.extend(disk.wrapper());
        Ok(())
    }

    /// The address for clients.
    pub fn bootstrap(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The directory that holds `server.properties`, `server.log` and `data`.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The process id while it runs.
    pub fn process_id(&self) -> Option<u32> {
        self.child.as_ref().map(|(child, _)| child.id())
    }

    /// Starts the server again after `stop` or `kill`, and waits until it answers.
    ///
    /// # Errors
    /// When it can't be started or does not answer.
    pub fn launch(&mut self) -> io::Result<()> {
        self.begin()?;
        self.wait_for_answer()
    }

    /// Starts the server and does not wait until it answers.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn begin(&mut self) -> io::Result<()> {
        let log = File::options().create(true).append(true).open(self.directory.path().join("server.log"))?;
        let binary = binary()?;
        let mut command = match self.wrapper.split_first() {
            None => Command::new(binary),
            Some((wrapper, arguments)) => {
                let mut command = Command::new(wrapper);
                command.args(arguments).arg(binary);
                command
            }
        };
        let child = command
            .arg(self.directory.path().join("server.properties"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let leash = Leash::tie(&child)?;
        self.child = Some((child, leash));
        Ok(())
    }

    /// Waits until the server answers clients.
    ///
    /// # Errors
    /// When it does not, or has ended.
    pub fn wait_for_answer(&mut self) -> io::Result<()> {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if answers(&self.host, self.port) {
                return Ok(());
            }
            if let Some((child, _)) = &mut self.child
                && let Some(status) = child.try_wait()?
            {
                return Err(io::Error::other(format!("the server ended with {status}:\n{}", self.log())));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Err(io::Error::other(format!("the server does not answer:\n{}", self.log())))
    }

    /// How the server has ended by itself; `None` while it runs.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.as_mut().map_or(Ok(None), |(child, _)| child.try_wait())
    }

    /// What the server has said so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("server.log")).unwrap_or_default()
    }

    /// Kills the server as a crash would (SIGKILL).
    ///
    /// # Errors
    /// When the process can't be killed.
    pub fn kill(&mut self) -> io::Result<()> {
        if let Some((mut child, _leash)) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Lets the server stand still (SIGSTOP), or go on (SIGCONT).
    ///
    /// # Errors
    /// When it can't be told.
    pub fn signal(&self, signal: &str) -> io::Result<()> {
        let Some((child, _)) = &self.child else { return Ok(()) };
        Command::new("kill").arg(format!("-{signal}")).arg(child.id().to_string()).status().map(|_| ())
    }

    /// Tells the server to stop (SIGTERM), and does not wait for its end.
    ///
    /// # Errors
    /// When it can't be told.
    pub fn terminate(&mut self) -> io::Result<()> {
        self.signal("TERM")
    }

    /// Stops the server as an operator would (SIGTERM) and waits for its end.
    ///
    /// # Errors
    /// When it does not end in time, or ends with another code than 0.
    pub fn stop(&mut self) -> io::Result<()> {
        self.terminate()?;
        let Some((mut child, _leash)) = self.child.take() else { return Ok(()) };
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            match child.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(io::Error::other(format!("ended with {status}:\n{}", self.log()))),
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        }
        child.kill()?;
        child.wait()?;
        Err(io::Error::other(format!("did not stop in time:\n{}", self.log())))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A failed kill leaves nothing to do: the test is over.
        let _ = self.kill();
    }
}

/// Whether an ApiVersions request gets an answer.
fn answers(host: &str, port: u16) -> bool {
    let request = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff];
    let Ok(mut stream) = TcpStream::connect((host, port)) else { return false };
    let mut answer = [0; 8];
    stream.set_read_timeout(Some(Duration::from_secs(2))).is_ok()
        && stream.write_all(&request).is_ok()
        && stream.read_exact(&mut answer).is_ok()
}

/// Runs a command to its end and returns what it printed, stdout and stderr.
///
/// # Errors
/// When it can't be run or ends with another code than 0; what it printed is in the error.
pub fn run(command: &mut Command) -> io::Result<String> {
    let output = command.stdin(Stdio::null()).output()?;
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() {
        return Ok(text);
    }
    Err(io::Error::other(format!("{command:?} ended with {}:\n{text}", output.status)))
}

/// The number in the environment variable `name`, by which a suite is asked for its long form; `usual` without it.
///
/// # Panics
/// When the variable holds anything else: the long form would not be what was asked for.
#[expect(clippy::panic, reason = "a test with a mistyped setting must not run as if it had none")]
pub fn number(name: &str, usual: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")),
        Err(_) => usual,
    }
}

/// The present time, for records that no server finds too old to keep.
pub fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

/// A name that no other test uses.
pub fn unique(name: &str) -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{name}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}
