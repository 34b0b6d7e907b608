//! `kafka-leader-election`: elects leaders of partitions.

use crate::connection::{admin, block_on, load_properties};
use crate::console::Console;
use crate::failure::{Stop, exclude, help_or_version};
use crate::java::{Sized, exception, hash_order, partition_hash};
use crate::json;
use crate::options::{Opt, Options, Parsed};
use ottla_client::{Admin, ClientError, ElectionKind, ErrorCode};
use ottla_types::TopicPartition;
use std::collections::BTreeSet;

/// How long the tool waits, unless a properties file says otherwise.
const TIMEOUT_MS: i64 = 30_000;

const OPTIONS: Options = Options {
    about: "This tool attempts to elect a new leader for a set of topic partitions. The type of elections supported are \
            preferred replicas and unclean replicas.",
    table: &[
        Opt::text("bootstrap-server", "host:port", "REQUIRED: Servers of the cluster, host:port."),
        Opt::text("admin.config", "config file", "Deprecated: the same as --command-config."),
        Opt::text("command-config", "Config file", "A properties file with settings of the client."),
        Opt::text(
            "path-to-json-file",
            "Path to JSON file",
            "A JSON file with partitions, in this form:\n\
             {\"partitions\":\n  [{\"topic\": \"foo\", \"partition\": 1}]\n}\n\
             Not together with --topic or --all-topic-partitions.",
        ),
        Opt::text("topic", "topic name", "The topic of the partition."),
        Opt::integer("partition", "partition id", "The partition; needed with --topic."),
        Opt::flag("all-topic-partitions", "All partitions that need such an election."),
        Opt::one_of(
            "election-type",
            &["PREFERRED", "UNCLEAN"],
            "election type",
            "REQUIRED: preferred makes the first replica lead where another one does; unclean makes any living replica \
             lead where none does, and may lose records.",
        ),
    ],
};

/// Runs the tool.
pub(crate) fn run(arguments: &[String], console: &mut Console) -> i32 {
    let parsed = OPTIONS.parse(arguments).map_err(Stop::from);
    let done = parsed.and_then(|parsed| {
        help_or_version(&OPTIONS, &parsed, console)?;
        check(&parsed)?;
        work(&parsed, console)
    });
    match done {
        Ok(()) => 0,
        Err(stop) => stop.tell(&OPTIONS, console),
    }
}

fn check(parsed: &Parsed) -> Result<(), Stop> {
    let refused = |sentence: String| Err(Stop::Message(sentence));
    let missing: Vec<_> =
        ["bootstrap-server", "election-type"].into_iter().filter(|option| !parsed.has(option)).collect();
    if !missing.is_empty() {
        return refused(format!("Missing required option(s): {}", missing.join(", ")));
    }
    exclude(parsed, "admin.config", &["command-config"])?;
    let ways = ["topic", "all-topic-partitions", "path-to-json-file"];
    if ways.iter().filter(|way| parsed.has(way)).count() != 1 {
        return refused(format!("One and only one of the following options is required: {}", ways.join(", ")));
    }
    match (parsed.has("topic"), parsed.has("partition")) {
        (true, false) => refused("Missing required option(s): partition".to_owned()),
        (false, true) => refused("Option partition is only allowed if topic is used".to_owned()),
        _ => Ok(()),
    }
}

fn work(parsed: &Parsed, console: &mut Console) -> Result<(), Stop> {
    let name = parsed.value("election-type")?.unwrap_or_default().to_uppercase();
    let kind = if name == "UNCLEAN" { ElectionKind::Unclean } else { ElectionKind::Preferred };
    let from_file = parsed.value("path-to-json-file")?.map(|path| read_partitions(&path)).transpose();
    let partition = match (parsed.value("topic")?, parsed.number("partition")?) {
        (Some(topic), Some(number)) => {
            Some(BTreeSet::from([TopicPartition::new(topic, i32::try_from(number).unwrap_or(-1))]))
        }
        _ => None,
    };
    let partitions = from_file.map_err(Stop::Message)?.or(partition);
    if parsed.has("admin.config") {
        console.line(
            "Option --admin.config has been deprecated and will be removed in a future version. Use --command-config \
             instead.",
        );
    }
    let path = parsed.value("admin.config")?.or(parsed.value("command-config")?);
    let properties = path.map(|path| load_properties(&path)).transpose().map_err(Stop::Message)?;
    let has_timeout = properties.as_ref().is_some_and(|properties| properties.get("default.api.timeout.ms").is_some());
    let servers = parsed.value("bootstrap-server")?.unwrap_or_default();
    let message = |error: &dyn std::fmt::Display| Stop::Message(error.to_string());
    let admin = admin(&servers, properties.as_ref(), (!has_timeout).then_some(TIMEOUT_MS));
    let admin = admin.map_err(|error| message(&error))?;
    block_on(elect(&admin, (kind, &name), partitions.as_ref(), console)).map_err(|error| message(&error))?
}

