//! Kafka's command-line tools: their names, options, output and exit codes.
//!
//! Each tool is a module named after it. [`run`] finds the tool by the name under which the program was called.

mod argparse;
mod balance;
mod broker_api_versions;
mod client_metrics;
mod cluster;
mod configs;
mod connection;
mod console;
mod console_consumer;
mod console_producer;
mod consumer_groups;
mod consumer_perf_test;
mod delete_records;
mod dump_log;
mod e2e_latency;
mod failure;
mod features;
mod get_offsets;
mod groups;
mod in_flight;
mod insight;
mod java;
mod java_date;
mod java_random;
mod java_text;
mod json;
mod json_lines;
mod leader_election;
mod log_dirs;
mod metadata_quorum;
mod metadata_shell;
mod metrics;
mod options;
mod process_sources;
mod producer_perf_test;
mod reassign_partitions;
mod recover_quorum;
mod replication_throttle;
mod server_stop;
mod storage;
mod subcommands;
mod table;
mod texts;
mod throttle;
mod topics;
mod transactions;
mod verifiable_consumer;
mod verifiable_producer;

use console::Console;
pub use process_sources::ProcessSources;
use std::ffi::OsString;
use std::path::Path;

/// A tool: takes the arguments behind its name, answers with the exit code.
type Tool = fn(&[String], &mut Console) -> i32;

const TOOLS: &[(&str, Tool)] = &[
    ("kafka-broker-api-versions", broker_api_versions::run),
    ("kafka-client-metrics", client_metrics::run),
    ("kafka-cluster", cluster::run),
    ("kafka-configs", configs::run),
    ("kafka-console-consumer", console_consumer::run),
    ("kafka-console-producer", console_producer::run),
    ("kafka-consumer-groups", consumer_groups::run),
    ("kafka-consumer-perf-test", consumer_perf_test::run),
    ("kafka-delete-records", delete_records::run),
    ("kafka-dump-log", dump_log::run),
    ("kafka-e2e-latency", e2e_latency::run),
    ("kafka-features", features::run),
    ("kafka-get-offsets", get_offsets::run),
    ("kafka-groups", groups::run),
    ("kafka-leader-election", leader_election::run),
    ("kafka-log-dirs", log_dirs::run),
    ("kafka-metadata-quorum", metadata_quorum::run),
    ("kafka-metadata-shell", metadata_shell::run),
    ("kafka-producer-perf-test", producer_perf_test::run),
    ("kafka-reassign-partitions", reassign_partitions::run),
    ("kafka-server-stop", server_stop::run),
    ("kafka-storage", storage::run),
    ("kafka-topics", topics::run),
    ("kafka-transactions", transactions::run),
    ("kafka-verifiable-consumer", verifiable_consumer::run),
    ("kafka-verifiable-producer", verifiable_producer::run),
];

/// What Apache Kafka has no tools for.
const OWN: &[(&str, Tool)] = &[
    ("balance", balance::run),
    ("explain", insight::explain),
    ("recover-quorum", recover_quorum::run),
    ("status", insight::status),
];

/// The names of all tools, without `.sh`.
pub fn names() -> impl Iterator<Item = &'static str> {
    TOOLS.iter().chain(OWN).map(|(name, _)| *name)
}

/// The tool that a program's name or path stands for: `bin/kafka-topics.sh`, `kafka-topics`, and as a subcommand
/// `topics`. `None` when there is no such tool.
pub fn find(name: &str) -> Option<&'static str> {
    tool(name).map(|(name, _)| *name)
}

fn tool(name: &str) -> Option<&'static (&'static str, Tool)> {
    let file = Path::new(name).file_name()?.to_str()?;
    let base = file.strip_suffix(".sh").unwrap_or(file);
    TOOLS.iter().chain(OWN).find(|(tool, _)| *tool == base || tool.strip_prefix("kafka-") == Some(base))
}

/// Runs a tool with the arguments behind its name, on the process's own input and output, and answers with its exit
/// code. An argument that is not UTF-8 is read with replacement characters, as Java does.
pub fn run(name: &str, arguments: Vec<OsString>) -> i32 {
    let mut console = Console::standard();
    let Some((_, tool)) = tool(name) else {
        console.error_line(&format!("{name} is not a tool; there are: {}", names().collect::<Vec<_>>().join(", ")));
        return 1;
    };
    let arguments: Vec<_> = arguments.into_iter().map(|argument| argument.to_string_lossy().into_owned()).collect();
    let code = tool(&arguments, &mut console);
    console.flush();
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_is_found_by_its_script_its_path_and_as_a_subcommand() {
        for name in ["kafka-topics", "kafka-topics.sh", "bin/kafka-topics.sh", "/opt/x/kafka-topics", "topics"] {
            assert_eq!(find(name), Some("kafka-topics"), "{name}");
        }
        for name in ["", "kafka", "kafka-nothing", "ottla", "topics.txt"] {
            assert_eq!(find(name), None, "{name}");
        }
    }
}
