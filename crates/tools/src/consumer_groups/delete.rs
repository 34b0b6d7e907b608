use super::reset::parse_partitions;
use super::{Failure, chosen, print_error};
use crate::connection::PARTITIONS_PER_ANSWER;
use crate::console::Console;
use crate::java::{self, Sized};
use crate::options::Parsed;
use ottla_client::{Admin, ClientError, ErrorCode};
use ottla_types::TopicPartition;
use std::collections::{BTreeMap, BTreeSet};

const TOPIC_WIDTH: usize = 15;
/// The partition of a topic of which nothing is known.
const UNKNOWN_PARTITION: i32 = -1;

/// `--delete`.
pub(super) async fn groups(admin: &Admin, parsed: &Parsed, console: &mut Console) -> Result<(), Failure> {
    let mut ids = chosen(admin, parsed).await?;
    ids.sort();
    ids.dedup();
    java::hash_order(&mut ids, Sized::Default, |id| java::string_hash(id));
    let (mut deleted, mut kept) = (Vec::new(), Vec::new());
    for id in ids {
        match admin.delete_group(&id).await {
            Ok(()) => deleted.push(format!("'{id}'")),
            Err(error) => kept.push((id, error)),
        }
    }
    let deleted = deleted.join(", ");
    if kept.is_empty() {
        console.line(&format!("Deletion of requested consumer groups ({deleted}) was successful."));
        return Ok(());
    }
    print_error("Deletion of some consumer groups failed:", console);
    for (id, error) in &kept {
        console.line(&format!("* Group '{id}' could not be deleted due to: {}", java::exception(error)));
    }
    if !deleted.is_empty() {
        console.line(&format!("\nThese consumer groups were deleted successfully: {deleted}"));
    }
    Ok(())
}

/// `--delete-offsets`.
pub(super) async fn offsets(admin: &Admin, parsed: &Parsed, console: &mut Console) -> Result<(), Failure> {
    let group = parsed.value("group")?.unwrap_or_default();
    let (partitions, mut results) = partitions(admin, &parsed.values("topic")).await?;
    let whole = match admin.delete_group_offsets(&group, &partitions).await {
        Ok(deleted) => {
            let first = deleted.values().find_map(|result| result.as_ref().err()).cloned();
            results.extend(deleted);
            first
        }
        Err(error) => {
            results.extend(partitions.iter().map(|partition| (partition.clone(), Err(error.clone()))));
            Some(error)
        }
    };
    match whole {
        None => console.line(&format!("Request succeeded for deleting offsets from group {group}.")),
        Some(error) => print_error(&reason(&error), console),
    }
    show(&results, console);
    Ok(())
}

/// The partitions that the arguments name, and what is wrong with topics that they name.
async fn partitions(admin: &Admin, topics: &[String]) -> Result<(BTreeSet<TopicPartition>, Results), Failure> {
    let mut partitions = BTreeSet::new();
    let mut results = Results::new();
    let mut whole = BTreeSet::new();
    for topic in topics {
        if topic.contains(':') {
            partitions.extend(parse_partitions(topic)?);
        } else {
            whole.insert(topic.clone());
        }
    }
    for (topic, described) in admin.describe_topics(&whole, PARTITIONS_PER_ANSWER).await? {
        match described {
            Ok(described) => {
                let all = described.partitions.iter();
                partitions.extend(all.map(|partition| TopicPartition::new(topic.as_str(), partition.index)));
            }
            Err(error) => {
                results.insert(TopicPartition::new(topic.as_str(), UNKNOWN_PARTITION), Err(error));
            }
        }
    }
    Ok((partitions, results))
}

type Results = BTreeMap<TopicPartition, Result<(), ClientError>>;

fn reason(error: &ClientError) -> String {
    let of_parts =
        [ErrorCode::GroupSubscribedToTopic, ErrorCode::TopicAuthorizationFailed, ErrorCode::UnknownTopicOrPartition];
    let of_all = [
        ErrorCode::InvalidGroupId,
        ErrorCode::GroupIdNotFound,
        ErrorCode::GroupAuthorizationFailed,
        ErrorCode::NonEmptyGroup,
    ];
    if of_parts.iter().any(|code| error.is(*code)) {
        "Encountered some partition-level error, see the follow-up details.".to_owned()
    } else if of_all.iter().any(|code| error.is(*code)) {
        error.to_string()
    } else {
        format!("Encountered some unknown error: {}", java::exception(error))
    }
}

fn show(results: &Results, console: &mut Console) {
    let longest = results.keys().map(|partition| partition.topic.chars().count()).max().unwrap_or_default();
    let width = longest.max(TOPIC_WIDTH);
    let mut line = |topic: &str, partition: &str, status: &str| {
        console.print(&format!("\n{topic:<width$} {partition:<10} {status:<15}"));
    };
    line("TOPIC", "PARTITION", "STATUS");
    let mut results: Vec<_> = results.iter().collect();
    // By the text of topic and number: 10 comes before 2.
    results.sort_by_key(|(partition, _)| format!("{}{}", partition.topic, partition.partition.value()));
    for (partition, result) in results {
        let index = match partition.partition.value() {
            UNKNOWN_PARTITION => "-".to_owned(),
            index => index.to_string(),
        };
        let status = match result {
            Ok(()) => "Successful".to_owned(),
            Err(error) => format!("Error: {}", java::exception(error)),
        };
        line(&partition.topic, &index, &status);
    }
    console.line("");
}
