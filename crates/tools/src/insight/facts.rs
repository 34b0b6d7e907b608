//! What a cluster says of itself.

use super::scrape::{self, Scrape};
use ottla_client::{
    Admin, BrokerDescription, ClientError, ConfigResource, Endpoints, GroupDescription, GroupKind, GroupListing,
    LogDirectoryDescription, OffsetAndMetadata, OffsetSpec, ProducerState, ResourceKind, TopicDescription,
    TransactionDescription, TransactionFilter, TransactionState,
};
use ottla_types::{PartitionIndex, ProducerId, TopicPartition};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How many partitions one answer describes.
const PARTITIONS_PER_ANSWER: i32 = 2000;

/// Everything that is looked at.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) cluster_id: String,
    pub(super) controller: Option<i32>,
    pub(super) brokers: Vec<BrokerDescription>,
    pub(super) topics: Vec<TopicDescription>,
    pub(super) groups: Vec<GroupFacts>,
    /// Each broker's directories with their paths.
    pub(super) directories: Vec<(i32, String, LogDirectoryDescription)>,
    pub(super) open: Vec<OpenTransaction>,
    pub(super) scrape: Option<Scrape>,
    /// What could not be found out.
    pub(super) unknown: Vec<String>,
}

/// A group with what it has still to read.
#[derive(Debug)]
pub(super) struct GroupFacts {
    pub(super) listing: GroupListing,
    pub(super) description: Option<GroupDescription>,
    pub(super) lags: BTreeMap<TopicPartition, i64>,
}

impl GroupFacts {
    pub(super) fn lag(&self) -> i64 {
        self.lags.values().sum()
    }

    pub(super) fn members(&self) -> usize {
        self.description.as_ref().map_or(0, |description| description.members.len())
    }

    pub(super) fn state(&self) -> &str {
        let described = self.description.as_ref().map(|description| description.state.as_str());
        described.or(self.listing.state.as_deref()).unwrap_or("Unknown")
    }
}

/// A transaction that is open on a partition.
#[derive(Clone, Debug)]
pub(super) struct OpenTransaction {
    pub(super) partition: TopicPartition,
    pub(super) producer: ProducerState,
    /// What its coordinator says of it, when it knows it.
    pub(super) known: Option<(String, TransactionDescription)>,
}

/// Asks for everything. What one part does not tell is noted, and the rest is told all the same.
pub(super) async fn gather(admin: &Admin, metrics: Option<String>) -> Result<Facts, ClientError> {
    let cluster = match admin.describe_endpoints(Endpoints::AllBrokers).await {
        Ok(cluster) => cluster,
        // Older servers do not know of fenced brokers.
        Err(_) => admin.describe_cluster().await?,
    };
    let mut facts = Facts {
        cluster_id: cluster.cluster_id,
        controller: cluster.controller.map(|id| id.value()),
        brokers: cluster.brokers,
        ..Facts::default()
    };
    let names: BTreeSet<String> = admin.list_topics().await?.into_keys().collect();
    let described = admin.describe_topics(&names, PARTITIONS_PER_ANSWER).await?;
    facts.topics = described.into_values().filter_map(Result::ok).collect();
    groups(admin, &mut facts).await?;
    for broker in facts.brokers.iter().filter(|broker| !broker.is_fenced).map(|broker| broker.id.value()) {
        match admin.describe_log_dirs(broker).await {
            Ok(directories) => {
                facts.directories.extend(directories.into_iter().map(|(path, told)| (broker, path, told)))
            }
            Err(error) => facts.unknown.push(format!("broker {broker} does not tell of its log directories: {error}")),
        }
    }
    let partitions = led_partitions(&facts.topics);
    match open_transactions(admin, &partitions).await {
        Ok(open) => facts.open = open,
        Err(error) => facts.unknown.push(format!("open transactions can't be looked up: {error}")),
    }
    let address = match metrics {
        Some(address) => Some(address),
        None => metrics_address(admin, &facts.brokers).await,
    };
    if let Some(address) = address {
        match scrape::read(&address) {
            Ok(scrape) => facts.scrape = Some(scrape),
            Err(error) => facts.unknown.push(format!("the metrics at {address} can't be read: {error}")),
        }
    }
    Ok(facts)
}

pub(super) fn led_partitions(topics: &[TopicDescription]) -> BTreeSet<TopicPartition> {
    let of = |topic: &TopicDescription| {
        let name: Arc<str> = topic.name.as_str().into();
        let led = topic.partitions.iter().filter(|partition| partition.leader.is_some());
        led.map(move |partition| TopicPartition::new(name.clone(), PartitionIndex::new(partition.index)))
            .collect::<Vec<_>>()
    };
    topics.iter().flat_map(of).collect()
}

