use super::Failure;
use crate::json::{Wrong, array, check_version, field, integer, object, text};
use ottla_client::PartitionReplica;
use ottla_types::{NodeId, TopicPartition};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The directory that the broker chooses.
pub(super) const ANY_DIRECTORY: &str = "any";

/// What a file asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// The partitions with their replicas, in the order of the file: one may stand there several times.
    pub(super) partitions: Vec<(TopicPartition, Vec<i32>)>,
    /// The directories of those replicas for which one is named.
    pub(super) directories: BTreeMap<PartitionReplica, String>,
}

/// Reads which partitions are to go where.
pub(super) fn plan(file: &str) -> Result<Plan, Failure> {
    if file.is_empty() {
        return Err(Failure::Error("The input string shouldn't be empty".to_owned()));
    }
    let file: Value = serde_json::from_str(file)
        .map_err(|error| Failure::Error(format!("The input string is not a valid JSON: {error}")))?;
    let file = object(&file).map_err(Failure::Error)?;
    check_version(file).map_err(Failure::Error)?;
    let mut plan = Plan::default();
    let Some(partitions) = file.get("partitions") else { return Ok(plan) };
    for entry in array(partitions).map_err(Failure::Error)? {
        object(entry).and_then(|entry| add(&mut plan, entry)).map_err(Failure::Error)?;
    }
    Ok(plan)
}

fn add(plan: &mut Plan, entry: &Map<String, Value>) -> Result<(), Wrong> {
    let topic = text(field(entry, "topic")?)?;
    let partition = TopicPartition::new(topic, integer(field(entry, "partition")?)?);
    let replicas: Vec<i32> = array(field(entry, "replicas")?)?.iter().map(integer).collect::<Result<_, _>>()?;
    let directories: Vec<&str> = match entry.get("log_dirs") {
        Some(directories) => array(directories)?.iter().map(text).collect::<Result<_, _>>()?,
        None => vec![ANY_DIRECTORY; replicas.len()],
    };
    if replicas.len() != directories.len() {
        let listed = |items: Vec<String>| format!("[{}]", items.join(", "));
        return Err(format!(
            "Size of replicas list {} is different from size of log dirs list {} for partition {partition}",
            listed(replicas.iter().map(ToString::to_string).collect()),
            listed(directories.iter().map(ToString::to_string).collect()),
        ));
    }
    for (broker, directory) in replicas.iter().zip(directories).filter(|(_, directory)| *directory != ANY_DIRECTORY) {
        let replica = PartitionReplica { broker: NodeId(*broker), partition: partition.clone() };
        plan.directories.insert(replica, directory.to_owned());
    }
    plan.partitions.push((partition, replicas));
    Ok(())
}

/// Reads which topics are to be moved.
pub(super) fn topics(file: &str) -> Result<Vec<String>, Failure> {
    let file: Value =
        serde_json::from_str(file).map_err(|_| Failure::Error("The input string is not a valid JSON".to_owned()))?;
    let read = || -> Result<Vec<String>, Wrong> {
        let file = object(&file)?;
        check_version(file)?;
        let topics = file.get("topics").map(array).transpose()?.unwrap_or_default();
        topics.iter().map(|entry| Ok(text(field(object(entry)?, "topic")?)?.to_owned())).collect()
    };
    read().map_err(Failure::Error)
}

/// The partitions as a file that can be read again, with the directories that are known.
pub(super) fn written(
    partitions: &BTreeMap<TopicPartition, Vec<i32>>,
    directories: &BTreeMap<PartitionReplica, String>,
) -> String {
    let entry = |(partition, replicas): (&TopicPartition, &Vec<i32>)| {
        let directory = |broker: &i32| {
            let replica = PartitionReplica { broker: NodeId(*broker), partition: partition.clone() };
            directories.get(&replica).map_or(ANY_DIRECTORY, String::as_str)
        };
        json!({ "topic": &*partition.topic, "partition": partition.partition.value(), "replicas": replicas,
            "log_dirs": replicas.iter().map(directory).collect::<Vec<_>>() })
    };
    json!({ "version": 1, "partitions": partitions.iter().map(entry).collect::<Vec<_>>() }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(file: &str) -> String {
        match plan(file).unwrap_err() {
            Failure::Error(error) | Failure::Told(error) => error,
        }
    }

    #[test]
    fn what_is_written_can_be_read_again() {
        let partition = TopicPartition::new("a", 1);
        let replica = PartitionReplica { broker: NodeId(2), partition: partition.clone() };
        let directories = BTreeMap::from([(replica, "/d".to_owned())]);
        let text = written(&BTreeMap::from([(partition.clone(), vec![1, 2])]), &directories);
        let expected =
            r#"{"version":1,"partitions":[{"topic":"a","partition":1,"replicas":[1,2],"log_dirs":["any","/d"]}]}"#;
        assert_eq!(text, expected);
        assert_eq!(plan(&text).unwrap(), Plan { partitions: vec![(partition, vec![1, 2])], directories });
    }

    #[test]
    fn a_file_says_where_each_replica_goes_or_nothing() {
        let lists = r#"{"partitions":[{"topic":"a","partition":0,"replicas":[1,2],"log_dirs":["x"]}]}"#;
        let error = "Size of replicas list [1, 2] is different from size of log dirs list [x] for partition a-0";
        assert_eq!(wrong(lists), error);
        assert_eq!(wrong(""), "The input string shouldn't be empty");
        assert_eq!(plan("{}").unwrap(), Plan::default());
    }
}
