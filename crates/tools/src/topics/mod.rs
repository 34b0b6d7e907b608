//! `kafka-topics`: creates, deletes, lists, describes and grows topics.

mod describe;
mod options;
mod pattern;

pub(crate) use pattern::{TopicPattern, is_internal};

use crate::connection::{PARTITIONS_PER_ANSWER, admin, block_on, load_properties};
use crate::console::Console;
use crate::failure::Stop;
use crate::java;
use crate::options::Parsed;
use options::OPTIONS;
use ottla_client::{Admin, ClientError, ErrorCode, NewPartitions, NewTopic};
use ottla_types::NodeId;
use std::collections::{BTreeMap, BTreeSet};

/// A failure of the work itself: told on the output, with Java's exception in the log.
#[derive(Debug)]
pub(crate) struct TopicError {
    class: String,
    message: String,
}

impl TopicError {
    fn argument(message: impl Into<String>) -> Self {
        Self { class: "java.lang.IllegalArgumentException".to_owned(), message: message.into() }
    }
}

impl From<ClientError> for TopicError {
    fn from(error: ClientError) -> Self {
        Self { class: java::exception_class(&error), message: error.to_string() }
    }
}

impl From<crate::options::OptionError> for TopicError {
    fn from(error: crate::options::OptionError) -> Self {
        Self { class: error.java_class.to_owned(), message: error.to_string() }
    }
}

/// Runs the tool.
pub(crate) fn run(arguments: &[String], console: &mut Console) -> i32 {
    match options::parse(arguments, console).and_then(|parsed| work(&parsed, console)) {
        Ok(()) => 0,
        Err(stop) => stop.tell(&OPTIONS, console),
    }
}

fn work(parsed: &Parsed, console: &mut Console) -> Result<(), Stop> {
    let properties = match parsed.value("command-config")? {
        Some(path) => Some(load_properties(&path).map_err(Stop::Message)?),
        None => None,
    };
    let servers = parsed.value("bootstrap-server")?.unwrap_or_default();
    let done = block_on(async {
        let admin = admin(&servers, properties.as_ref(), None)?;
        if parsed.has("create") {
            create(&admin, parsed, console).await
        } else if parsed.has("alter") {
            alter(&admin, parsed).await
        } else if parsed.has("list") {
            list(&admin, parsed, console).await
        } else if parsed.has("describe") {
            describe::describe(&admin, parsed, console).await
        } else {
            delete(&admin, parsed).await
        }
    });
    let error = match done {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => error,
        Err(error) => TopicError { class: "java.io.IOException".to_owned(), message: error.to_string() },
    };
    console.line(&format!("Error while executing topic command : {}", error.message));
    let trace = format!("{}: {}\n", error.class, error.message);
    console.error_line(&java::log_line("ERROR", &trace, "org.apache.kafka.tools.TopicCommand"));
    Err(Stop::Exit(1))
}

async fn create(admin: &Admin, parsed: &Parsed, console: &mut Console) -> Result<(), TopicError> {
    let name = parsed.value("topic")?.unwrap_or_default();
    let partitions = parsed.number("partitions")?;
    let replication_factor = parsed.number("replication-factor")?;
    let assignments = assignments(parsed)?;
    let configs = configs(parsed)?;
    if name.contains(['.', '_']) {
        // Kafka's metrics replace dots by underscores; scripts look for the first word of this.
        console.line(
            "WARNING: Due to limitations in metric names, topics with a period ('.') or underscore ('_') could \
             collide. To avoid issues it is best to use either, but not both.",
        );
    }
    if replication_factor.is_some_and(|factor| !(1..=i64::from(i16::MAX)).contains(&factor)) {
        let message = format!("The replication factor must be between 1 and {} inclusive", i16::MAX);
        return Err(TopicError::argument(message));
    }
    if partitions.is_some_and(|partitions| partitions < 1) {
        return Err(TopicError::argument("The partitions must be greater than 0"));
    }
    let topic = NewTopic {
        name: name.clone(),
        partitions: partitions.and_then(|partitions| i32::try_from(partitions).ok()),
        replication_factor: replication_factor.and_then(|factor| i16::try_from(factor).ok()),
        assignments,
        configs,
    };
    let created = admin.create_topics(&[topic], false).await?;
    match created.into_values().find_map(Result::err) {
        None => console.line(&format!("Created topic {name}.")),
        Some(error) if error.is(ErrorCode::TopicAlreadyExists) && parsed.has("if-not-exists") => {}
        Some(error) => return Err(error.into()),
    }
    Ok(())
}

async fn list(admin: &Admin, parsed: &Parsed, console: &mut Console) -> Result<(), TopicError> {
    let names: Vec<_> = topics(admin, parsed).await?.into_iter().collect();
    console.line(&names.join("\n"));
    Ok(())
}

