//! `kafka-e2e-latency`: how long a record takes from a producer to a consumer.

use crate::connection::{add_properties, admin, block_on_threads, consumer, load_properties, producer};
use crate::console::Console;
use crate::failure::{Stop, help_or_version, require};
use crate::java::{self, decimal};
use crate::java_random::Random;
use crate::options::{Opt, Options, Parsed};
use bytes::Bytes;
use ottla_client::{Consumer, ConsumerRecord, Header, NewTopic, OffsetSpec, Producer, ProducerRecord};
use ottla_types::TopicPartition;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

const OPTIONS: Options = Options {
    about: "This tool measures end-to-end latency in Kafka by sending messages and timing their reception.",
    table: &[
        Opt::text("bootstrap-server", "bootstrap-server", "REQUIRED: Servers of the cluster, HOST1:PORT1,HOST2:PORT2."),
        Opt::text("topic", "topic-name", "REQUIRED: The topic; it is made when it is not there."),
        Opt::integer("num-records", "count", "REQUIRED: How many records to send."),
        Opt::text("producer-acks", "producer-acks", "REQUIRED: When a record counts as sent, 1 or all."),
        Opt::integer("record-size", "bytes", "REQUIRED: How many bytes a value has."),
        Opt::optional_integer("record-key-size", "bytes", "How many bytes a key has; without it there are no keys.")
            .with_default("0"),
        Opt::optional_integer("record-header-key-size", "bytes", "How many bytes a header's key has.")
            .with_default("0"),
        Opt::optional_integer("record-header-size", "bytes", "How many bytes a header's value has; -1: null.")
            .with_default("0"),
        Opt::optional_integer("num-headers", "count", "How many headers a record has.").with_default("0"),
        Opt::optional("command-config", "config-file", "A file of settings of producer, consumer and admin client."),
    ],
};

const REQUIRED: [&str; 5] = ["bootstrap-server", "topic", "num-records", "producer-acks", "record-size"];
/// How long a record is waited for.
const POLL: Duration = Duration::from_secs(60);
/// Partitions of a topic that are asked for at once.
const PARTITIONS_AT_ONCE: i32 = 2_000;
/// Of so many records one is told of.
const TOLD: usize = 1_000;

/// Runs the tool.
pub(crate) fn run(arguments: &[String], console: &mut Console) -> i32 {
    match named(arguments, console).and_then(|arguments| work(&arguments, console)) {
        Ok(()) => 0,
        Err(stop) => stop.tell(&OPTIONS, console),
    }
}

/// Gives names to arguments that are told by their places alone, as they once were.
fn named(arguments: &[String], console: &mut Console) -> Result<Vec<String>, Stop> {
    let has_name = |name: &&str| arguments.iter().any(|argument| argument.strip_prefix("--") == Some(name));
    if arguments.is_empty() || REQUIRED.iter().any(has_name) {
        return Ok(arguments.to_vec());
    }
    let count = arguments.len();
    if !(5..=6).contains(&count) {
        return Err(Stop::Message(format!(
            "Invalid number of arguments. Expected 5 or 6 positional arguments, but got {count}. Usage: bootstrap-server topic num-records producer-acks record-size [optional] command-config"
        )));
    }
    console.line("WARNING: Positional argument usage is deprecated and will be removed in Apache Kafka 5.0. Please use named arguments instead: --bootstrap-server, --topic, --num-records, --producer-acks, --record-size, --command-config");
    let names = REQUIRED.iter().chain(&["command-config"]);
    Ok(names.zip(arguments).flat_map(|(name, value)| [format!("--{name}"), value.clone()]).collect())
}

/// How large the parts of a record are.
struct Sizes {
    value: usize,
    key: usize,
    headers: usize,
    header_key: usize,
    /// `None`: null.
    header_value: Option<usize>,
}

fn check(parsed: &Parsed, console: &mut Console) -> Result<(u64, Sizes), Stop> {
    help_or_version(&OPTIONS, parsed, console)?;
    REQUIRED.iter().try_for_each(|name| require(parsed, name))?;
    let acks = parsed.value("producer-acks")?.unwrap_or_default();
    if acks != "1" && acks != "all" {
        return Err(Stop::Usage(
            "Invalid value for --producer-acks. Latency testing requires synchronous acknowledgement. Please use '1' or 'all'."
                .to_owned(),
        ));
    }
    let number = |name: &str, least: i64, rule: &str| -> Result<i64, Stop> {
        let number = parsed.number(name)?.unwrap_or_default();
        if number >= least { Ok(number) } else { Err(Stop::Usage(format!("Value for --{name} must be a {rule}."))) }
    };
    let size =
        |name: &str| number(name, 0, "non-negative integer").map(|size| usize::try_from(size).unwrap_or_default());
    let records = number("num-records", 1, "positive integer")?.unsigned_abs();
    let (value, key, header_key) = (size("record-size")?, size("record-key-size")?, size("record-header-key-size")?);
    let header_value = number("record-header-size", -1, "non-negative integer or -1 for null header value")?;
    let header_value = usize::try_from(header_value).ok();
    Ok((records, Sizes { value, key, headers: size("num-headers")?, header_key, header_value }))
}

