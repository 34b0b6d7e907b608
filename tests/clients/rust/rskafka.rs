//! The adapter for rskafka: `rskafka BOOTSTRAP`.

#[path = "line.rs"]
mod line;

use line::{Client, Refusal, Sent, record_out, records_in, serve, text, version};
use rskafka::chrono::DateTime;
use rskafka::client::error::{Error, ProtocolError};
use rskafka::client::partition::{Compression, OffsetAt, PartitionClient, UnknownTopicHandling};
use rskafka::client::{Client as Rskafka, ClientBuilder};
use rskafka::record::Record;
use serde_json::{Value, json};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::runtime::{Builder, Runtime};

/// How long the server may take to do something.
const PATIENCE_MS: i32 = 60_000;

/// As much as one fetch asks for.
const FETCH_BYTES_MAX: i32 = 50 << 20;

/// How long a fetch of the library waits for a record.
const WAIT_MS: i32 = 200;

struct Adapter {
    runtime: Runtime,
    client: Rskafka,
}

fn main() -> Result<(), Refusal> {
    let bootstrap = std::env::args().nth(1).ok_or("rskafka BOOTSTRAP")?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let client = runtime.block_on(ClientBuilder::new(vec![bootstrap]).build())?;
    serve(&mut Adapter { runtime, client })
}

impl Client for Adapter {
    fn hello(&self) -> Value {
        let (no_groups, no_producer_id, no_configs) =
            ("has no consumer groups", "has no producer ids", "has no requests for configurations");
        json!({"client": "rskafka", "version": version("rskafka"), "lacks": {
            "topics": "has no request for more partitions",
            "repeated-headers": "a record's headers are a map",
            "null-headers": "the values of headers are not optional",
            "idempotent": no_producer_id, "transactions": no_producer_id,
            "fencing": no_producer_id, "exactly-once": no_producer_id,
            "group-eager": no_groups, "group-cooperative": no_groups, "group-uniform": no_groups,
            "group-range": no_groups, "static-member": no_groups, "group-admin": no_groups, "group-delete": no_groups,
            "configs": no_configs,
        }})
    }

    fn work(&mut self, command: &Value) -> Result<Value, Refusal> {
        let topic = text(&command["topic"]);
        match command["op"].as_str().unwrap_or_default() {
            "create_topic" => {
                let partitions = i32::try_from(command["partitions"].as_i64().unwrap_or_default())?;
                let controller = self.client.controller_client()?;
                self.runtime.block_on(controller.create_topic(topic, partitions, 1, PATIENCE_MS))?;
            }
            "delete_topic" => {
                let controller = self.client.controller_client()?;
                self.runtime.block_on(controller.delete_topic(topic, PATIENCE_MS))?;
            }
            "partitions" => {
                let topics = self.runtime.block_on(self.client.list_topics())?;
                let found = topics.iter().find(|listed| listed.name == topic);
                return Ok(json!({"partitions": found.map_or(0, |listed| listed.partitions.len())}));
            }
            "produce" => self.produce(command)?,
            "fetch" => return self.fetch(command),
            "offsets" => return self.offsets(command),
            "delete_records" => {
                let partition = self.partition(command)?;
                let offset = command["offset"].as_i64().unwrap_or_default();
                self.runtime.block_on(partition.delete_records(offset, PATIENCE_MS))?;
            }
            other => return Err(format!("rskafka has no way to do {other}").into()),
        }
        Ok(Value::Null)
    }

    fn kind(&self, refusal: &Refusal) -> Option<&'static str> {
        match refusal.downcast_ref::<Error>() {
            Some(Error::ServerError { protocol_error: ProtocolError::TopicAlreadyExists, .. }) => Some("exists"),
            Some(Error::ServerError { protocol_error: ProtocolError::UnknownTopicOrPartition, .. }) => {
                Some("unknown_topic")
            }
            _ => None,
        }
    }
}

impl Adapter {
    fn partition(&self, command: &Value) -> Result<PartitionClient, Refusal> {
        let number = command["partition"].as_i64().ok_or("the library does not choose partitions")?;
        let client =
            self.client.partition_client(text(&command["topic"]), i32::try_from(number)?, UnknownTopicHandling::Retry);
        Ok(self.runtime.block_on(client)?)
    }

    fn produce(&self, command: &Value) -> Result<(), Refusal> {
        let codec = match command["codec"].as_str().unwrap_or_default() {
            "gzip" => Compression::Gzip,
            "snappy" => Compression::Snappy,
            "lz4" => Compression::Lz4,
            "zstd" => Compression::Zstd,
            _ => Compression::NoCompression,
        };
        let records = records_in(command).into_iter().map(record).collect::<Option<Vec<_>>>();
        let records = records.ok_or("a header without a value, or a time out of bounds")?;
        self.runtime.block_on(self.partition(command)?.produce(records, codec))?;
        Ok(())
    }

    fn fetch(&self, command: &Value) -> Result<Value, Refusal> {
        let partition = self.partition(command)?;
        let count = usize::try_from(command["count"].as_u64().unwrap_or_default())?;
        let patience = Duration::from_millis(command["ms"].as_u64().unwrap_or_default());
        let mut next = command["offset"].as_i64().unwrap_or_default();
        let mut records = Vec::new();
        let mut end = Instant::now() + patience;
        while records.len() < count && Instant::now() < end {
            let fetched = partition.fetch_records(next, 1..FETCH_BYTES_MAX, WAIT_MS);
            let (fetched, _) = self.runtime.block_on(fetched)?;
            // A server gives whole batches: the first one may begin before the offset.
            for got in fetched.iter().filter(|got| got.offset >= next).take(count - records.len()) {
                let headers: Vec<_> =
                    got.record.headers.iter().map(|(name, value)| (name.as_str(), Some(value.as_slice()))).collect();
                let place = (partition.partition(), got.offset, got.record.timestamp.timestamp_millis());
                records.push(record_out(place, [got.record.key.as_deref(), got.record.value.as_deref()], &headers));
                end = Instant::now() + patience;
            }
            next = fetched.last().map_or(next, |last| last.offset + 1);
        }
        Ok(json!({"records": records}))
    }

    fn offsets(&self, command: &Value) -> Result<Value, Refusal> {
        let partition = self.partition(command)?;
        let offset = |at| self.runtime.block_on(partition.get_offset(at));
        let at = match command["timestamp"].as_i64() {
            None => None,
            // The library gives -1 where no record is as late.
            Some(ms) => {
                let time = DateTime::from_timestamp_millis(ms).ok_or("a time out of bounds")?;
                Some(offset(OffsetAt::Timestamp(time))?).filter(|offset| *offset >= 0)
            }
        };
        Ok(json!({"earliest": offset(OffsetAt::Earliest)?, "latest": offset(OffsetAt::Latest)?, "at": at}))
    }
}

/// The library does not fill in the time of a record.
fn now_ms() -> Option<i64> {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
}

/// `None` for what the library's records can't hold.
fn record(sent: Sent) -> Option<Record> {
    Some(Record {
        key: sent.key,
        value: sent.value,
        headers: sent.headers.into_iter().map(|(name, value)| Some((name, value?))).collect::<Option<_>>()?,
        timestamp: DateTime::from_timestamp_millis(sent.timestamp.or_else(now_ms)?)?,
    })
}
