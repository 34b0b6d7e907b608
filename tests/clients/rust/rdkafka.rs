//! The adapter for the `rdkafka` crate, which is librdkafka for Rust: `rdkafka BOOTSTRAP`.

#[path = "line.rs"]
mod line;

use line::{Client, Refusal, record_out, records_in, serve, text, version};
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{BorrowedMessage, Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};

const PATIENCE: Duration = Duration::from_secs(60);

struct Adapter {
    bootstrap: String,
    runtime: Runtime,
    admin: AdminClient<DefaultClientContext>,
    member: Option<BaseConsumer>,
    transactional: Option<FutureProducer>,
}

fn main() -> Result<(), Refusal> {
    let bootstrap = std::env::args().nth(1).ok_or("rdkafka BOOTSTRAP")?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let admin = ClientConfig::new().set("bootstrap.servers", &bootstrap).create()?;
    serve(&mut Adapter { bootstrap, runtime, admin, member: None, transactional: None })
}

impl Client for Adapter {
    fn hello(&self) -> Value {
        let told = format!("{} on librdkafka {}", version("rdkafka"), rdkafka::util::get_rdkafka_version().1);
        json!({"client": "rdkafka (Rust)", "version": told, "lacks": {
            "configs": "does not tell that a change was refused",
        }})
    }

    fn work(&mut self, command: &Value) -> Result<Value, Refusal> {
        match command["op"].as_str().unwrap_or_default() {
            "create_topic" => self.create_topic(command)?,
            "grow_topic" => self.grow_topic(command)?,
            "delete_topic" => self.delete_topic(command)?,
            "partitions" => return self.partitions(command),
            "produce" => self.produce(command)?,
            "fetch" => return self.fetch(command),
            "offsets" => return self.offsets(command),
            "subscribe" => self.subscribe(command)?,
            "poll" => return self.poll(command),
            "commit" => return Ok(json!({"committed": commit(self.member()?)})),
            "leave" => {
                commit(self.member()?);
                self.member = None;
            }
            "committed" => return self.committed(command),
            "list_groups" => {
                let groups = self.consumer(&[])?.fetch_group_list(None, PATIENCE)?;
                return Ok(json!({"groups": groups.groups().iter().map(|group| group.name()).collect::<Vec<_>>()}));
            }
            "describe_group" => return self.describe_group(command),
            "delete_group" => {
                let group = text(&command["group"]);
                let deleted = self.runtime.block_on(self.admin.delete_groups(&[&group], &AdminOptions::new()))?;
                first(deleted)?;
            }
            "delete_records" => {
                let before = partition(command, Offset::Offset(number(&command["offset"])))?;
                let deleted = self.runtime.block_on(self.admin.delete_records(&before, &AdminOptions::new()))?;
                deleted.elements().iter().try_for_each(|element| element.error())?;
            }
            "init_transactions" => {
                let id = text(&command["transactional_id"]);
                let producer: FutureProducer = self.config(&[("transactional.id", &id)]).create()?;
                producer.init_transactions(PATIENCE)?;
                self.transactional = Some(producer);
            }
            "begin" => self.transactional()?.begin_transaction()?,
            "send" => self.send(self.transactional()?, command)?,
            "send_offsets" => self.send_offsets(command)?,
            "end" if command["commit"] == true => self.transactional()?.commit_transaction(PATIENCE)?,
            "end" => self.transactional()?.abort_transaction(PATIENCE)?,
            other => return Err(format!("the adapter does not know {other}").into()),
        }
        Ok(Value::Null)
    }

    fn kind(&self, refusal: &Refusal) -> Option<&'static str> {
        let code = match refusal.downcast_ref::<KafkaError>()? {
            KafkaError::AdminOp(code) => *code,
            error => error.rdkafka_error_code()?,
        };
        match code {
            Code::Fenced | Code::InvalidProducerEpoch | Code::ProducerFenced => Some("fenced"),
            Code::TopicAlreadyExists => Some("exists"),
            Code::UnknownTopic | Code::UnknownTopicOrPartition => Some("unknown_topic"),
            Code::InvalidConfig => Some("invalid_config"),
            Code::NonEmptyGroup => Some("not_empty"),
            _ => None,
        }
    }
}

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or_default()
}

/// The partition of a command, at an offset.
fn partition(command: &Value, offset: Offset) -> Result<TopicPartitionList, Refusal> {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&text(&command["topic"]), i32::try_from(number(&command["partition"]))?, offset)?;
    Ok(list)
}

