//! Keeps the processors from going to sleep.

use std::process::{Child, Command, Stdio};

use crate::Failure;

/// Loops of the idle scheduling class, one for each processor, which run when nothing else wants to. A broker that has
/// little to do lets the processors fall asleep between two requests, and to wake a virtual one up takes a few hundred
/// microseconds: without them a latency says as much about the machine as about the broker.
pub struct Awake(Vec<Child>);

impl Awake {
    pub fn begin() -> Result<Self, Failure> {
        let mut awake = Self(Vec::new());
        for _ in 0..std::thread::available_parallelism()?.get() {
            let mut command = Command::new("chrt");
            command.args(["--idle", "0", "sh", "-c", "while :; do :; done"]).stdin(Stdio::null());
            let child = command.spawn().map_err(|error| Failure::from(format!("chrt can't be started: {error}")))?;
            awake.0.push(child);
        }
        Ok(awake)
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