fn work(arguments: &[String], console: &mut Console) -> Result<(), Stop> {
    let parsed = OPTIONS.parse(arguments).map_err(|error| Stop::Usage(error.to_string()))?;
    let (records, sizes) = check(&parsed, console)?;
    let setup = Setup::new(&parsed)?;
    let done = block_on_threads(measure(&setup, records, &sizes, console));
    match done.map_err(|error| Stop::Message(error.to_string()))? {
        Ok(()) => Ok(()),
        Err(exception) => {
            let message = exception.split_once(": ").map_or(exception.as_str(), |(_, message)| message);
            Err(Stop::Message(format!("{message}\n{exception}")))
        }
    }
}

/// Where to send to, and how.
struct Setup {
    topic: String,
    servers: String,
    file: Option<String>,
    producer: BTreeMap<String, String>,
    consumer: BTreeMap<String, String>,
}

impl Setup {
    fn new(parsed: &Parsed) -> Result<Self, Stop> {
        let text = |name| Ok::<_, Stop>(parsed.value(name)?.unwrap_or_default());
        let (topic, servers) = (text("topic")?, text("bootstrap-server")?);
        let file = parsed.value("command-config")?;
        let mut common = BTreeMap::new();
        if let Some(path) = &file {
            add_properties(&mut common, path)
                .map_err(|path| Stop::Message(format!("{path}\njava.nio.file.NoSuchFileException: {path}")))?;
        }
        common.insert("bootstrap.servers".to_owned(), servers.clone());
        let with = |settings: &[(&str, &str)]| {
            let mut all = common.clone();
            all.extend(settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
            all
        };
        let group = format!("test-group-{}", java::now_ms());
        let consumer = with(&[
            ("group.id", &group),
            ("enable.auto.commit", "false"),
            ("auto.offset.reset", "latest"),
            // Nothing waits for more to come.
            ("fetch.max.wait.ms", "0"),
        ]);
        let producer = with(&[("linger.ms", "0"), ("acks", &text("producer-acks")?)]);
        Ok(Self { topic, servers, file, producer, consumer })
    }
}

async fn measure(setup: &Setup, records: u64, sizes: &Sizes, console: &mut Console) -> Result<(), String> {
    let mut consumer = consumer(&setup.consumer)?;
    let producer = producer(&setup.producer)?;
    let partitions = partitions(setup, console).await?;
    begin(&mut consumer, partitions).await?;
    let mut random = Random::new(0);
    let mut latencies = Vec::new();
    let mut total = Duration::ZERO;
    for number in 0..usize::try_from(records).unwrap_or(usize::MAX) {
        let record = record(setup, sizes, &mut random);
        let latency = round_trip(&mut consumer, &producer, record).await?;
        if number % TOLD == 0 {
            console.line(&format!("{number}\t{:?}", latency.as_nanos() as f64 / 1_000.0 / 1_000.0));
            console.flush();
        }
        console.progress(&format!("{number} of {records} records"));
        total += latency;
        latencies.push(latency.as_millis());
    }
    latencies.sort_unstable();
    let percentile = |share: f64| {
        let index = (latencies.len() as f64 * share) as usize;
        latencies.get(index).copied().unwrap_or_default()
    };
    let average = total.as_nanos() as f64 / records as f64 / 1_000.0 / 1_000.0;
    console.line(&format!("Avg latency: {} ms", decimal(average, 4)));
    let (half, nearly_all, all) = (percentile(0.5), percentile(0.99), percentile(0.999));
    console.line(&format!("Percentiles: 50th = {half}, 99th = {nearly_all}, 99.9th = {all}"));
    let _ = consumer.commit().await;
    producer.close().await;
    let _ = consumer.close().await;
    Ok(())
}

/// The topic's partitions; it is made where it is not there.
async fn partitions(setup: &Setup, console: &mut Console) -> Result<Vec<TopicPartition>, String> {
    let told = |error: ottla_client::ClientError| java::exception(&error);
    let properties = setup.file.as_deref().map(load_properties).transpose()?;
    let admin = admin(&setup.servers, properties.as_ref(), None).map_err(told)?;
    let topic = &setup.topic;
    if !admin.list_topics().await.map_err(told)?.contains_key(topic) {
        console.line(&format!(
            "Topic \"{topic}\" does not exist. Will create topic with 1 partition(s) and replication factor = 1"
        ));
        let new =
            NewTopic { name: topic.clone(), partitions: Some(1), replication_factor: Some(1), ..Default::default() };
        for (_, result) in admin.create_topics(&[new], false).await.map_err(told)? {
            result.map_err(told)?;
        }
    }
    let described = admin.describe_topics(&BTreeSet::from([topic.clone()]), PARTITIONS_AT_ONCE).await.map_err(told)?;
    let mut partitions = Vec::new();
    for (_, described) in described {
        let described = described.map_err(told)?;
        let indexes = described.partitions.iter().map(|partition| partition.index);
        partitions.extend(indexes.map(|index| TopicPartition::new(topic.as_str(), index)));
    }
    Ok(partitions)
}

/// Begins to read at the end of all partitions.
async fn begin(consumer: &mut Consumer, partitions: Vec<TopicPartition>) -> Result<(), String> {
    let told = |error: ottla_client::ClientError| java::exception(&error);
    let ends = partitions.iter().map(|partition| (partition.clone(), OffsetSpec::Latest)).collect();
    let ends = consumer.list_offsets(&ends).await.map_err(told)?;
    consumer.assign(partitions);
    for (partition, end) in ends {
        let end = end.map_err(told)?;
        consumer.seek(&partition, end.offset).map_err(told)?;
    }
    Ok(())
}

fn record(setup: &Setup, sizes: &Sizes, random: &mut Random) -> ProducerRecord {
    let mut letters = |count: usize| -> Bytes { (0..count).map(|_| b'A' + random.below(26) as u8).collect() };
    let mut record = ProducerRecord::new(setup.topic.as_str());
    record.value = Some(letters(sizes.value));
    record.key = (sizes.key > 0).then(|| letters(sizes.key));
    for _ in 0..sizes.headers {
        let key = String::from_utf8_lossy(&letters(sizes.header_key)).into_owned();
        record.headers.push(Header { key, value: sizes.header_value.map(&mut letters) });
    }
    record
}

/// Sends a record and waits for it at the other end.
async fn round_trip(consumer: &mut Consumer, producer: &Producer, record: ProducerRecord) -> Result<Duration, String> {
    let told = |error: ottla_client::ClientError| java::exception(&error);
    let started = Instant::now();
    let sent = record.clone();
    producer.send(record).await.map_err(told)?.await.map_err(told)?;
    let records = consumer.poll(POLL).await.map_err(told)?;
    let latency = started.elapsed();
    match same(&sent, &records) {
        Ok(()) => Ok(latency),
        Err(difference) => {
            // What was read counts as read, so that it does not disturb the next run.
            let _ = consumer.commit().await;
            Err(format!("java.lang.RuntimeException: {difference}"))
        }
    }
}

/// Whether exactly the record came back that was sent.
fn same(sent: &ProducerRecord, records: &[ConsumerRecord]) -> Result<(), String> {
    let Some(first) = records.first() else {
        return Err(format!("poll() timed out before finding a result (timeout:[{}ms])", POLL.as_millis()));
    };
    let text = |bytes: &Option<Bytes>| crate::java_text::text(bytes.as_deref().unwrap_or_default());
    for (name, sent, read) in [("value", &sent.value, &first.value), ("key", &sent.key, &first.key)] {
        if sent != read {
            let (sent, read) = (text(sent), text(read));
            return Err(format!("The message {name} read [{read}] did not match the message {name} sent [{sent}]"));
        }
    }
    if sent.headers != first.headers {
        return Err("The headers read did not match the headers sent".to_owned());
    }
    if records.len() != 1 {
        return Err(format!("Only one result was expected during this test. We found [{}]", records.len()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(line: &str) -> Result<Vec<String>, Stop> {
        let arguments: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        named(&arguments, &mut Console::new(Box::new(std::io::sink()), Box::new(std::io::sink())))
    }

    #[test]
    fn arguments_without_names_are_told_by_their_places() {
        let expected = "--bootstrap-server s --topic t --num-records 1 --producer-acks all --record-size 2";
        assert_eq!(names("s t 1 all 2").unwrap().join(" "), expected);
        assert_eq!(names("s t 1 all 2 f").unwrap().join(" "), format!("{expected} --command-config f"));
        assert_eq!(names(expected).unwrap().join(" "), expected);
        assert!(names("s t 1").is_err() && names("").unwrap().is_empty());
    }
}
