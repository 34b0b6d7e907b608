//! `kafka-reassign-partitions`: moves partitions to other brokers and other log directories.

mod execute;
mod files;
mod generate;
mod moves;
mod options;
mod throttles;
mod verify;

use crate::connection::{Servers, admin, block_on, load_properties};
use crate::console::Console;
use crate::failure::Stop;
use crate::java::exception;
use crate::options::Parsed;
use options::{Action, OPTIONS};
use ottla_client::{Admin, ClientError, ErrorCode, PartitionReassignment};
use ottla_types::TopicPartition;
use std::collections::BTreeMap;

/// Why the tool stops. Kafka's tells it all on the output.
#[derive(Debug)]
enum Failure {
    /// This is said as it is.
    Told(String),
    /// This is said to be an error.
    Error(String),
}

impl From<ClientError> for Failure {
    /// As Java tells of an error that came with an answer.
    fn from(error: ClientError) -> Self {
        Self::Error(exception(&error))
    }
}

/// Runs the tool.
pub(crate) fn run(arguments: &[String], console: &mut Console) -> i32 {
    let parsed = match OPTIONS.parse(arguments) {
        Ok(parsed) => parsed,
        Err(error) => {
            console.error_line(&error.uncaught());
            return 1;
        }
    };
    let action = match options::check(&parsed, console) {
        Ok(action) => action,
        Err(stop) => return stop.tell(&OPTIONS, console),
    };
    match work(action, &parsed, console) {
        Ok(()) => return 0,
        Err(Failure::Told(sentence)) => console.line(&sentence),
        Err(Failure::Error(error)) => console.line(&format!("Error: {error}")),
    }
    1
}

fn work(action: Action, parsed: &Parsed, console: &mut Console) -> Result<(), Failure> {
    let text = |name: &str| match parsed.value(name) {
        Ok(value) => Ok(value),
        Err(error) => Err(Failure::Error(error.to_string())),
    };
    let path = text("command-config")?;
    let properties = path.map(|path| load_properties(&path)).transpose().map_err(Failure::Error)?;
    let file = match action {
        Action::List => String::new(),
        Action::Generate => read(&text("topics-to-move-json-file")?.unwrap_or_default())?,
        _ => read(&text("reassignment-json-file")?.unwrap_or_default())?,
    };
    let controllers = text("bootstrap-controller")?;
    let servers = text("bootstrap-server")?.unwrap_or_default();
    let number = |name: &str| match parsed.number(name) {
        Ok(number) => Ok(number.unwrap_or(-1)),
        Err(error) => Err(Failure::Error(error.to_string())),
    };
    let done = async {
        let admin = admin(controllers.as_ref().unwrap_or(&servers), properties.as_ref(), None)?;
        Servers::of(controllers.is_some()).check(&admin).await?;
        match action {
            Action::List => list(&admin, console).await,
            Action::Generate => {
                let brokers = text("broker-list")?.unwrap_or_default();
                generate::generate(&admin, &file, &brokers, !parsed.has("disable-rack-aware"), console).await
            }
            Action::Execute => {
                let how = execute::How {
                    is_additional: parsed.has("additional"),
                    may_change_factor: !parsed.has("disallow-replication-factor-change"),
                    throttle: number("throttle")?,
                    directory_throttle: number("replica-alter-log-dirs-throttle")?,
                    timeout_ms: number("timeout")?,
                };
                execute::execute(&admin, &file, &how, console).await
            }
            Action::Verify => verify::verify(&admin, &file, parsed.has("preserve-throttles"), console).await,
            Action::Cancel => {
                let timeout_ms = number("timeout")?;
                execute::cancel(&admin, &file, parsed.has("preserve-throttles"), timeout_ms, console).await
            }
        }
    };
    block_on(done).map_err(|error| Failure::Error(error.to_string()))?
}

fn read(path: &str) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|_| Failure::Error(format!("Unable to read file {path}")))
}

async fn list(admin: &Admin, console: &mut Console) -> Result<(), Failure> {
    let reassignments = admin.list_reassignments(None).await?;
    if reassignments.is_empty() {
        console.line("No partition reassignments found.");
        return Ok(());
    }
    console.line("Current partition reassignments:");
    let shown = |(partition, reassignment): (&TopicPartition, &PartitionReassignment)| {
        let part = |name: &str, nodes: &[ottla_types::NodeId]| {
            if nodes.is_empty() { String::new() } else { format!(" {name}: {}.", with_commas(nodes)) }
        };
        let replicas = with_commas(&reassignment.replicas);
        let (adding, removing) = (part("adding", &reassignment.adding), part("removing", &reassignment.removing));
        format!("{partition}: replicas: {replicas}.{adding}{removing}")
    };
    reassignments.iter().map(shown).for_each(|line| console.line(&line));
    Ok(())
}

fn with_commas<T: std::fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(",")
}

/// The replicas of all partitions of these topics.
async fn replicas_of_topics(
    admin: &Admin,
    topics: impl Iterator<Item = String>,
) -> Result<BTreeMap<TopicPartition, Vec<i32>>, Failure> {
    let mut replicas = BTreeMap::new();
    let described = admin.describe_topics(&topics.collect(), crate::connection::PARTITIONS_PER_ANSWER).await?;
    for (name, topic) in described {
        let topic = topic.map_err(|error| match error.code() {
            Some(code @ ErrorCode::UnknownTopicOrPartition) => {
                ClientError::Api { code, message: Some(format!("Topic {name} not found.")) }
            }
            _ => error,
        })?;
        for partition in topic.partitions {
            let nodes = partition.replicas.iter().map(|node| node.value()).collect();
            replicas.insert(TopicPartition::new(name.as_str(), partition.index), nodes);
        }
    }
    Ok(replicas)
}
