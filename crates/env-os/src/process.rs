use core::time::Duration;
use std::fs;

/// What the operating system knows of this process. What it does not tell is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProcessReading {
    /// Processor time of all threads.
    pub processor_time: Option<Duration>,
    /// Bytes of memory in use.
    pub resident_bytes: Option<u64>,
    /// Open file descriptors.
    pub open_files: Option<u64>,
    /// How many file descriptors may be open.
    pub open_files_max: Option<u64>,
    /// Bytes that were read from disks for it.
    pub disk_read_bytes: Option<u64>,
    /// Bytes that were written to disks for it.
    pub disk_written_bytes: Option<u64>,
}

impl ProcessReading {
    /// Asks the operating system.
    pub fn now() -> Self {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        let seconds = u64::try_from(time.tv_sec).ok();
        let nanoseconds = u32::try_from(time.tv_nsec).ok();
        let io = fs::read_to_string("/proc/self/io").unwrap_or_default();
        Self {
            processor_time: seconds.zip(nanoseconds).map(|(seconds, nanoseconds)| Duration::new(seconds, nanoseconds)),
            resident_bytes: resident_bytes(),
            // The list has the descriptor that it is read by.
            open_files: fs::read_dir("/proc/self/fd").ok().map(|files| (files.count() as u64).saturating_sub(1)),
            open_files_max: rustix::process::getrlimit(rustix::process::Resource::Nofile).current,
            disk_read_bytes: field(&io, "read_bytes:"),
            disk_written_bytes: field(&io, "write_bytes:"),
        }
    }
}

fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    field(&status, "VmRSS:").map(|kibibytes| kibibytes * 1024)
}

/// The number behind a name at the begin of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// Lets the process have as many open files as it may: raises the soft limit to the hard one. Answers with the limit from
/// now on; `None` when there is none or it isn't known.
pub fn raise_open_files_max() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum,
        // What there is has to do.
        Err(_) => current,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_the_number_behind_its_name() {
        let text = "Name:\tx\nVmRSS:\t    1234 kB\nVmRSSother: 5\nread_bytes: 7\n";
        assert_eq!(
            (field(text, "VmRSS:"), field(text, "read_bytes:"), field(text, "gone:")),
            (Some(1234), Some(7), None)
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn linux_tells_memory_files_and_time() {
        let reading = ProcessReading::now();
        assert!(reading.resident_bytes > Some(1 << 20) && reading.open_files > Some(2), "{reading:?}");
        assert!(reading.processor_time > Some(Duration::ZERO), "{reading:?}");
    }
}
