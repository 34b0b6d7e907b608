use super::failure::{Done, Failure};
use super::last_words::LastWords;
use super::waiting::PATIENCE;
use ottla_oracle::Leash;
use serde_json::Value;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

/// As much of a request as an error shows.
const SHOWN_CHARACTERS: usize = 300;

/// What a library says no with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// Its own words.
    pub(super) words: String,
    /// What it is, where the library tells that apart.
    pub(super) kind: Option<String>,
}

/// A running adapter. Killed when dropped.
#[derive(Debug)]
pub(super) struct Adapter {
    child: Child,
    stdin: Option<ChildStdin>,
    answers: Receiver<String>,
    last_words: LastWords,
    /// What was asked and not yet answered; the protocol has one at a time.
    pending: Option<String>,
    _leash: Leash,
}

impl Adapter {
    /// Starts `command BOOTSTRAP`.
    pub(super) fn start(mut command: Command, bootstrap: &str) -> io::Result<Self> {
        command.arg(bootstrap).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("{command:?} can't be run: {error}")))?;
        let leash = Leash::tie(&child)?;
        let (Some(stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(io::Error::other("a child without pipes"));
        };
        let (sender, answers) = channel();
        // Ends with the adapter's output, or when nobody wants it any more.
        spawn(move || {
            let _ = BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| sender.send(line));
        });
        let last_words = LastWords::of(stderr);
        Ok(Self { child, stdin: Some(stdin), answers, last_words, pending: None, _leash: leash })
    }

    /// Asks and waits for the answer; a library that says no fails the job.
    pub(super) fn ask(&mut self, request: &Value) -> Done<Value> {
        self.send(request)?;
        self.receive()
    }

    /// Asks and waits for the answer, which may be a no.
    pub(super) fn attempt(&mut self, request: &Value) -> Done<Result<Value, Refusal>> {
        self.send(request)?;
        self.receive_any().map(|(_, answer)| answer)
    }

    /// Asks; the answer is waited for by [`Self::receive`]. So several adapters work at the same time.
    pub(super) fn send(&mut self, request: &Value) -> Done {
        let text = request.to_string();
        let shown: String = text.chars().take(SHOWN_CHARACTERS).collect();
        if let Some(pending) = &self.pending {
            return Err(Failure::new(format!("{shown} was asked before {pending} was answered")));
        }
        let sent = self.stdin.as_mut().map(|stdin| stdin.write_all(format!("{text}\n").as_bytes()));
        self.pending = Some(shown);
        match sent {
            Some(Ok(())) => Ok(()),
            // A closed pipe: the adapter is over, which is told with its exit code.
            _ => Err(self.ended()),
        }
    }

    /// Waits for the answer to what was asked; a library that says no fails the job.
    pub(super) fn receive(&mut self) -> Done<Value> {
        match self.receive_any()? {
            (_, Ok(value)) => Ok(value),
            (request, Err(refusal)) => {
                let kind = refusal.kind.map(|kind| format!(" ({kind})")).unwrap_or_default();
                Err(Failure::new(format!("{request}: the library says{kind}: {}", refusal.words)))
            }
        }
    }

    fn receive_any(&mut self) -> Done<(String, Result<Value, Refusal>)> {
        let line = match self.answers.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(RecvTimeoutError::Disconnected) => return Err(self.ended()),
            Err(RecvTimeoutError::Timeout) => {
                let request = self.pending.as_deref().unwrap_or_default();
                return Err(Failure::new(format!("{request}: no answer within {} s", PATIENCE.as_secs())));
            }
        };
        let request = self.pending.take().unwrap_or_default();
        let wrong = || Failure::new(format!("{request}: the adapter answers what the protocol does not have: {line}"));
        let mut answer: Value = serde_json::from_str(&line).map_err(|_| wrong())?;
        if let Some(ok) = answer.get_mut("ok") {
            return Ok((request, Ok(ok.take())));
        }
        let words = answer["error"].as_str().ok_or_else(wrong)?.to_owned();
        let kind = answer["kind"].as_str().map(str::to_owned);
        Ok((request, Err(Refusal { words, kind })))
    }

    /// Ends its input and waits for its end.
    pub(super) fn finish(&mut self) -> Done {
        drop(self.stdin.take());
        let status = self.wait()?;
        if status.success() {
            Ok(())
        } else {
            Err(Failure::new(format!("at the end of its input it ended with {status}")))
        }
    }

    /// What it has said last on its standard error.
    pub(super) fn last_words(&self) -> String {
        self.last_words.text()
    }

    fn ended(&mut self) -> Failure {
        let request = self.pending.clone().unwrap_or_default();
        match self.wait() {
            Ok(status) => Failure::new(format!("{request}: the adapter ended with {status}")),
            Err(failure) => Failure::new(format!("{request}: the adapter closed its output; {failure}")),
        }
    }

    fn wait(&mut self) -> Done<ExitStatus> {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait()? {
                self.last_words.complete();
                return Ok(status);
            }
            sleep(Duration::from_millis(5));
        }
        Err(Failure::new(format!("it did not end within {} s", PATIENCE.as_secs())))
    }
}

impl Drop for Adapter {
    fn drop(&mut self) {
        // Already over in most cases; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
