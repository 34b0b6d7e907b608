use crate::OracleError;
use std::io::Read;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// What a program said, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

/// Runs `command` with no input until it ends, but not longer than `limit`.
///
/// # Errors
/// The program can't be started, or was killed at the limit.
pub fn run(command: &mut Command, limit: Duration) -> Result<Captured, OracleError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let failed = |source| OracleError::Run { program: program.clone(), source };
    if std::env::var_os("ORACLE_TRACE").is_some() {
        eprintln!("{command:?}");
    }
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(failed)?;
    // Both pipes are read at once: a program that fills one while we wait for the other would never end.
    let stdout = child.stdout.take().map(|pipe| thread::spawn(|| read_all(pipe)));
    let stderr = child.stderr.take().map(|pipe| thread::spawn(|| read_all(pipe)));
    let deadline = Instant::now() + limit;
    let status = loop {
        if let Some(status) = child.try_wait().map_err(failed)? {
            break status;
        }
        if Instant::now() >= deadline {
            let _ = child.kill();
            let _ = child.wait();
            return Err(OracleError::TooSlow { program, seconds: limit.as_secs() });
        }
        thread::sleep(Duration::from_millis(10));
    };
    let text = |reader: Option<thread::JoinHandle<String>>| reader.and_then(|it| it.join().ok()).unwrap_or_default();
    Ok(Captured { code: status.code(), stdout: text(stdout), stderr: text(stderr) })
}

fn read_all(mut pipe: impl Read) -> String {
    let mut bytes = Vec::new();
    // What came before an error is better than nothing.
    let _ = pipe.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}
