//! What a process has used, as the kernel counts it.

use std::fs;

use crate::Failure;

/// A process that is watched.
#[derive(Clone, Copy, Debug)]
pub struct Process(pub u32);

impl Process {
    /// Processor time of all its threads in seconds, user and system, to the nanosecond. A thread that ends takes its
    /// share away, so the time between two calls may come out short; servers do not end threads while they serve.
    pub fn processor_seconds(self) -> Result<f64, Failure> {
        let mut nanoseconds = 0u64;
        for task in fs::read_dir(format!("/proc/{}/task", self.0))? {
            // A thread may end between the listing and the reading.
            let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
            nanoseconds += text.split_whitespace().next().and_then(|first| first.parse::<u64>().ok()).unwrap_or(0);
        }
        Ok(nanoseconds as f64 / 1e9)
    }

    /// Resident memory in MiB.
    pub fn resident_mib(self) -> Result<f64, Failure> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()).and_then(|number| number.parse::<f64>().ok());
        kib.map(|kib| kib / 1024.0).ok_or_else(|| Failure::from("the kernel tells no VmRSS"))
    }
}
