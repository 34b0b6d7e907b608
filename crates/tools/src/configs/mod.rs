//! `kafka-configs`: shows and changes the configuration of topics, brokers, groups and others.

mod alter;
mod describe;
mod options;
mod scram;

use crate::connection::{admin, block_on, load_properties};
use crate::console::Console;
use crate::failure::Stop;
use crate::java;
use options::{ConfigOptions, OPTIONS};
use ottla_client::ClientError;

/// A failure of the work itself.
#[derive(Debug)]
enum ConfigError {
    /// The arguments or what is asked for is wrong: said as it is.
    Argument(String),
    /// The cluster refused or did not answer: said with Java's exceptions.
    Cluster(ClientError),
}

impl From<ClientError> for ConfigError {
    fn from(error: ClientError) -> Self {
        Self::Cluster(error)
    }
}

/// Runs the tool.
pub(crate) fn run(arguments: &[String], console: &mut Console) -> i32 {
    let parsed = OPTIONS.parse(arguments).map_err(|error| Stop::Message(error.to_string()));
    let done = parsed.and_then(|parsed| {
        let options = options::check(&parsed, console)?;
        work(arguments, &options, console)
    });
    match done {
        Ok(()) => 0,
        Err(Stop::Option(error)) => Stop::Message(error.to_string()).tell(&OPTIONS, console),
        Err(stop) => stop.tell(&OPTIONS, console),
    }
}

fn work(arguments: &[String], options: &ConfigOptions, console: &mut Console) -> Result<(), Stop> {
    let properties = match &options.command_config {
        Some(path) => Some(load_properties(path).map_err(|error| failed(arguments, &error))?),
        None => None,
    };
    let done = block_on(async {
        let admin = admin(&options.servers, properties.as_ref(), None)?;
        match &options.change {
            Some(change) => alter::alter(&admin, options, change, console).await,
            None => describe::describe(&admin, options, console).await,
        }
    });
    match done {
        Ok(Ok(())) => Ok(()),
        Ok(Err(ConfigError::Argument(message))) => Err(Stop::Message(message)),
        Ok(Err(ConfigError::Cluster(error))) => {
            Err(failed(arguments, &format!("java.util.concurrent.ExecutionException: {}", java::exception(&error))))
        }
        Err(error) => Err(Stop::Message(error.to_string())),
    }
}

/// Whatever is not wrong with the arguments alone is told with them.
fn failed(arguments: &[String], error: &str) -> Stop {
    Stop::Message(format!("Error while executing config command with args '{}'\n{error}", arguments.join(" ")))
}
