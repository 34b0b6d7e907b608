use super::payload::{Keys, Payload, cut};
use crate::argparse::{Opt, Options, Parser, Values};
use crate::connection::add_properties;
use crate::console::Console;
use crate::java::uncaught;
use crate::subcommands::Failure;
use ottla_env::Random;
use ottla_env_os::OsRandom;
use regex::Regex;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// How long a transaction lasts of which only the id is told.
const TRANSACTION_MS: i64 = 3_000;
pub(super) const NAME: &str = "kafka-producer-perf-test";

const USAGE: &str = "usage: kafka-producer-perf-test
       [-h] [--bootstrap-server BOOTSTRAP-SERVER] --topic TOPIC
       --num-records NUM-RECORDS [--payload-delimiter PAYLOAD-DELIMITER]
       --throughput THROUGHPUT
       [--producer-props PROP-NAME=PROP-VALUE [PROP-NAME=PROP-VALUE ...]]
       [--command-property PROP-NAME=PROP-VALUE [PROP-NAME=PROP-VALUE ...]]
       [--producer.config CONFIG-FILE] [--command-config CONFIG-FILE]
       [--print-metrics] [--transactional-id TRANSACTIONAL-ID]
       [--transaction-duration-ms TRANSACTION-DURATION]
       [--warmup-records WARMUP-RECORDS] [--reporting-interval INTERVAL-MS]
       [--record-key-range KEY-RANGE] [--key-distribution KEY-DISTRIBUTION]
       [--random-seed RANDOM-SEED] (--record-size RECORD-SIZE |
       --payload-file PAYLOAD-FILE | --payload-monotonic)\n";

pub(super) const PARSER: Parser = Parser {
    about: "Measures how fast a producer sends records.",
    usage: USAGE,
    options: Options {
        needs_exclusive: true,
        table: &[
            Opt::text("bootstrap-server", "Servers of the cluster, host:port; counts more than bootstrap.servers."),
            Opt::text("topic", "The topic to send to.").required(),
            Opt::long("num-records", "How many records to send.").required(),
            Opt::text("payload-delimiter", "A regular expression between the payloads of a file; a line feed."),
            Opt::double("throughput", "At most so many records a second; -1: as many as can be.").required(),
            Opt::texts("producer-props", "Deprecated: use --command-property."),
            Opt::texts("command-property", "Settings of the producer, key=value key=value; count more than a file's."),
            Opt::text("producer.config", "Deprecated: use --command-config."),
            Opt::text("command-config", "A properties file with settings of the producer."),
            Opt::flag("print-metrics", "Show the metrics of the producer at the end."),
            Opt::text("transactional-id", "Send in transactions under this id."),
            Opt::long("transaction-duration-ms", "Send in transactions that last so long; 3000 with an id alone."),
            Opt::long("warmup-records", "So many of the first records warm up; those behind are counted apart."),
            Opt::long("reporting-interval", "How many milliseconds lie between two reports; 5000."),
            Opt::integer("record-key-range", "Keys are numbers below this."),
            Opt::text("key-distribution", "none, range (one key after the other) or random.")
                .one_of(&["none", "range", "random"]),
            Opt::long("random-seed", "What random payloads and keys begin with: the same seed, the same records; 0."),
            Opt::integer("record-size", "Each payload has so many bytes.").exclusive(),
            Opt::text("payload-file", "Each payload is one of this file's by chance.").exclusive(),
            Opt::flag("payload-monotonic", "Each payload is its record's number.").exclusive(),
        ],
    },
    subcommands: &[],
};

/// What the arguments say.
pub(super) struct PerfOptions {
    pub(super) topic: String,
    pub(super) records: u64,
    pub(super) warmup_records: u64,
    pub(super) throughput: f64,
    pub(super) interval: i64,
    pub(super) payload: Payload,
    pub(super) keys: Keys,
    pub(super) seed: i64,
    pub(super) settings: BTreeMap<String, String>,
    /// How long a transaction lasts; `None`: no transactions.
    pub(super) transaction_duration: Option<Duration>,
    pub(super) prints_metrics: bool,
}

