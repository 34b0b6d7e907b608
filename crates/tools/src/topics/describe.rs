use super::{TopicError, ensure_exists, topics};
use crate::connection::PARTITIONS_PER_ANSWER;
use crate::console::Console;
use crate::java::{self, Sized};
use crate::options::Parsed;
use ottla_client::{
    Admin, ConfigEntry, ConfigResource, ConfigSource, PartitionReassignment, ResourceKind, TopicDescription,
    TopicPartitionDescription,
};
use ottla_types::{NodeId, TopicPartition, Uuid};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Everything that decides which partitions are shown.
struct View {
    under_replicated: bool,
    unavailable: bool,
    under_min_isr: bool,
    at_min_isr: bool,
    with_overrides: bool,
    live_brokers: BTreeSet<NodeId>,
}

impl View {
    /// Whether the lines of topics are shown: not when certain partitions are looked for.
    fn shows_topics(&self) -> bool {
        !(self.under_replicated || self.unavailable || self.under_min_isr || self.at_min_isr)
    }
}

pub(super) async fn describe(admin: &Admin, parsed: &Parsed, console: &mut Console) -> Result<(), TopicError> {
    let described = named(admin, parsed).await?;
    let resource = |topic: &TopicDescription| ConfigResource::new(ResourceKind::Topic, topic.name.as_str());
    let resources: Vec<_> = described.iter().map(resource).collect();
    let mut configs = admin.describe_configs(&resources, false).await?;
    let cluster = admin.describe_cluster().await?;
    let view = View {
        under_replicated: parsed.has("under-replicated-partitions"),
        unavailable: parsed.has("unavailable-partitions"),
        under_min_isr: parsed.has("under-min-isr-partitions"),
        at_min_isr: parsed.has("at-min-isr-partitions"),
        with_overrides: parsed.has("topics-with-overrides"),
        live_brokers: cluster.brokers.iter().map(|broker| broker.id).collect(),
    };
    let reassignments = reassignments(admin, &described).await;
    for topic in described {
        let mut config = configs.remove(&resource(&topic)).transpose()?.unwrap_or_default();
        java::hash_order(&mut config, Sized::Default, |entry| java::string_hash(&entry.name));
        show(&topic, &config, &view, &reassignments, console);
    }
    Ok(())
}

/// The topics that are asked for, by id or by name.
async fn named(admin: &Admin, parsed: &Parsed) -> Result<Vec<TopicDescription>, TopicError> {
    let id = match parsed.value("topic-id")? {
        Some(text) => Some(uuid(&text)?).filter(|id| !id.is_zero()),
        None => None,
    };
    if let Some(id) = id {
        return match admin.describe_topic_by_id(id).await? {
            None if !parsed.has("if-exists") => {
                Err(TopicError::argument(format!("TopicId '{id}' does not exist as expected")))
            }
            described => Ok(described.into_iter().collect()),
        };
    }
    let names = topics(admin, parsed).await?;
    ensure_exists(&names, parsed)?;
    let limit = parsed.number("partition-size-limit-per-response")?.and_then(|limit| i32::try_from(limit).ok());
    let described = admin.describe_topics(&names, limit.unwrap_or(PARTITIONS_PER_ANSWER)).await?;
    let mut described = described.into_values().collect::<Result<Vec<_>, _>>()?;
    java::hash_order(&mut described, Sized::ToFit, |topic| java::string_hash(&topic.name));
    Ok(described)
}

fn uuid(text: &str) -> Result<Uuid, TopicError> {
    text.parse().map_err(|_| {
        let count = text.trim_end_matches('=').len() * 6 / 8;
        TopicError::argument(format!(
            "Input string `{text}` decoded as {count} bytes, which is not equal to the expected 16 bytes of a \
             base64-encoded UUID"
        ))
    })
}

/// The reassignments under way. A server that can't tell them has none to show.
async fn reassignments(
    admin: &Admin,
    described: &[TopicDescription],
) -> BTreeMap<TopicPartition, PartitionReassignment> {
    let of_topic = |topic: &TopicDescription| {
        let name: Arc<str> = topic.name.as_str().into();
        let partition = |index: i32| TopicPartition::new(name.clone(), index);
        topic.partitions.iter().map(|described| partition(described.index)).collect::<Vec<_>>()
    };
    let partitions = described.iter().flat_map(of_topic).collect();
    admin.list_reassignments(Some(&partitions)).await.unwrap_or_default()
}

