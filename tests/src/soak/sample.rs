use super::latencies::Latencies;
use std::fs;
use std::io;
use std::path::Path;

/// What a process holds and has used, as the kernel counts it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Process {
    /// Resident memory.
    pub memory_mib: f64,
    /// Open descriptors.
    pub descriptors: u64,
    /// Threads.
    pub threads: u64,
    /// Processor time since its start.
    pub processor_seconds: f64,
}

/// The kernel counts in hundredths of a second on every machine of today.
const TICKS_PER_SECOND: f64 = 100.0;

impl Process {
    /// Of a process that runs.
    ///
    /// # Errors
    /// It is gone.
    pub fn of(id: u32) -> io::Result<Self> {
        let folder = Path::new("/proc").join(id.to_string());
        let descriptors = fs::read_dir(folder.join("fd"))?.count() as u64;
        let (status, stat) = (fs::read_to_string(folder.join("status"))?, fs::read_to_string(folder.join("stat"))?);
        Ok(Self { descriptors, ..Self::parse(&status, &stat) })
    }

    /// What `/proc/ID/status` and `/proc/ID/stat` say.
    fn parse(status: &str, stat: &str) -> Self {
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or_default()
        };
        // The name in brackets may hold anything.
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let ticks: f64 =
            after_name.split_whitespace().skip(11).take(2).filter_map(|text| text.parse::<f64>().ok()).sum();
        Self {
            memory_mib: number("VmRSS") / 1024.0,
            descriptors: 0,
            threads: number("Threads") as u64,
            processor_seconds: ticks / TICKS_PER_SECOND,
        }
    }
}

/// One line of the table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// Since the measured part began.
    pub seconds: f64,
    /// The server's.
    pub process: Process,
    /// The part of one processor that it used since the last sample.
    pub processors: f64,
    /// Records acknowledged a second since the last sample.
    pub records_per_second: f64,
    /// From when a record was due to its acknowledgement: of 500, 990 and 999 in a thousand, in milliseconds.
    pub produce_ms: [f64; 3],
    /// From when a record was made to when a consumer had it.
    pub delay_ms: [f64; 3],
    /// Records that the group with the most to do is behind.
    pub lag: i64,
    /// Lines of warnings and errors in the server's log so far.
    pub warnings: u64,
    /// The bytes of the log directory.
    pub directory_mib: f64,
}

/// The three parts of a thousand that are shown.
pub fn percentiles(latencies: &Latencies) -> [f64; 3] {
    [500, 990, 999].map(|part| latencies.per_mille(part))
}

impl Sample {
    /// The names of the columns.
    pub const COLUMNS: &'static str = "seconds,memory_mib,descriptors,threads,processors,records_per_second,\
        produce_p50_ms,produce_p99_ms,produce_p999_ms,delay_p50_ms,delay_p99_ms,delay_p999_ms,lag,warnings,directory_mib";

    /// As a line of the table.
    pub fn line(&self) -> String {
        let three = |[middle, high, highest]: [f64; 3]| format!("{middle:.2},{high:.2},{highest:.2}");
        format!(
            "{:.0},{:.1},{},{},{:.2},{:.0},{},{},{},{},{:.1}",
            self.seconds,
            self.process.memory_mib,
            self.process.descriptors,
            self.process.threads,
            self.processors,
            self.records_per_second,
            three(self.produce_ms),
            three(self.delay_ms),
            self.lag,
            self.warnings,
            self.directory_mib,
        )
    }
}

/// The bytes of all files below a directory; what goes away meanwhile counts nothing.
pub fn directory_bytes(directory: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(directory) else { return 0 };
    let bytes = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => directory_bytes(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.filter_map(Result::ok).map(bytes).sum()
}

/// The lines of a server's log that a person must look at.
pub fn warnings(log: &str) -> Vec<&str> {
    log.lines().filter(|line| line.contains("WARN") || line.contains("ERROR")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_words_are_read() {
        let status = "Name:\tottla\nVmRSS:\t   20480 kB\nThreads:\t7\n";
        let stat = "12 (a name) with) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0";
        let expected = Process { memory_mib: 20.0, descriptors: 0, threads: 7, processor_seconds: 2.0 };
        assert_eq!(Process::parse(status, stat), expected);
    }

    #[test]
    fn the_own_process_can_be_looked_at() {
        let own = Process::of(std::process::id()).unwrap();
        assert!(own.memory_mib > 0.0 && own.descriptors > 2 && own.threads > 0);
    }

    #[test]
    fn a_line_has_as_many_columns_as_the_head() {
        assert_eq!(Sample::default().line().split(',').count(), Sample::COLUMNS.split(',').count());
    }

    #[test]
    fn warnings_and_errors_are_found() {
        assert_eq!(warnings("INFO a\nWARN b\nERROR c\n"), ["WARN b", "ERROR c"]);
    }
}
