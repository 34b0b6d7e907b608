//! `kafka-log-dirs`: what lies in the log directories of brokers.

use crate::connection::{admin, block_on, load_properties};
use crate::console::Console;
use crate::failure::{Stop, help_or_version, require};
use crate::options::{Opt, Options, Parsed};
use ottla_client::{Admin, LogDirectoryDescription};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const OPTIONS: Options = Options {
    about: "This tool helps to query log directory usage on the specified brokers.",
    table: &[
        Opt::text(
            "bootstrap-server",
            "The server(s) to use for bootstrapping",
            "REQUIRED: Servers of the cluster, host:port.",
        ),
        Opt::text("command-config", "Admin client property file", "A properties file with settings of the client."),
        Opt::flag("describe", "Describe the log directories."),
        Opt::text("topic-list", "Topic list", "Only these topics, separated by commas; all if there are none.")
            .with_default(""),
        Opt::text("broker-list", "Broker list", "Only these brokers, separated by commas; all if there are none.")
            .with_default(""),
    ],
};

/// Runs the tool.
pub(crate) fn run(arguments: &[String], console: &mut Console) -> i32 {
    let parsed = OPTIONS.parse(arguments).map_err(Stop::from);
    let done = parsed.and_then(|parsed| {
        help_or_version(&OPTIONS, &parsed, console)?;
        require(&parsed, "bootstrap-server")?;
        require(&parsed, "describe")?;
        work(&parsed, console)
    });
    match done {
        Ok(()) => 0,
        Err(stop) => stop.tell(&OPTIONS, console),
    }
}

fn work(parsed: &Parsed, console: &mut Console) -> Result<(), Stop> {
    let servers = parsed.value("bootstrap-server")?.unwrap_or_default();
    let properties = parsed.value("command-config")?.map(|path| load_properties(&path)).transpose();
    let properties = properties.map_err(Stop::Message)?;
    let listed = |name: &str| -> Result<BTreeSet<String>, Stop> {
        let text = parsed.value(name)?.unwrap_or_default();
        Ok(text.split(',').filter(|part| !part.is_empty()).map(str::to_owned).collect())
    };
    let topics = listed("topic-list")?;
    let wanted = listed("broker-list")?
        .iter()
        .map(|id| id.parse().map_err(|_| Stop::Message(format!("For input string: \"{id}\""))))
        .collect::<Result<BTreeSet<i32>, Stop>>()?;
    let message = |error: &dyn core::fmt::Display| Stop::Message(error.to_string());
    let admin = admin(&servers, properties.as_ref(), None).map_err(|error| message(&error))?;
    block_on(query(&admin, &wanted, &topics, console)).map_err(|error| message(&error))?
}

async fn query(
    admin: &Admin,
    wanted: &BTreeSet<i32>,
    topics: &BTreeSet<String>,
    console: &mut Console,
) -> Result<(), Stop> {
    let message = |error: ottla_client::ClientError| Stop::Message(error.to_string());
    let cluster = admin.describe_cluster().await.map_err(message)?;
    let known: BTreeSet<i32> = cluster.brokers.iter().map(|broker| broker.id.value()).collect();
    let missing: BTreeSet<i32> = wanted.difference(&known).copied().collect();
    if !missing.is_empty() {
        return Err(Stop::Message(format!(
            "ERROR: The given brokers do not exist from --broker-list: {}. Current existent brokers: {}",
            with_commas(&missing),
            with_commas(&known)
        )));
    }
    let asked = if wanted.is_empty() { &known } else { wanted };
    console.line("Querying brokers for log directories information");
    let mut brokers = Vec::new();
    for broker in asked {
        let directories = admin.describe_log_dirs(*broker).await.map_err(message)?;
        brokers.push(json!({ "broker": broker, "logDirs": directories_of(&directories, topics) }));
    }
    console.line(&format!("Received log directory information from brokers {}", with_commas(asked)));
    // In the order in which Java's hash map has them.
    console.line(&json!({ "brokers": brokers, "version": 1 }).to_string());
    Ok(())
}

fn with_commas(numbers: &BTreeSet<i32>) -> String {
    numbers.iter().map(i32::to_string).collect::<Vec<_>>().join(",")
}

fn directories_of(directories: &BTreeMap<String, LogDirectoryDescription>, topics: &BTreeSet<String>) -> Vec<Value> {
    let of_directory = |(path, directory): (&String, &LogDirectoryDescription)| {
        let shown =
            directory.replicas.iter().filter(|replica| topics.is_empty() || topics.contains(&*replica.partition.topic));
        let partitions: Vec<Value> = shown
            .map(|replica| {
                json!({ "partition": replica.partition.to_string(), "size": replica.size,
                    "offsetLag": replica.offset_lag, "isFuture": replica.is_future })
            })
            .collect();
        let error = directory.error.as_ref().map(|_| "org.apache.kafka.common.errors.KafkaStorageException");
        json!({ "partitions": partitions, "error": error, "logDir": path })
    };
    directories.iter().map(of_directory).collect()
}