fn show(
    topic: &TopicDescription,
    config: &[ConfigEntry],
    view: &View,
    reassignments: &BTreeMap<TopicPartition, PartitionReassignment>,
    console: &mut Console,
) {
    let reassignment = |partition: &TopicPartitionDescription| {
        reassignments.get(&TopicPartition::new(topic.name.as_str(), partition.index))
    };
    let own: Vec<_> = config.iter().filter(|entry| entry.source != ConfigSource::Default).collect();
    if view.shows_topics() && (!view.with_overrides || !own.is_empty()) {
        let shown = |entry: &&ConfigEntry| format!("{}={}", entry.name, entry.value.as_deref().unwrap_or("null"));
        let own = own.iter().map(shown).collect::<Vec<_>>().join(",");
        let first = topic.partitions.first();
        let factor = first.map_or(0, |first| replication_factor(first, reassignment(first)));
        let id = if topic.id.is_zero() { String::new() } else { format!("\tTopicId: {}", topic.id) };
        console.line(&format!(
            "Topic: {}{id}\tPartitionCount: {}\tReplicationFactor: {factor}\tConfigs: {own}",
            topic.name,
            topic.partitions.len()
        ));
    }
    if view.with_overrides {
        return;
    }
    let min_isr = config.iter().find(|entry| entry.name == "min.insync.replicas");
    let min_isr = min_isr.and_then(|entry| entry.value.as_deref()?.parse::<usize>().ok()).unwrap_or(1);
    for partition in &topic.partitions {
        let reassignment = reassignment(partition);
        if view.shows_topics() || is_shown(partition, reassignment, min_isr, view) {
            console.line(&partition_line(&topic.name, partition, reassignment));
        }
    }
}

fn is_shown(
    partition: &TopicPartitionDescription,
    reassignment: Option<&PartitionReassignment>,
    min_isr: usize,
    view: &View,
) -> bool {
    let in_sync = partition.in_sync_replicas.len();
    let has_leader = partition.leader.is_some();
    let leader_lives = partition.leader.is_some_and(|leader| view.live_brokers.contains(&leader));
    view.under_replicated && replication_factor(partition, reassignment) > in_sync
        || view.unavailable && !leader_lives
        || view.under_min_isr && (!has_leader || in_sync < min_isr)
        || view.at_min_isr && in_sync == min_isr
}

/// How many replicas the partition has, those that are being added left out.
fn replication_factor(partition: &TopicPartitionDescription, reassignment: Option<&PartitionReassignment>) -> usize {
    match reassignment {
        Some(moving) if moves(partition, moving) => moving.replicas.len().saturating_sub(moving.adding.len()),
        _ => partition.replicas.len(),
    }
}

/// Whether the reassignment is still under way in what was described: it may have ended in between.
fn moves(partition: &TopicPartitionDescription, moving: &PartitionReassignment) -> bool {
    moving.adding.iter().chain(&moving.removing).any(|node| partition.replicas.contains(node))
}

fn partition_line(
    topic: &str,
    partition: &TopicPartitionDescription,
    reassignment: Option<&PartitionReassignment>,
) -> String {
    let ids = |nodes: &[NodeId]| nodes.iter().map(|node| node.value().to_string()).collect::<Vec<_>>().join(",");
    let told = |nodes: &Option<Vec<NodeId>>| nodes.as_deref().map_or_else(|| "N/A".to_owned(), ids);
    let leader = partition.leader.map_or_else(|| "none".to_owned(), |leader| leader.value().to_string());
    let moving = reassignment.map_or_else(String::new, |moving| {
        format!("\tAdding Replicas: {}\tRemoving Replicas: {}", ids(&moving.adding), ids(&moving.removing))
    });
    format!(
        "\tTopic: {topic}\tPartition: {}\tLeader: {leader}\tReplicas: {}\tIsr: {}{moving}\tElr: {}\tLastKnownElr: {}",
        partition.index,
        ids(&partition.replicas),
        ids(&partition.in_sync_replicas),
        told(&partition.eligible_leader_replicas),
        told(&partition.last_known_eligible),
    )
}
