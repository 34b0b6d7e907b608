//! A PostgreSQL server for a test.

use ottla_tests::{free_port, run};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long the server may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server in a directory of its own, stopped when dropped.
pub(super) struct Postgres {
    directory: tempfile::TempDir,
    port: u16,
    child: Child,
}

impl Postgres {
    pub(super) fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let programs = programs();
        let data = directory.path().join("data");
        fs::create_dir(&data).unwrap();
        if is_root() {
            // PostgreSQL does not run as root.
            run(Command::new("chown").args(["-R", "postgres"]).arg(directory.path())).unwrap();
        }
        let initdb = programs.join("initdb");
        run(as_postgres(&initdb).args(["--auth=trust", "--username=game", "--no-sync", "-D"]).arg(&data)).unwrap();
        let port = free_port().unwrap();
        let mut server = as_postgres(&programs.join("postgres"));
        server.arg("-D").arg(&data).arg("-k").arg(directory.path());
        server.args(["-h", "127.0.0.1", "-p", &port.to_string()]);
        let child = server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let postgres = Self { directory, port, child };
        let end = Instant::now() + PATIENCE;
        let mut is_ready = Command::new(programs.join("pg_isready"));
        is_ready.args(["-h", "127.0.0.1", "-p", &port.to_string()]);
        while run(&mut is_ready).is_err() {
            assert!(Instant::now() < end, "PostgreSQL does not answer");
            sleep(Duration::from_millis(20));
        }
        postgres
    }

    pub(super) fn address(&self) -> String {
        format!("postgres://game@127.0.0.1:{}/postgres", self.port)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Its own way to end: a signal would reach `runuser` only.
        let mut stop = as_postgres(&programs().join("pg_ctl"));
        let _ = run(stop.args(["stop", "-m", "immediate", "-D"]).arg(self.directory.path().join("data")));
        let _ = self.child.wait();
    }
}

/// Where the system's packages put the server's programs, which are not on PATH.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<_> = versions.map(|entry| entry.path().join("bin")).collect();
    folders.retain(|folder| folder.join("initdb").exists());
    folders.sort();
    folders.pop().expect("PostgreSQL is installed: cargo xtask test clients does that")
}

fn is_root() -> bool {
    run(Command::new("id").arg("-u")).unwrap().trim() == "0"
}

fn as_postgres(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--"]).arg(program);
    command
}
