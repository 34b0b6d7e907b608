use super::{failed, told};
use crate::argparse::Values;
use crate::console::Console;
use crate::subcommands::Failure;
use crate::table;
use ottla_client::{Admin, ClientError, ErrorCode, HangingTransaction, ProducerState};
use ottla_types::{NodeId, Offset, ProducerId, TopicPartition};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn partition(values: &Values) -> TopicPartition {
    let number: i32 = values.number("partition").unwrap_or_default();
    TopicPartition::new(values.one("topic").unwrap_or_default(), number)
}

/// Asks the leaders, or the broker where one is named, for the producers of partitions; all have to be told.
pub(super) async fn producers(
    admin: &Admin,
    broker: Option<NodeId>,
    partitions: &BTreeSet<TopicPartition>,
) -> Result<BTreeMap<TopicPartition, Vec<ProducerState>>, ClientError> {
    let described = match broker {
        Some(broker) => admin.describe_producers_at(broker, partitions).await?,
        None => admin.describe_producers(partitions).await?,
    };
    described.into_iter().map(|(partition, producers)| Ok((partition, producers?))).collect()
}

async fn of_partition(
    admin: &Admin,
    broker: Option<NodeId>,
    partition: &TopicPartition,
) -> Result<Vec<ProducerState>, String> {
    let described = producers(admin, broker, &BTreeSet::from([partition.clone()])).await.map_err(|error| {
        let whom = format!("Failed to describe active producers for partition {partition}");
        match (error.code(), broker) {
            (Some(ErrorCode::NotLeaderOrFollower), Some(broker)) => format!("{whom} on brokerId {broker}"),
            (Some(ErrorCode::TopicAuthorizationFailed), _) => {
                format!("{whom} due to authorization failure on topic `{}`", partition.topic)
            }
            _ => told(&error, format!("{whom} due to unexpected error")),
        }
    })?;
    Ok(described.into_values().flatten().collect())
}

const TITLES: [&str; 6] = [
    "ProducerId",
    "ProducerEpoch",
    "LatestCoordinatorEpoch",
    "LastSequence",
    "LastTimestamp",
    "CurrentTransactionStartOffset",
];

pub(super) async fn describe(admin: &Admin, values: &Values, console: &mut Console) -> Result<(), Failure> {
    let (broker, partition) = (values.number("broker-id").map(NodeId), partition(values));
    let producers = of_partition(admin, broker, &partition).await.map_err(|why| {
        let whom = broker.map_or_else(|| "leader".to_owned(), |broker| format!("broker {broker}"));
        failed(&format!("Failed to describe producers for partition {partition} on {whom}"), why)
    })?;
    let row = |producer: &ProducerState| {
        [
            producer.producer_id.to_string(),
            producer.producer_epoch.to_string(),
            producer.coordinator_epoch.unwrap_or(-1).to_string(),
            producer.last_sequence.to_string(),
            producer.last_timestamp.0.to_string(),
            producer.transaction_start_offset.map_or_else(|| "None".to_owned(), |offset| offset.to_string()),
        ]
    };
    table::print(TITLES, &producers.iter().map(row).collect::<Vec<_>>(), console);
    Ok(())
}

pub(super) async fn abort(admin: &Admin, values: &Values) -> Result<(), Failure> {
    let partition = partition(values);
    let (start, producer) = (values.number("start-offset"), values.number("producer-id"));
    let transaction = match (start, producer) {
        (Some(start), _) => beginning_at(admin, &partition, Offset(start)).await?,
        (None, Some(producer)) => HangingTransaction {
            partition,
            producer_id: ProducerId(producer),
            producer_epoch: needed(values, "producer-epoch")?,
            // A producer whose transactions never ended here has -1: 0 is not greater than the epoch of any coordinator.
            coordinator_epoch: needed::<i32>(values, "coordinator-epoch")?.max(0),
        },
        (None, None) => {
            return Err(Failure(
                "The transaction to abort must be identified either with --start-offset (for brokers on 3.0 or above) \
                 or with --producer-id, --producer-epoch, and --coordinator-epoch (for older brokers)"
                    .to_owned(),
            ));
        }
    };
    admin.abort_transaction(&transaction).await.map_err(|error| not_aborted(&transaction, &error))
}

fn needed<N: std::str::FromStr>(values: &Values, name: &str) -> Result<N, Failure> {
    values.number(name).ok_or_else(|| Failure(format!("Missing required argument --{name}")))
}

async fn beginning_at(admin: &Admin, partition: &TopicPartition, start: Offset) -> Result<HangingTransaction, Failure> {
    let producers = of_partition(admin, None, partition).await;
    let producers = producers
        .map_err(|why| failed(&format!("Failed to validate producer state for partition {partition}"), why))?;
    let mut begun = producers.iter().filter(|producer| producer.transaction_start_offset == Some(start));
    let producer = begun.next().ok_or_else(|| {
        Failure(format!("Could not find any open transactions starting at offset {start} on partition {partition}"))
    })?;
    Ok(HangingTransaction {
        partition: partition.clone(),
        producer_id: producer.producer_id,
        // The request has the epoch in 16 bits, as it is everywhere but in the answer that it comes from.
        producer_epoch: i16::try_from(producer.producer_epoch).unwrap_or(i16::MAX),
        coordinator_epoch: producer.coordinator_epoch.unwrap_or_default(),
    })
}

fn not_aborted(transaction: &HangingTransaction, error: &ClientError) -> Failure {
    let HangingTransaction { partition, producer_id, producer_epoch, coordinator_epoch } = transaction;
    let whom = format!(
        "AbortTransactionSpec(topicPartition={partition}, producerId={producer_id}, producerEpoch={producer_epoch}, \
         coordinatorEpoch={coordinator_epoch})"
    );
    let request = format!("WriteTxnMarkers request with {whom} failed");
    let why = match error.code() {
        Some(ErrorCode::ClusterAuthorizationFailed) => format!("{request} due to cluster authorization error"),
        Some(ErrorCode::InvalidProducerEpoch) => format!("{request} due an invalid producer epoch"),
        Some(ErrorCode::TransactionCoordinatorFenced) => format!(
            "{request} since the provided coordinator epoch {coordinator_epoch} has been fenced by the active coordinator"
        ),
        Some(_) => format!("{request} due to unexpected error: {error}"),
        None => error.to_string(),
    };
    failed(&format!("Failed to abort transaction {whom}"), why)
}