fn read_partitions(path: &str) -> Result<BTreeSet<TopicPartition>, String> {
    let text = std::fs::read_to_string(path).map_err(|_| format!("java.io.IOException: Unable to read file {path}"))?;
    partitions(&text)
}

/// The partitions of a file. Each may stand in it only once.
fn partitions(text: &str) -> Result<BTreeSet<TopicPartition>, String> {
    let file: serde_json::Value =
        serde_json::from_str(text).map_err(|_| "Replica election data is empty".to_owned())?;
    let wrong = |wrong: json::Wrong| format!("com.fasterxml.jackson.databind.JsonMappingException: {wrong}");
    let file = json::object(&file).map_err(wrong)?;
    let list = file.get("partitions").ok_or("Replica election data is missing \"partitions\" field")?;
    let (mut partitions, mut twice) = (BTreeSet::new(), BTreeSet::new());
    for entry in json::array(list).map_err(wrong)? {
        let partition = partition(entry).map_err(wrong)?;
        if !partitions.insert(partition.clone()) {
            twice.insert(partition.to_string());
        }
    }
    if twice.is_empty() {
        return Ok(partitions);
    }
    let twice = twice.into_iter().collect::<Vec<_>>().join(", ");
    Err(format!("Replica election data contains duplicate partitions: [{twice}]"))
}

fn partition(entry: &serde_json::Value) -> Result<TopicPartition, json::Wrong> {
    let entry = json::object(entry)?;
    let topic = json::text(json::field(entry, "topic")?)?;
    Ok(TopicPartition::new(topic, json::integer(json::field(entry, "partition")?)?))
}

async fn elect(
    admin: &Admin,
    (kind, name): (ElectionKind, &str),
    partitions: Option<&BTreeSet<TopicPartition>>,
    console: &mut Console,
) -> Result<(), Stop> {
    let results = match admin.elect_leaders(kind, partitions).await {
        Ok(results) => results,
        Err(error) => return Err(refused(&error, console)),
    };
    let (mut elected, mut needless, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    for (partition, result) in results {
        match result {
            Ok(()) => elected.push(partition),
            Err(error) if error.is(ErrorCode::ElectionNotNeeded) => needless.push(partition),
            Err(error) => failed.push((partition, error)),
        }
    }
    if !elected.is_empty() {
        let elected = listed(elected);
        console.line(&format!("Successfully completed leader election ({name}) for partitions {elected}"));
    }
    if !needless.is_empty() {
        console.line(&format!("Valid replica already elected for partitions {}", listed(needless)));
    }
    if failed.is_empty() {
        return Ok(());
    }
    hash_order(&mut failed, Sized::Default, |(partition, _)| partition_hash(partition));
    for (partition, error) in &failed {
        let error = exception(error);
        console.line(&format!("Error completing leader election ({name}) for partition: {partition}: {error}"));
    }
    Err(Stop::Message(format!("{} replica(s) could not be elected", failed.len())))
}

/// The partitions in the order of Java's hash set.
fn listed(mut partitions: Vec<TopicPartition>) -> String {
    hash_order(&mut partitions, Sized::Default, partition_hash);
    partitions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// No election took place at all.
fn refused(error: &ClientError, console: &mut Console) -> Stop {
    let known = match error {
        ClientError::Timeout { .. } | ClientError::Bootstrap { .. } | ClientError::Connect { .. } => {
            "Timeout waiting for election results"
        }
        error if error.is(ErrorCode::ClusterAuthorizationFailed) => "Not authorized to perform leader election",
        error => return Stop::Message(format!("java.util.concurrent.ExecutionException: {}", exception(error))),
    };
    console.line(known);
    Stop::Message(known.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_names_each_partition_once() {
        let one = r#"{"topic": "a", "partition": 1}"#;
        let read = partitions(&format!(r#"{{"partitions": [{one}]}}"#)).unwrap();
        assert_eq!(read, BTreeSet::from([TopicPartition::new("a", 1)]));
        let twice = partitions(&format!(r#"{{"partitions": [{one}, {one}]}}"#)).unwrap_err();
        assert_eq!(twice, "Replica election data contains duplicate partitions: [a-1]");
        assert_eq!(partitions("no").unwrap_err(), "Replica election data is empty");
        assert_eq!(partitions("{}").unwrap_err(), "Replica election data is missing \"partitions\" field");
    }
}