/// Why the arguments don't do.
pub(super) enum Refusal {
    /// They contradict each other: told like a mistake of the parser.
    Mistake(&'static str),
    /// Java's exception.
    Failure(Failure),
}

fn mistake_if(is_wrong: bool, sentence: &'static str) -> Result<(), Refusal> {
    if is_wrong { Err(Refusal::Mistake(sentence)) } else { Ok(()) }
}

fn illegal(message: &str) -> Refusal {
    Refusal::Failure(Failure(uncaught(&format!("java.lang.IllegalArgumentException: {message}"))))
}

impl PerfOptions {
    pub(super) fn new(values: &Values, console: &mut Console) -> Result<Self, Refusal> {
        let records = values.number::<i64>("num-records").unwrap_or_default();
        let warmup_records = values.number::<i64>("warmup-records").unwrap_or_default().max(0);
        let interval = values.number("reporting-interval").unwrap_or(5_000);
        let size = values.number::<i32>("record-size");
        mistake_if(records <= 0, "--num-records should be greater than zero.")?;
        let warmup = "The value for --warmup-records must be strictly fewer than the number of records in the test, --num-records.";
        mistake_if(warmup_records >= records, warmup)?;
        mistake_if(size.is_some_and(|size| size <= 0), "--record-size should be greater than zero.")?;
        check_settings(values)?;
        let duration = values.number::<i64>("transaction-duration-ms");
        let sentence = "--transaction-duration-ms should be greater than zero.";
        mistake_if(duration.is_some_and(|duration| duration <= 0), sentence)?;
        mistake_if(interval <= 0, "--reporting-interval should be greater than zero.")?;
        let keys = keys(values)?;
        let payload = payload(values, size, console)?;
        let mut settings = settings(values, console)?;
        let transaction_duration = transactions(values, duration, &mut settings);
        Ok(Self {
            topic: values.one("topic").unwrap_or_default().to_owned(),
            records: records.unsigned_abs(),
            warmup_records: warmup_records.unsigned_abs(),
            throughput: values.number("throughput").unwrap_or(-1.0),
            interval,
            payload,
            keys,
            seed: values.number("random-seed").unwrap_or_default(),
            settings,
            transaction_duration,
            prints_metrics: values.has("print-metrics"),
        })
    }
}

/// How long transactions last, where there are any; the id that they need is added to the settings.
fn transactions(values: &Values, duration: Option<i64>, settings: &mut BTreeMap<String, String>) -> Option<Duration> {
    if let Some(id) = values.one("transactional-id") {
        settings.insert("transactional.id".to_owned(), id.to_owned());
    }
    if duration.is_none() && !settings.contains_key("transactional.id") {
        return None;
    }
    let id = || format!("performance-producer-{}", OsRandom.uuid());
    settings.entry("transactional.id".to_owned()).or_insert_with(id);
    Some(Duration::from_millis(duration.unwrap_or(TRANSACTION_MS).unsigned_abs()))
}

fn check_settings(values: &Values) -> Result<(), Refusal> {
    let has = |name| values.has(name);
    let (new_properties, old_properties) = (has("command-property"), has("producer-props"));
    let (new_file, old_file) = (has("command-config"), has("producer.config"));
    let any = has("bootstrap-server") || new_properties || old_properties || new_file || old_file;
    let sentence = "At least one of --bootstrap-server, --command-property, --producer-props, --producer.config or --command-config must be specified.";
    mistake_if(!any, sentence)?;
    let together = "--command-property and --producer-props cannot be specified together.";
    mistake_if(new_properties && old_properties, together)?;
    mistake_if(new_file && old_file, "--command-config and --producer.config cannot be specified together.")
}

fn keys(values: &Values) -> Result<Keys, Refusal> {
    let range = values.number::<i32>("record-key-range");
    mistake_if(range.is_some_and(|range| range <= 0), "--record-key-range should be greater than zero.")?;
    match (values.one("key-distribution").unwrap_or("none"), range) {
        ("none", None) => Ok(Keys::None),
        ("none", Some(_)) => {
            let sentence = "--key-distribution must be 'range' or 'random' when --record-key-range is specified.";
            Err(Refusal::Mistake(sentence))
        }
        (_, None) => {
            let sentence = "--record-key-range is required when --key-distribution is 'range' or 'random'.";
            Err(Refusal::Mistake(sentence))
        }
        ("range", Some(range)) => Ok(Keys::Range(range)),
        (_, Some(range)) => Ok(Keys::Random(range)),
    }
}

fn payload(values: &Values, size: Option<i32>, console: &mut Console) -> Result<Payload, Refusal> {
    let Some(file) = values.one("payload-file") else {
        let size = size.and_then(|size| usize::try_from(size).ok());
        return Ok(size.map_or(Payload::Number, Payload::Size));
    };
    let path = std::path::absolute(Path::new(file)).unwrap_or_else(|_| file.into());
    console.line(&format!("Reading payloads from: {}", path.display()));
    let text = std::fs::read(&path).ok().filter(|bytes| !bytes.is_empty());
    let text = text.ok_or_else(|| illegal("File does not exist or empty file provided."))?;
    let delimiter = values.one("payload-delimiter").filter(|delimiter| *delimiter != "\\n").unwrap_or("\n");
    let delimiter = Regex::new(delimiter).map_err(|error| {
        Refusal::Failure(Failure(uncaught(&format!("java.util.regex.PatternSyntaxException: {error}"))))
    })?;
    let payloads = cut(&String::from_utf8_lossy(&text), &delimiter);
    console.line(&format!("Number of records read: {}", payloads.len()));
    if payloads.is_empty() {
        return Err(illegal("No payload file, record size or payload-monotonic option provided."));
    }
    Ok(Payload::OneOf(payloads))
}

/// The producer's settings: those of options count most, then those of properties, then those of a file.
fn settings(values: &Values, console: &mut Console) -> Result<BTreeMap<String, String>, Refusal> {
    for (old, new) in [("producer-props", "command-property"), ("producer.config", "command-config")] {
        if values.has(old) {
            console.line(&format!(
                "Option --{old} has been deprecated and will be removed in a future version. Use --{new} instead."
            ));
        }
    }
    let mut settings = BTreeMap::new();
    if let Some(path) = values.one("command-config").or(values.one("producer.config")) {
        add_properties(&mut settings, path).map_err(|error| {
            Refusal::Failure(Failure(uncaught(&format!("java.nio.file.NoSuchFileException: {error}"))))
        })?;
    }
    let properties = values.all("command-property").iter().chain(values.all("producer-props"));
    for property in properties {
        // Java's `split` leaves out what is empty at the end.
        let pair = property.trim_end_matches('=').split_once('=').filter(|(_, value)| !value.contains('='));
        let (key, value) = pair.ok_or_else(|| illegal(&format!("Invalid property: {property}")))?;
        settings.insert(key.to_owned(), value.to_owned());
    }
    if let Some(servers) = values.one("bootstrap-server") {
        settings.insert("bootstrap.servers".to_owned(), servers.to_owned());
    }
    settings.entry("client.id".to_owned()).or_insert_with(|| "perf-producer-client".to_owned());
    Ok(settings)
}
