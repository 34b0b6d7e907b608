use std::ffi::OsString;
use std::path::PathBuf;
use thiserror::Error;

/// The release of Apache Kafka that Ottla is held against.
pub(crate) const KAFKA_VERSION: &str = include_str!("../../../oracle/KAFKA_VERSION").trim_ascii();

/// What a server is to be started with.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct StartOptions {
    /// The properties file; without one the shipped configuration counts.
    pub(crate) file: Option<PathBuf>,
    /// `--override key=value`, in their order.
    pub(crate) overrides: Vec<(String, String)>,
    /// Whether the start is announced in the words that test tools wait for.
    pub(crate) announces_as_kafka: bool,
}

/// What the program is asked to do, when it is not asked to be a tool.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Arguments {
    Start(StartOptions),
    Version,
    Help,
}

/// Why the arguments can't be understood.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum ArgumentError {
    #[error("--override needs key=value")]
    Override,
    #[error("{0} is neither an option nor a tool")]
    UnknownOption(String),
    #[error("this version of Ottla has no {0}; Apache Kafka's own tool of that name works with it")]
    UnknownTool(String),
    #[error("there is more than one properties file: {0}")]
    SecondFile(String),
}

impl Arguments {
    /// Reads the arguments behind the program's name.
    pub(crate) fn parse(arguments: Vec<OsString>) -> Result<Self, ArgumentError> {
        let mut options = StartOptions::default();
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            match argument.to_str() {
                Some("--version" | "-V") => return Ok(Self::Version),
                Some("--help" | "-h") => return Ok(Self::Help),
                Some("--announce-as-kafka") => options.announces_as_kafka = true,
                Some("--override") => {
                    let pair = arguments.next().ok_or(ArgumentError::Override)?;
                    let pair = pair.to_string_lossy().into_owned();
                    let (key, value) = pair.split_once('=').ok_or(ArgumentError::Override)?;
                    options.overrides.push((key.trim().to_owned(), value.trim().to_owned()));
                }
                Some(option) if option.starts_with('-') => {
                    return Err(ArgumentError::UnknownOption(option.to_owned()));
                }
                // What the scripts in bin/ ask for is never a file.
                Some(tool) if tool.starts_with("kafka-") && !tool.contains(['.', '/']) => {
                    return Err(ArgumentError::UnknownTool(tool.to_owned()));
                }
                _ if options.file.is_some() => {
                    return Err(ArgumentError::SecondFile(argument.to_string_lossy().into_owned()));
                }
                _ => options.file = Some(argument.into()),
            }
        }
        Ok(Self::Start(options))
    }
}

/// How the program is used.
pub(crate) fn usage() -> String {
    let tools: Vec<_> = ottla_tools::names().map(|tool| tool.strip_prefix("kafka-").unwrap_or(tool)).collect();
    format!(
        "usage: ottla [server.properties] [--override key=value ...]   start a server\n       \
         ottla TOOL ...                                          run a tool: {}\n       \
         ottla --version | --help\n\n\
         Without a properties file the server listens on localhost:9092 and keeps its data in ./ottla-data.",
        tools.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Arguments, ArgumentError> {
        Arguments::parse(arguments.iter().map(OsString::from).collect())
    }

    #[test]
    fn a_server_starts_with_a_file_and_overrides_or_without() {
        assert_eq!(parse(&[]), Ok(Arguments::Start(StartOptions::default())));
        let options = StartOptions {
            file: Some("a.properties".into()),
            overrides: vec![("num.partitions".to_owned(), "3".to_owned())],
            ..StartOptions::default()
        };
        assert_eq!(parse(&["a.properties", "--override", "num.partitions=3"]), Ok(Arguments::Start(options)));
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        assert_eq!(parse(&["--overide", "a=b"]), Err(ArgumentError::UnknownOption("--overide".to_owned())));
        assert_eq!(parse(&["--override", "a"]), Err(ArgumentError::Override));
        assert_eq!(parse(&["kafka-acls", "--list"]), Err(ArgumentError::UnknownTool("kafka-acls".to_owned())));
        assert_eq!(parse(&["a", "b"]), Err(ArgumentError::SecondFile("b".to_owned())));
    }
}
