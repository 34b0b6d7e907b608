//! `kafka-delete-records`: deletes records of partitions up to offsets.

use crate::connection::{admin, block_on, load_properties};
use crate::console::Console;
use crate::failure::{Stop, help_or_version, require};
use crate::options::{Opt, Options, Parsed};
use ottla_types::TopicPartition;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const OPTIONS: Options = Options {
    about: "This tool helps to delete records of the given partitions down to the specified offset.",
    table: &[
        Opt::text(
            "bootstrap-server",
            "server(s) to use for bootstrapping",
            "REQUIRED: Servers of the cluster, host:port.",
        ),
        Opt::text(
            "offset-json-file",
            "Offset json file path",
            "REQUIRED: A JSON file with the offset of each partition, in this form:\n\
             {\"partitions\":\n  [{\"topic\": \"foo\", \"partition\": 1, \"offset\": 1}],\n \"version\":1\n}",
        ),
        Opt::text(
            "command-config",
            "command config property file path",
            "A properties file with settings of the client.",
        ),
    ],
};

/// Runs the tool.
pub(crate) fn run(arguments: &[String], console: &mut Console) -> i32 {
    let parsed = OPTIONS.parse(arguments).map_err(Stop::from);
    let done = parsed.and_then(|parsed| {
        help_or_version(&OPTIONS, &parsed, console)?;
        require(&parsed, "bootstrap-server")?;
        require(&parsed, "offset-json-file")?;
        work(&parsed, console)
    });
    match done {
        Ok(()) => 0,
        Err(stop) => stop.tell(&OPTIONS, console),
    }
}

fn work(parsed: &Parsed, console: &mut Console) -> Result<(), Stop> {
    let path = parsed.value("offset-json-file")?.unwrap_or_default();
    let properties = parsed.value("command-config")?.map(|path| load_properties(&path)).transpose();
    let properties = properties.map_err(Stop::Message)?;
    let servers = parsed.value("bootstrap-server")?.unwrap_or_default();
    // Java names only the file.
    let text = std::fs::read_to_string(&path).map_err(|_| Stop::Message(path.clone()))?;
    let offsets = offsets(&text).map_err(Stop::Message)?;
    console.line("Executing records delete operation");
    let deleted = block_on(async { admin(&servers, properties.as_ref(), None)?.delete_records(&offsets).await });
    let deleted = deleted.map_err(|error| Stop::Message(error.to_string()))?;
    console.line("Records delete operation completed:");
    for (partition, low_watermark) in deleted.map_err(|error| Stop::Message(error.to_string()))? {
        match low_watermark {
            Ok(offset) => console.line(&format!("partition: {partition}\tlow_watermark: {offset}")),
            Err(error) => console.line(&format!("partition: {partition}\terror: {error}")),
        }
    }
    Ok(())
}

/// The offsets of a file. A partition may stand in it only once.
fn offsets(text: &str) -> Result<BTreeMap<TopicPartition, i64>, String> {
    let file: Value = serde_json::from_str(text).map_err(|_| "The input string is not a valid JSON".to_owned())?;
    match file.get("version").map_or(Some(1), Value::as_i64) {
        Some(1) => {}
        other => return Err(format!("Not supported version field value {}", other.unwrap_or_default())),
    }
    let partitions = file.get("partitions").and_then(Value::as_array).ok_or("Missing partitions field")?;
    let (mut offsets, mut twice) = (BTreeMap::new(), BTreeSet::new());
    for entry in partitions {
        let missing = |name: &str| format!("No such field exists: `{name}`");
        let topic = entry.get("topic").and_then(Value::as_str).ok_or_else(|| missing("topic"))?;
        let partition = entry.get("partition").and_then(Value::as_i64).ok_or_else(|| missing("partition"))?;
        let offset = entry.get("offset").and_then(Value::as_i64).ok_or_else(|| missing("offset"))?;
        let partition = i32::try_from(partition).map_err(|_| format!("There is no partition {partition}"))?;
        let partition = TopicPartition::new(topic, partition);
        if offsets.insert(partition.clone(), offset).is_some() {
            twice.insert(partition.to_string());
        }
    }
    if twice.is_empty() {
        return Ok(offsets);
    }
    let twice = twice.into_iter().collect::<Vec<_>>().join(",");
    Err(format!("Offset json file contains duplicate topic partitions: {twice}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_names_each_partition_once() {
        let one = r#"{"topic": "a", "partition": 1, "offset": 5}"#;
        let read = offsets(&format!(r#"{{"partitions": [{one}], "version": 1}}"#)).unwrap();
        assert_eq!(read, BTreeMap::from([(TopicPartition::new("a", 1), 5)]));
        let twice = offsets(&format!(r#"{{"partitions": [{one}, {one}]}}"#)).unwrap_err();
        assert_eq!(twice, "Offset json file contains duplicate topic partitions: a-1");
        assert_eq!(offsets("{}").unwrap_err(), "Missing partitions field");
        assert_eq!(offsets("no").unwrap_err(), "The input string is not a valid JSON");
        assert_eq!(offsets(r#"{"version": 2}"#).unwrap_err(), "Not supported version field value 2");
    }
}