async fn alter(admin: &Admin, parsed: &Parsed) -> Result<(), TopicError> {
    let assignments = assignments(parsed)?;
    let names = topics(admin, parsed).await?;
    ensure_exists(&names, parsed)?;
    let count = parsed.number("partitions")?.and_then(|count| i32::try_from(count).ok()).unwrap_or(-1);
    let mut grown = BTreeMap::new();
    for (name, described) in admin.describe_topics(&names, PARTITIONS_PER_ANSWER).await? {
        let existing = described?.partitions.len();
        // The assignment names all partitions; only those that are new are sent.
        let new = (!assignments.is_empty()).then(|| assignments.values().skip(existing).cloned().collect());
        grown.insert(name, NewPartitions { count, assignments: new });
    }
    if grown.is_empty() {
        return Ok(());
    }
    let results = admin.create_partitions(&grown, false).await?;
    results.into_values().collect::<Result<(), _>>().map_err(TopicError::from)
}

async fn delete(admin: &Admin, parsed: &Parsed) -> Result<(), TopicError> {
    let names = topics(admin, parsed).await?;
    ensure_exists(&names, parsed)?;
    if names.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = names.into_iter().collect();
    let results = admin.delete_topics(&names).await?;
    results.into_values().collect::<Result<(), _>>().map_err(TopicError::from)
}

/// The topics that `--topic` matches, or all.
async fn topics(admin: &Admin, parsed: &Parsed) -> Result<BTreeSet<String>, TopicError> {
    let pattern = match parsed.value("topic")? {
        Some(text) => Some(
            TopicPattern::new(&text)
                .map_err(|message| TopicError { class: "java.lang.RuntimeException".to_owned(), message })?,
        ),
        None => None,
    };
    let excludes_internal = parsed.has("exclude-internal");
    let listed = admin.list_topics().await?;
    let shown = listed.into_keys().filter(|name| {
        let matches = pattern.as_ref().is_none_or(|pattern| pattern.matches(name));
        matches && !(excludes_internal && is_internal(name))
    });
    Ok(shown.collect())
}

fn ensure_exists(found: &BTreeSet<String>, parsed: &Parsed) -> Result<(), TopicError> {
    match parsed.value("topic")? {
        Some(topic) if !topic.is_empty() && found.is_empty() && !parsed.has("if-exists") => {
            Err(TopicError::argument(format!("Topic '{topic}' does not exist as expected")))
        }
        _ => Ok(()),
    }
}

/// `--config name=value`, each its own option.
fn configs(parsed: &Parsed) -> Result<BTreeMap<String, String>, TopicError> {
    let mut configs = BTreeMap::new();
    for config in parsed.values("config") {
        let parts: Vec<_> = config.split('=').map(str::trim).collect();
        match parts.as_slice() {
            [name, value] if !value.is_empty() => configs.insert((*name).to_owned(), (*value).to_owned()),
            _ => {
                let message = "requirement failed: Invalid topic config: all configs to be added must be in the format \
                               \"key=val\".";
                return Err(TopicError::argument(message));
            }
        };
    }
    Ok(configs)
}

/// `--replica-assignment 1:2,2:3`: of each partition its replicas.
fn assignments(parsed: &Parsed) -> Result<BTreeMap<i32, Vec<NodeId>>, TopicError> {
    let mut assignments = BTreeMap::new();
    let Some(text) = parsed.value("replica-assignment")?.filter(|text| !text.is_empty()) else {
        return Ok(assignments);
    };
    let mut count = None;
    for (partition, replicas) in (0..).zip(text.split(',')) {
        let node = |id: &str| {
            let id = id.trim();
            let message = || format!("For input string: \"{id}\"");
            let class = || "java.lang.NumberFormatException".to_owned();
            id.parse().map(NodeId).map_err(|_| TopicError { class: class(), message: message() })
        };
        let replicas = replicas.split(':').map(node).collect::<Result<Vec<_>, _>>()?;
        let shown: Vec<_> = replicas.iter().map(|node| node.value().to_string()).collect();
        let distinct: BTreeSet<_> = replicas.iter().collect();
        if distinct.len() != replicas.len() {
            let twice =
                shown.iter().enumerate().filter(|(at, id)| shown.iter().position(|other| other == *id) != Some(*at));
            let twice: BTreeSet<_> = twice.map(|(_, id)| id.as_str()).collect();
            let list = twice.into_iter().collect::<Vec<_>>().join(",");
            let class = "org.apache.kafka.tools.AdminCommandFailedException".to_owned();
            let message = format!("Partition replica lists may not contain duplicate entries: {list}");
            return Err(TopicError { class, message });
        }
        if *count.get_or_insert(replicas.len()) != replicas.len() {
            let class = "org.apache.kafka.tools.AdminOperationException".to_owned();
            let list = shown.join(", ");
            let message = format!("Partition {partition} has different replication factor: [{list}]");
            return Err(TopicError { class, message });
        }
        assignments.insert(partition, replicas);
    }
    Ok(assignments)
}