/// The result of an admin call for one thing.
fn first<T, N>(results: Vec<Result<T, (N, Code)>>) -> Result<T, Refusal> {
    let result = results.into_iter().next().ok_or("no result")?;
    Ok(result.map_err(|(_, code)| KafkaError::AdminOp(code))?)
}

/// Whether everything is committed. A commit that meets a rebalance is lost.
fn commit(member: &BaseConsumer) -> bool {
    let committed = member.commit_consumer_state(CommitMode::Sync);
    matches!(committed, Ok(()) | Err(KafkaError::ConsumerCommit(Code::NoOffset)))
}

fn received(message: &BorrowedMessage<'_>) -> Value {
    let headers: Vec<_> = message
        .headers()
        .map_or(Vec::new(), |headers| headers.iter().map(|header| (header.key, header.value)).collect());
    let place = (message.partition(), message.offset(), message.timestamp().to_millis().unwrap_or(-1));
    record_out(place, [message.key(), message.payload()], &headers)
}

impl Adapter {
    fn config(&self, settings: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap);
        for (name, value) in settings {
            config.set(*name, *value);
        }
        config
    }

    fn consumer(&self, settings: &[(&str, &str)]) -> Result<BaseConsumer, Refusal> {
        let mut config = self.config(&[("group.id", "asking"), ("enable.auto.commit", "false")]);
        for (name, value) in settings {
            config.set(*name, *value);
        }
        Ok(config.create()?)
    }

    fn member(&self) -> Result<&BaseConsumer, Refusal> {
        Ok(self.member.as_ref().ok_or("not subscribed")?)
    }

    fn transactional(&self) -> Result<&FutureProducer, Refusal> {
        Ok(self.transactional.as_ref().ok_or("no transactional producer")?)
    }

    fn create_topic(&self, command: &Value) -> Result<(), Refusal> {
        let topic = text(&command["topic"]);
        let configs = command["configs"].as_object().cloned().unwrap_or_default();
        let partitions = i32::try_from(number(&command["partitions"]))?;
        let new =
            configs.iter().fold(NewTopic::new(&topic, partitions, TopicReplication::Fixed(1)), |new, (name, value)| {
                new.set(name, value.as_str().unwrap_or_default())
            });
        first(self.runtime.block_on(self.admin.create_topics([&new], &AdminOptions::new()))?)?;
        Ok(())
    }

    fn grow_topic(&self, command: &Value) -> Result<(), Refusal> {
        let topic = text(&command["topic"]);
        let grow = NewPartitions::new(&topic, usize::try_from(number(&command["partitions"]))?);
        first(self.runtime.block_on(self.admin.create_partitions([&grow], &AdminOptions::new()))?)?;
        Ok(())
    }

    fn delete_topic(&self, command: &Value) -> Result<(), Refusal> {
        let topic = text(&command["topic"]);
        first(self.runtime.block_on(self.admin.delete_topics(&[&topic], &AdminOptions::new()))?)?;
        Ok(())
    }

    fn partitions(&self, command: &Value) -> Result<Value, Refusal> {
        // All topics are asked for: to ask for one by its name may create it.
        let metadata = self.admin.inner().fetch_metadata(None, PATIENCE)?;
        let found = metadata.topics().iter().find(|topic| command["topic"] == topic.name());
        Ok(json!({"partitions": found.map_or(0, |topic| topic.partitions().len())}))
    }

    fn produce(&self, command: &Value) -> Result<(), Refusal> {
        let idempotent = if command["idempotent"] == true { "true" } else { "false" };
        let codec = text(&command["codec"]);
        let settings = [
            ("compression.type", codec.as_str()),
            ("enable.idempotence", idempotent),
            ("message.max.bytes", "2000000"),
            ("linger.ms", "5"),
        ];
        self.send(&self.config(&settings).create()?, command)
    }

    fn send(&self, producer: &FutureProducer, command: &Value) -> Result<(), Refusal> {
        let topic = text(&command["topic"]);
        let mut deliveries = Vec::new();
        for sent in records_in(command) {
            let headers = sent.headers.iter().fold(OwnedHeaders::new(), |headers, (name, value)| {
                headers.insert(Header { key: name, value: value.as_ref() })
            });
            let mut record: FutureRecord<'_, Vec<u8>, Vec<u8>> = FutureRecord::to(&topic).headers(headers);
            record.key = sent.key.as_ref();
            record.payload = sent.value.as_ref();
            record.timestamp = sent.timestamp;
            record.partition = command["partition"].as_i64().map(i32::try_from).transpose()?;
            deliveries.push(producer.send_result(record).map_err(|(error, _)| error)?);
        }
        for delivery in deliveries {
            self.runtime.block_on(delivery)?.map_err(|(error, _)| error)?;
        }
        Ok(())
    }

    fn fetch(&self, command: &Value) -> Result<Value, Refusal> {
        let isolation = if command["committed"] == true { "read_committed" } else { "read_uncommitted" };
        let consumer = self.consumer(&[("group.id", "reader"), ("isolation.level", isolation)])?;
        consumer.assign(&partition(command, Offset::Offset(number(&command["offset"])))?)?;
        let count = usize::try_from(number(&command["count"]))?;
        let patience = Duration::from_millis(command["ms"].as_u64().unwrap_or_default());
        let mut records = Vec::new();
        while records.len() < count
            && let Some(message) = consumer.poll(patience)
        {
            records.push(received(&message?));
        }
        Ok(json!({"records": records}))
    }

    fn offsets(&self, command: &Value) -> Result<Value, Refusal> {
        let consumer = self.consumer(&[])?;
        let number_of_partition = i32::try_from(number(&command["partition"]))?;
        let (earliest, latest) = consumer.fetch_watermarks(&text(&command["topic"]), number_of_partition, PATIENCE)?;
        let at = match command["timestamp"].as_i64() {
            None => None,
            Some(ms) => {
                let found = consumer.offsets_for_times(partition(command, Offset::Offset(ms))?, PATIENCE)?;
                // Where no record is as late, the library gives the end of the partition.
                found
                    .elements()
                    .first()
                    .and_then(|element| element.offset().to_raw())
                    .filter(|at| (0..latest).contains(at))
            }
        };
        Ok(json!({"earliest": earliest, "latest": latest, "at": at}))
    }

    fn subscribe(&mut self, command: &Value) -> Result<(), Refusal> {
        let (group, instance, strategy) =
            (text(&command["group"]), text(&command["instance"]), text(&command["strategy"]));
        let mut settings = vec![("group.id", group.as_str()), ("auto.offset.reset", "earliest")];
        let assignor = match strategy.as_str() {
            "eager" => "range",
            "cooperative" => "cooperative-sticky",
            // One of the server's (KIP-848), which tells a member how often it wants to hear of it.
            _ => "",
        };
        if assignor.is_empty() {
            settings.extend([("group.protocol", "consumer"), ("group.remote.assignor", strategy.as_str())]);
        } else {
            settings.extend([("session.timeout.ms", "10000"), ("heartbeat.interval.ms", "300")]);
            settings.push(("partition.assignment.strategy", assignor));
        }
        if !instance.is_empty() {
            settings.push(("group.instance.id", &instance));
        }
        let member = self.consumer(&settings)?;
        member.subscribe(&[&text(&command["topic"])])?;
        self.member = Some(member);
        Ok(())
    }

    fn poll(&self, command: &Value) -> Result<Value, Refusal> {
        let member = self.member()?;
        let end = Instant::now() + Duration::from_millis(command["ms"].as_u64().unwrap_or_default());
        let mut records = Vec::new();
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            if let Some(message) = member.poll(left) {
                records.push(received(&message?));
            }
        }
        let assigned: Vec<i32> = member.assignment()?.elements().iter().map(|element| element.partition()).collect();
        Ok(json!({"records": records, "assigned": assigned}))
    }

    fn committed(&self, command: &Value) -> Result<Value, Refusal> {
        let consumer = self.consumer(&[("group.id", &text(&command["group"]))])?;
        let committed = consumer.committed_offsets(partition(command, Offset::Invalid)?, PATIENCE)?;
        let offset = committed.elements().first().and_then(|element| element.offset().to_raw());
        Ok(json!({"offset": offset.filter(|offset| *offset >= 0)}))
    }

    fn describe_group(&self, command: &Value) -> Result<Value, Refusal> {
        let list = self.consumer(&[])?.fetch_group_list(Some(&text(&command["group"])), PATIENCE)?;
        let group = list.groups().first().ok_or("no such group")?;
        Ok(json!({"state": group.state(), "members": group.members().len()}))
    }

    fn send_offsets(&self, command: &Value) -> Result<(), Refusal> {
        // Its metadata is that of somebody who commits without being a member.
        let consumer = self.consumer(&[("group.id", &text(&command["group"]))])?;
        let metadata = consumer.group_metadata().ok_or("a consumer without a group")?;
        let offsets = partition(command, Offset::Offset(number(&command["offset"])))?;
        Ok(self.transactional()?.send_offsets_to_transaction(&offsets, &metadata, PATIENCE)?)
    }
}
