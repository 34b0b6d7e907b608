//! `kafka-storage`: formats the log directories of a node, and tells about them.

mod arguments;
mod directories;
pub(crate) mod features;
mod format;
mod info;
mod scram;
mod voters;

use crate::argparse::Values;
use crate::console::Console;
use crate::subcommands::{Failure, Tool};
use ottla_config::{NodeConfig, properties};
use ottla_env::Random;
use ottla_env_os::OsRandom;
use ottla_types::DirectoryId;
use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// Runs the tool.
pub(crate) fn run(arguments: &[String], console: &mut Console) -> i32 {
    let tool = Tool { name: "kafka-storage", parser: arguments::PARSER, help_code: 0 };
    tool.run(arguments, console, work)
}

fn work(command: &str, values: &Values, console: &mut Console) -> Result<i32, Failure> {
    match command {
        "info" => read_config(values).map(|config| info::show(&config, console)),
        "format" => read_config(values).and_then(|config| format::format(values, &config, console)).map(|()| 0),
        "version-mapping" => features::mapping(values, console).map(|()| 0),
        "feature-dependencies" => features::dependencies(values, console).map(|()| 0),
        _ => {
            console.line(&OsRandom.uuid().to_string());
            Ok(0)
        }
    }
}

/// The id of a formatted directory, where it has one.
///
/// # Errors
/// The directory is not formatted, or what it says of itself can't be read.
pub(crate) fn directory_id(directory: &Path) -> Result<Option<DirectoryId>, String> {
    Ok(directories::Stored::read(&directory.join("meta.properties"))?.directory_id)
}

/// A node's configuration as far as this tool needs it.
struct Config {
    node: NodeConfig,
    /// Whether `controller.quorum.voters` has voters.
    has_static_voters: bool,
}

fn read_config(values: &Values) -> Result<Config, Failure> {
    let path = values.one("config").unwrap_or_default();
    let bytes = fs::read(path).map_err(|error| match error.kind() {
        // Java's exception names only the file.
        ErrorKind::NotFound => Failure(path.to_owned()),
        _ => Failure(format!("{path}: {error}")),
    })?;
    let mut properties = properties::parse(&bytes, path)?;
    properties.resolve(&crate::ProcessSources).map_err(|error| Failure(error.to_string()))?;
    let (node, _) = NodeConfig::from_properties(properties)?;
    let has_static_voters = !node.quorum.voters.is_empty();
    Ok(Config { node, has_static_voters })
}

impl Config {
    /// All directories in the order of their names, that of the metadata among them.
    fn directories(&self) -> BTreeSet<String> {
        self.node.log_dirs.iter().chain([&self.node.metadata_log_dir]).cloned().collect()
    }
}
