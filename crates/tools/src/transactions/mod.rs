//! `kafka-transactions`: transactional ids and producers, and transactions that hang.

mod arguments;
mod hanging;
mod producers;

use crate::argparse::Values;
use crate::connection::{admin, block_on, load_properties};
use crate::console::Console;
use crate::java::{Sized, hash_order, now_ms, partition_hash};
use crate::subcommands::{Failure, Tool};
use crate::table;
use ottla_client::{Admin, ClientError, ErrorCode, TransactionFilter};

/// Runs the tool. Asked for help it ends as if that were a mistake, like Kafka's.
pub(crate) fn run(arguments: &[String], console: &mut Console) -> i32 {
    let tool = Tool { name: "kafka-transactions.sh", parser: arguments::PARSER, help_code: 1 };
    tool.run(arguments, console, |command, values, console| work(command, values, console).map(|()| 0))
}

fn work(command: &str, values: &Values, console: &mut Console) -> Result<(), Failure> {
    let path = values.one("command-config");
    let properties = path.map(load_properties).transpose();
    let properties = properties.map_err(|error| failed("Failed to load admin client properties", error))?;
    let admin = admin(values.one("bootstrap-server").unwrap_or_default(), properties.as_ref(), None)?;
    match command {
        "list" => block_on(list(&admin, values, console))?,
        "describe" => block_on(describe(&admin, values.one("transactional-id").unwrap_or_default(), console))?,
        "describe-producers" => block_on(producers::describe(&admin, values, console))?,
        "abort" => block_on(producers::abort(&admin, values))?,
        "find-hanging" => block_on(hanging::find(&admin, values, console))?,
        _ => block_on(terminate(&admin, values.one("transactionalId").unwrap_or_default()))?,
    }
}

/// What could not be done, and why, as this tool always tells it.
fn failed(what: &str, why: impl std::fmt::Display) -> Failure {
    Failure(format!("{what}: {why}. Enable debug logging for additional detail."))
}

async fn list(admin: &Admin, values: &Values, console: &mut Console) -> Result<(), Failure> {
    let filter = TransactionFilter {
        open_for_ms: values.number("duration-filter"),
        id_pattern: values.one("transactional-id-pattern").map(str::to_owned),
        ..Default::default()
    };
    let what = "Failed to list transactions";
    let brokers = admin.list_transactions(&filter).await.map_err(|error| failed(what, error))?;
    let mut rows = Vec::new();
    for (broker, listings) in brokers {
        let unexpected =
            format!("ListTransactions request sent to broker {broker} failed with an unexpected exception");
        for listing in listings.map_err(|error| failed(what, told(&error, unexpected)))? {
            let (id, producer) = (listing.transactional_id, listing.producer_id.to_string());
            rows.push([id, broker.to_string(), producer, listing.state.to_string()]);
        }
    }
    table::print(["TransactionalId", "Coordinator", "ProducerId", "TransactionState"], &rows, console);
    Ok(())
}

/// Kafka's client has its own words where the server answered with a code that it did not expect.
fn told(error: &ClientError, unexpected: String) -> String {
    if error.code().is_some() { unexpected } else { error.to_string() }
}

const DESCRIPTION: [&str; 9] = [
    "CoordinatorId",
    "TransactionalId",
    "ProducerId",
    "ProducerEpoch",
    "TransactionState",
    "TransactionTimeoutMs",
    "CurrentTransactionStartTimeMs",
    "TransactionDurationMs",
    "TopicPartitions",
];

async fn describe(admin: &Admin, id: &str, console: &mut Console) -> Result<(), Failure> {
    let described = admin.describe_transaction(id).await.map_err(|error| {
        let why = match error.code() {
            Some(ErrorCode::TransactionalIdNotFound) => "failed because the ID could not be found",
            Some(ErrorCode::TransactionalIdAuthorizationFailed) => "failed due to authorization failure",
            _ => "failed due to unexpected error",
        };
        let why = told(&error, format!("DescribeTransactions request for transactionalId `{id}` {why}"));
        failed(&format!("Failed to describe transaction state of transactional-id `{id}`"), why)
    })?;
    let started = described.started.map(|time| time.0);
    let or_none = |number: Option<i64>| number.map_or_else(|| "None".to_owned(), |number| number.to_string());
    let mut partitions = described.partitions;
    hash_order(&mut partitions, Sized::Default, partition_hash);
    let row = [
        described.coordinator.to_string(),
        id.to_owned(),
        described.producer_id.to_string(),
        described.producer_epoch.to_string(),
        described.state.to_string(),
        described.timeout_ms.to_string(),
        or_none(started),
        or_none(started.map(|time| now_ms().saturating_sub(time))),
        partitions.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
    ];
    table::print(DESCRIPTION, &[row], console);
    Ok(())
}

async fn terminate(admin: &Admin, id: &str) -> Result<(), Failure> {
    let fenced = admin.fence_producer(id).await;
    fenced.map(drop).map_err(|error| failed(&format!("Failed to force terminate transactionalId `{id}`"), error))
}
