use super::producers::{partition, producers};
use super::{failed, told};
use crate::argparse::Values;
use crate::connection::PARTITIONS_PER_ANSWER;
use crate::console::Console;
use crate::java::now_ms;
use crate::subcommands::Failure;
use crate::table;

use ottla_client::{Admin, ErrorCode, ProducerState, TransactionFilter};
use ottla_types::{NodeId, ProducerId, TopicPartition};
use std::collections::{BTreeMap, BTreeSet};

/// How many topics, or partitions, one request asks about.
const BATCH: usize = 500;

/// How many minutes a transaction may last that is not looked into, unless the user says otherwise: a broker's default of
/// `transaction.max.timeout.ms`.
const MINUTES_MAX: i32 = 15;

const TITLES: [&str; 8] = [
    "Topic",
    "Partition",
    "ProducerId",
    "ProducerEpoch",
    "CoordinatorEpoch",
    "StartOffset",
    "LastTimestamp",
    "Duration(min)",
];

/// A transaction that has been open for long.
struct Open {
    partition: TopicPartition,
    producer: ProducerState,
}

/// Finds transactions that are open on a partition, but not, or not there, for their coordinator: nobody will end them.
pub(super) async fn find(admin: &Admin, values: &Values, console: &mut Console) -> Result<(), Failure> {
    let (broker, topic) = (values.number("broker-id").map(NodeId), values.one("topic"));
    if broker.is_none() && topic.is_none() {
        let error =
            "The `find-hanging` command requires either --topic or --broker-id to limit the scope of the search";
        return Err(Failure(error.to_owned()));
    }
    if values.has("partition") && topic.is_none() {
        return Err(Failure("The --partition argument requires --topic to be provided".to_owned()));
    }
    let partitions =
        if values.has("partition") { vec![partition(values)] } else { partitions(admin, broker, topic).await? };
    let minutes = values.number("max-transaction-timeout").unwrap_or(MINUTES_MAX);
    let open = long_open(admin, broker, &partitions, i64::from(minutes) * 60_000, console).await?;
    let now = now_ms();
    let row = |Open { partition, producer }: &Open| {
        [
            partition.topic.to_string(),
            partition.partition.to_string(),
            producer.producer_id.to_string(),
            producer.producer_epoch.to_string(),
            producer.coordinator_epoch.unwrap_or(-1).to_string(),
            producer.transaction_start_offset.map_or(-1, |offset| offset.value()).to_string(),
            producer.last_timestamp.0.to_string(),
            (now.saturating_sub(producer.last_timestamp.0) / 60_000).to_string(),
        ]
    };
    let hanging = if open.is_empty() { open } else { hanging(admin, open).await? };
    table::print(TITLES, &hanging.iter().map(row).collect::<Vec<_>>(), console);
    Ok(())
}

/// The partitions of the topic, or of all topics, that have a replica on the broker, where one is named.
async fn partitions(
    admin: &Admin,
    broker: Option<NodeId>,
    topic: Option<&str>,
) -> Result<Vec<TopicPartition>, Failure> {
    let topics: Vec<String> = match topic {
        Some(topic) => vec![topic.to_owned()],
        None => {
            let listed = admin.list_topics().await.map_err(|error| failed("Failed to list topics", error))?;
            listed.into_keys().collect()
        }
    };
    let mut partitions = Vec::new();
    for batch in topics.chunks(BATCH) {
        let what = format!("Failed to describe {} topics", batch.len());
        let names = batch.iter().cloned().collect();
        let described = admin.describe_topics(&names, PARTITIONS_PER_ANSWER).await;
        let described = described.map_err(|error| failed(&what, error))?;
        for (name, described) in described {
            for partition in described.map_err(|error| failed(&what, error))?.partitions {
                if broker.is_none_or(|broker| partition.replicas.contains(&broker)) {
                    partitions.push(TopicPartition::new(name.as_str(), partition.index));
                }
            }
        }
    }
    Ok(partitions)
}

async fn long_open(
    admin: &Admin,
    broker: Option<NodeId>,
    partitions: &[TopicPartition],
    too_long_ms: i64,
    console: &mut Console,
) -> Result<Vec<Open>, Failure> {
    let mut open = Vec::new();
    for (number, batch) in partitions.chunks(BATCH).enumerate() {
        console.progress(&format!("{} of {} partitions looked at", number * BATCH, partitions.len()));
        let described = producers(admin, broker, &batch.iter().cloned().collect()).await.map_err(|error| {
            let broker = broker.map_or_else(|| "Optional.empty".to_owned(), |broker| format!("Optional[{broker}]"));
            failed(&format!("Failed to describe producers for {} partitions on broker {broker}", batch.len()), error)
        })?;
        let now = now_ms();
        for (partition, producers) in described {
            let is_long = |producer: &ProducerState| {
                producer.transaction_start_offset.is_some()
                    && now.saturating_sub(producer.last_timestamp.0) > too_long_ms
            };
            let long = producers.into_iter().filter(is_long);
            open.extend(long.map(|producer| Open { partition: partition.clone(), producer }));
        }
    }
    Ok(open)
}

/// Those of the open transactions whose coordinator does not know of them.
async fn hanging(admin: &Admin, mut open: Vec<Open>) -> Result<Vec<Open>, Failure> {
    open.sort_by_key(|transaction| transaction.producer.producer_id);
    let ids =
        transactional_ids(admin, open.iter().map(|transaction| transaction.producer.producer_id).collect()).await?;
    let mut known = BTreeMap::<&str, Vec<TopicPartition>>::new();
    for id in ids.values() {
        match admin.describe_transaction(id).await {
            Ok(described) => drop(known.insert(id, described.partitions)),
            Err(error) if error.is(ErrorCode::TransactionalIdNotFound) => {}
            Err(error) => {
                let why =
                    format!("DescribeTransactions request for transactionalId `{id}` failed due to unexpected error");
                return Err(failed(&format!("Failed to describe {} transactions", ids.len()), told(&error, why)));
            }
        }
    }
    // A coordinator tells all partitions of an open transaction, and of one that ends those whose marker is missing.
    open.retain(|transaction| {
        let id = ids.get(&transaction.producer.producer_id);
        let partitions = id.and_then(|id| known.get(id.as_str()));
        partitions.is_none_or(|partitions| !partitions.contains(&transaction.partition))
    });
    Ok(open)
}

async fn transactional_ids(
    admin: &Admin,
    producer_ids: BTreeSet<ProducerId>,
) -> Result<BTreeMap<ProducerId, String>, Failure> {
    let what = format!("Failed to list transactions for {} producers", producer_ids.len());
    let filter = TransactionFilter { producer_ids, ..Default::default() };
    let mut ids = BTreeMap::new();
    for (_, listings) in admin.list_transactions(&filter).await.map_err(|error| failed(&what, error))? {
        for listing in listings.map_err(|error| failed(&what, error))? {
            ids.insert(listing.producer_id, listing.transactional_id);
        }
    }
    Ok(ids)
}
