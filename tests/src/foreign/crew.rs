use super::adapter::Adapter;
use super::calls::Hello;
use super::failure::{Done, Failure};
use std::fmt::Write as _;
use std::io;
use std::process::Command;

/// The adapters of one client at one server. The first does what needs one; members of groups and second producers are the
/// others. They are kept from job to job, for a start takes some libraries a second of work.
pub struct Crew {
    bootstrap: String,
    command: Box<dyn Fn() -> io::Result<Command> + Send>,
    adapters: Vec<Adapter>,
}

impl std::fmt::Debug for Crew {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Crew of {} at {}", self.adapters.len(), self.bootstrap)
    }
}

impl Crew {
    /// Of adapters that `command BOOTSTRAP` starts.
    pub fn new(bootstrap: &str, command: impl Fn() -> io::Result<Command> + Send + 'static) -> Self {
        Self { bootstrap: bootstrap.to_owned(), command: Box::new(command), adapters: Vec::new() }
    }

    /// The server's address.
    pub(super) fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// What the client tells of itself.
    pub(super) fn hello(&mut self) -> Done<Hello> {
        let [first] = self.hire()?;
        first.hello()
    }

    /// The first `N` adapters; those that are not there are started, all at the same time.
    pub(super) fn hire<const N: usize>(&mut self) -> Done<&mut [Adapter; N]> {
        let start = |_| Ok(Adapter::start((self.command)()?, &self.bootstrap)?);
        let new: Vec<Adapter> = (self.adapters.len()..N).map(start).collect::<Done<_>>()?;
        for mut adapter in new {
            // All of its start is over when it answers, so that a job's times are those of the library.
            let greeted = adapter.hello();
            self.adapters.push(adapter);
            greeted?;
        }
        self.adapters.first_chunk_mut().ok_or_else(|| Failure::new("no adapters"))
    }

    /// Kills one of the adapters as a crash would.
    pub(super) fn kill(&mut self, index: usize) {
        drop(self.adapters.remove(index));
    }

    /// Ends all adapters, which must end well.
    pub(super) fn finish(&mut self) -> Done {
        let ended: Vec<Done> = self.adapters.iter_mut().map(Adapter::finish).collect();
        ended.into_iter().collect()
    }

    /// Kills all adapters: after a job that failed nobody knows what they are at.
    pub(super) fn dismiss(&mut self) {
        self.adapters.clear();
    }

    /// What the adapters have said last on their standard errors.
    pub(super) fn last_words(&self) -> String {
        let mut all = String::new();
        for (index, adapter) in self.adapters.iter().enumerate() {
            let words = adapter.last_words();
            if !words.is_empty() {
                // Writing to a string does not fail.
                let _ = write!(all, "adapter {} said last:\n{words}", index + 1);
            }
        }
        all
    }
}