async fn groups(admin: &Admin, facts: &mut Facts) -> Result<(), ClientError> {
    let (listings, errors) = admin.list_groups(&[], &[]).await?;
    facts.unknown.extend(errors.iter().map(|error| format!("not all groups can be listed: {error}")));
    let mut committed = Vec::new();
    for listing in listings {
        let has_offsets = matches!(listing.kind, GroupKind::Classic | GroupKind::Consumer | GroupKind::Unknown);
        let offsets =
            if has_offsets { admin.list_group_offsets(&listing.group_id, None).await } else { Ok(BTreeMap::new()) };
        let offsets = offsets.unwrap_or_else(|error| {
            facts.unknown.push(format!("the offsets of the group {} can't be had: {error}", listing.group_id));
            BTreeMap::new()
        });
        let description = if has_offsets { admin.describe_group(&listing.group_id).await.ok() } else { None };
        committed.push((listing, description, offsets));
    }
    let all = committed.iter().flat_map(|(_, _, offsets)| offsets.keys().cloned());
    let ends = end_offsets(admin, all).await?;
    facts.groups = committed
        .into_iter()
        .map(|(listing, description, offsets)| GroupFacts { listing, description, lags: lags(&offsets, &ends) })
        .collect();
    Ok(())
}

/// Where partitions end; those that are gone are left out.
pub(super) async fn end_offsets(
    admin: &Admin,
    partitions: impl Iterator<Item = TopicPartition>,
) -> Result<BTreeMap<TopicPartition, i64>, ClientError> {
    let specs = partitions.map(|partition| (partition, OffsetSpec::Latest)).collect();
    let listed = admin.list_offsets(&specs).await?;
    Ok(listed.into_iter().filter_map(|(partition, end)| Some((partition, end.ok()?.offset))).collect())
}

pub(super) fn lags(
    offsets: &BTreeMap<TopicPartition, OffsetAndMetadata>,
    ends: &BTreeMap<TopicPartition, i64>,
) -> BTreeMap<TopicPartition, i64> {
    let lag = |(partition, committed): (&TopicPartition, &OffsetAndMetadata)| {
        ends.get(partition).map(|end| (partition.clone(), (end - committed.offset).max(0)))
    };
    offsets.iter().filter_map(lag).collect()
}

/// The transactions that are open on partitions, with what their coordinators know of them.
pub(super) async fn open_transactions(
    admin: &Admin,
    partitions: &BTreeSet<TopicPartition>,
) -> Result<Vec<OpenTransaction>, ClientError> {
    let producers = admin.describe_producers(partitions).await?;
    let mut open: Vec<OpenTransaction> = Vec::new();
    for (partition, producers) in producers {
        let producers = producers.unwrap_or_default().into_iter();
        let is_open = |producer: &ProducerState| producer.transaction_start_offset.is_some();
        open.extend(producers.filter(is_open).map(|producer| OpenTransaction {
            partition: partition.clone(),
            producer,
            known: None,
        }));
    }
    if open.is_empty() {
        return Ok(open);
    }
    let mut known = BTreeMap::<ProducerId, (String, TransactionDescription)>::new();
    let listed = admin.list_transactions(&TransactionFilter::default()).await?;
    for listing in listed.into_values().flat_map(Result::unwrap_or_default) {
        if open.iter().any(|open| open.producer.producer_id == listing.producer_id)
            && let Ok(description) = admin.describe_transaction(&listing.transactional_id).await
        {
            known.insert(listing.producer_id, (listing.transactional_id, description));
        }
    }
    for open in &mut open {
        let known = known.get(&open.producer.producer_id);
        // What is over for its coordinator, and was not on this partition, is not what is open here.
        let is_this = |(_, known): &&(String, TransactionDescription)| {
            let is_running = !matches!(
                known.state,
                TransactionState::Empty | TransactionState::CompleteCommit | TransactionState::CompleteAbort
            );
            is_running && known.partitions.contains(&open.partition)
        };
        open.known = known.filter(is_this).cloned();
    }
    Ok(open)
}

/// Where a server says that its metrics are; only Ottla does.
async fn metrics_address(admin: &Admin, brokers: &[BrokerDescription]) -> Option<String> {
    let broker = brokers.first()?;
    let resource = ConfigResource::new(ResourceKind::Broker, broker.id.value().to_string());
    let described = admin.describe_configs(std::slice::from_ref(&resource), false).await.ok()?;
    let entries = described.get(&resource)?.as_ref().ok()?;
    let listener = entries.iter().find(|entry| entry.name == "ottla.metrics.listener")?.value.clone()?;
    let (host, port) = listener.rsplit_once(':')?;
    // What listens everywhere is where clients reach the broker.
    let host = if host.is_empty() || host == "0.0.0.0" || host == "[::]" { &broker.host } else { host };
    Some(format!("{host}:{port}"))
}
