use std::path::PathBuf;
use std::process::ExitStatus;
use thiserror::Error;

/// Why the oracle could not do what it was asked for.
#[derive(Debug, Error)]
pub enum OracleError {
    /// A program could not be started or watched.
    #[error("{program} can't be run: {source}. It must be installed and on PATH.")]
    Run {
        /// The program.
        program: String,
        /// The operating system's word.
        source: std::io::Error,
    },
    /// A file operation failed.
    #[error("{operation} {}: {source}", path.display())]
    File {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// The operating system's word.
        source: std::io::Error,
    },
    /// A program failed.
    #[error("{program} failed ({status}):\n{output}")]
    Failed {
        /// The program.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// What it said.
        output: String,
    },
    /// A program did not end in time and was killed.
    #[error("{program} did not end within {seconds} s")]
    TooSlow {
        /// The program.
        program: String,
        /// The limit.
        seconds: u64,
    },
    /// A node died or did not answer.
    #[error("the node {name} {problem}:\n{log}")]
    Node {
        /// Its name.
        name: String,
        /// What happened.
        problem: &'static str,
        /// The end of its log.
        log: String,
    },
    /// There is no such tool.
    #[error("unknown tool {0}")]
    UnknownTool(String),
    /// An argument makes no sense.
    #[error("{0}")]
    Argument(String),
    /// No port could be bound.
    #[error("no free port found")]
    NoPort,
}

impl OracleError {
    pub(crate) fn file(operation: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { operation, path, source }
    }
}
