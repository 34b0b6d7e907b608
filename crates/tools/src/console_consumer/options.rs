use super::formatter::Formatter;
use crate::connection::{key_values, load_properties};
use crate::console::Console;
use crate::failure::{Stop, help_or_version, require};
use crate::options::{Opt, Options, Parsed};
use crate::topics::TopicPattern;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

const FORMATTER_PROPERTIES: &str = "A property of the formatter, key=value; may be given several times:
 print.timestamp=true|false
 print.key=true|false
 print.offset=true|false
 print.epoch=true|false
 print.partition=true|false
 print.headers=true|false
 print.value=true|false
 key.separator=<key.separator>
 line.separator=<line.separator>
 headers.separator=<headers.separator>
 null.literal=<null.literal>
 key.deserializer=<key.deserializer>
 value.deserializer=<value.deserializer>
 headers.deserializer=<headers.deserializer>";

pub(super) const OPTIONS: Options = Options {
    about: "This tool helps to read data from Kafka topics and outputs it to standard output.",
    table: &[
        Opt::text("topic", "topic", "The topic to read."),
        Opt::text("include", "Java regex (String)", "A regular expression of the topics to read."),
        Opt::integer("partition", "partition", "The partition to read, from its end unless --offset says otherwise."),
        Opt::text("offset", "consume offset", "Where to begin: an offset, earliest or latest.").with_default("latest"),
        Opt::text("consumer-property", "consumer_prop", "Deprecated: use --command-property."),
        Opt::text(
            "command-property",
            "consumer_prop",
            "A setting of the consumer, key=value; may be given several times.",
        ),
        Opt::text("consumer.config", "config file", "Deprecated: use --command-config."),
        Opt::text("command-config", "config file", "A file of such settings; --command-property overrides it."),
        Opt::text(
            "formatter",
            "class",
            "What shows the records: DefaultMessageFormatter, LoggingMessageFormatter or NoOpMessageFormatter.",
        )
        .with_default("org.apache.kafka.tools.consumer.DefaultMessageFormatter"),
        Opt::text("property", "prop", "Deprecated: use --formatter-property."),
        Opt::text("formatter-property", "prop", FORMATTER_PROPERTIES),
        Opt::text("formatter-config", "config file", "A file of such properties; --formatter-property overrides it."),
        Opt::flag("from-beginning", "Begin at the first record, where the group has committed no offset."),
        Opt::integer("max-messages", "num_messages", "Stop after this many records."),
        Opt::long("timeout-ms", "timeout_ms", "Stop when no record comes for this long."),
        Opt::flag("skip-message-on-error", "Pass over a record that can't be shown, instead of stopping."),
        Opt::text(
            "bootstrap-server",
            "server to connect to",
            "REQUIRED: Servers of the cluster, host:port, by commas.",
        ),
        Opt::text("key-deserializer", "deserializer for keys", "How keys are read."),
        Opt::text("value-deserializer", "deserializer for values", "How values are read."),
        Opt::flag("enable-systest-events", "Also tell when the consumer is done."),
        Opt::text("isolation-level", "", "read_committed leaves out records of transactions that were not committed.")
            .with_default("read_uncommitted"),
        Opt::text("group", "consumer group id", "The group to be a member of."),
    ],
};

/// What is read.
pub(super) enum Source {
    Topic(String),
    Matching(TopicPattern),
    Partition { topic: String, partition: i32, start: Start },
}

/// Where in a partition reading begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    Earliest,
    Latest,
    At(i64),
}

/// What the arguments say.
pub(super) struct ConsumerOptions {
    pub(super) source: Source,
    pub(super) properties: BTreeMap<String, String>,
    pub(super) formatter: Formatter,
    pub(super) messages_max: Option<u64>,
    pub(super) timeout: Option<Duration>,
    pub(super) skips_errors: bool,
    pub(super) tells_lifecycle: bool,
}

pub(super) fn parse(arguments: &[String], console: &mut Console) -> Result<ConsumerOptions, Stop> {
    let parsed = OPTIONS.parse(arguments).map_err(|error| Stop::Usage(error.to_string()))?;
    help_or_version(&OPTIONS, &parsed, console)?;
    check_required(&parsed)?;
    replaced(&parsed, console, "property", "formatter-property")?;
    replaced(&parsed, console, "consumer-property", "command-property")?;
    replaced(&parsed, console, "consumer.config", "command-config")?;
    let mut from_files = BTreeMap::new();
    from_files.extend(file_properties(parsed.value("consumer.config")?)?);
    from_files.extend(file_properties(parsed.value("command-config")?)?);
    let mut extra = BTreeMap::new();
    extra.extend(key_values(&parsed.values("consumer-property")));
    extra.extend(key_values(&parsed.values("command-property")));
    let group = group(&parsed, &from_files, &extra)?;
    let mut properties = from_files;
    properties.extend(extra);
    finish_properties(&parsed, &mut properties, group)?;
    let source = source(&parsed)?;
    let messages_max = parsed.number("max-messages")?;
    Ok(ConsumerOptions {
        source,
        properties,
        formatter: formatter(&parsed)?,
        messages_max: messages_max.and_then(|max| u64::try_from(max).ok()),
        timeout: parsed.number("timeout-ms")?.and_then(|ms| u64::try_from(ms).ok()).map(Duration::from_millis),
        skips_errors: parsed.has("skip-message-on-error"),
        tells_lifecycle: parsed.has("enable-systest-events"),
    })
}

fn check_required(parsed: &Parsed) -> Result<(), Stop> {
    let usage = |message: &str| Err(Stop::Usage(message.to_owned()));
    if parsed.has("topic") == parsed.has("include") {
        return usage("Exactly one of the following arguments is required: [topic], [include]");
    }
    if parsed.has("partition") {
        if !parsed.has("topic") {
            return usage("The topic is required when partition is specified.");
        }
        if parsed.has("from-beginning") && parsed.has("offset") {
            return usage("Options from-beginning and offset cannot be specified together.");
        }
    } else if parsed.has("offset") {
        return usage("The partition is required when offset is specified.");
    }
    require(parsed, "bootstrap-server")
}

/// An older name of an option: not together with the newer one, and with a warning.
fn replaced(parsed: &Parsed, console: &mut Console, old: &str, new: &str) -> Result<(), Stop> {
    if !parsed.has(old) {
        return Ok(());
    }
    if parsed.has(new) {
        return Err(Stop::Usage(format!("Options --{old} and --{new} cannot be specified together.")));
    }
    console
        .line(&format!("Option --{old} is deprecated and will be removed in a future version. Use --{new} instead."));
    Ok(())
}

fn file_properties(path: Option<String>) -> Result<Vec<(String, String)>, Stop> {
    let Some(path) = path else { return Ok(Vec::new()) };
    let missing = |_| Stop::Message(format!("Exception in thread \"main\" java.nio.file.NoSuchFileException: {path}"));
    let loaded = load_properties(&path).map_err(missing)?;
    Ok(loaded.iter().map(|(key, entry)| (key.to_owned(), entry.value.clone())).collect())
}

/// The group's id, which may be told in several places if it is the same in all.
fn group(
    parsed: &Parsed,
    from_files: &BTreeMap<String, String>,
    extra: &BTreeMap<String, String>,
) -> Result<Option<String>, Stop> {
    let mut told = BTreeSet::new();
    told.extend(parsed.value("group")?);
    told.extend(from_files.get("group.id").cloned());
    told.extend(extra.get("group.id").cloned());
    if told.len() > 1 {
        let list = told.iter().map(|group| format!("'{group}'")).collect::<Vec<_>>().join(", ");
        return Err(Stop::Usage(format!(
            "The group ids provided in different places (directly using '--group', via '--consumer-property', or via \
             '--consumer.config') do not match. Detected group ids: {list}"
        )));
    }
    if !told.is_empty() && parsed.has("partition") {
        return Err(Stop::Usage("Options group and partition cannot be specified together.".to_owned()));
    }
    Ok(told.into_iter().next())
}

fn finish_properties(
    parsed: &Parsed,
    properties: &mut BTreeMap<String, String>,
    group: Option<String>,
) -> Result<(), Stop> {
    let from_beginning = parsed.has("from-beginning");
    match properties.get("auto.offset.reset") {
        Some(reset) if from_beginning && reset != "earliest" => {
            return Err(Stop::Message(format!(
                "Can't simultaneously specify --from-beginning and 'auto.offset.reset={reset}', please remove one option"
            )));
        }
        Some(_) => {}
        None => {
            let reset = if from_beginning { "earliest" } else { "latest" };
            properties.insert("auto.offset.reset".to_owned(), reset.to_owned());
        }
    }
    properties.insert("bootstrap.servers".to_owned(), parsed.value("bootstrap-server")?.unwrap_or_default());
    properties.entry("client.id".to_owned()).or_insert_with(|| "console-consumer".to_owned());
    if parsed.has("isolation-level") || !properties.contains_key("isolation.level") {
        properties.insert("isolation.level".to_owned(), parsed.value("isolation-level")?.unwrap_or_default());
    }
    match group {
        Some(group) => {
            properties.insert("group.id".to_owned(), group);
        }
        None => {
            // A group of this run alone; nothing is committed for it unless that is asked for.
            properties.insert("group.id".to_owned(), format!("console-consumer-{}", random() % 100_000));
            properties.entry("enable.auto.commit".to_owned()).or_insert_with(|| "false".to_owned());
        }
    }
    Ok(())
}

fn random() -> u64 {
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}

fn source(parsed: &Parsed) -> Result<Source, Stop> {
    let Some(topic) = parsed.value("topic")? else {
        let text = parsed.value("include")?.unwrap_or_default();
        return TopicPattern::new(&text).map(Source::Matching).map_err(Stop::Usage);
    };
    let Some(partition) = parsed.number("partition")?.and_then(|number| i32::try_from(number).ok()) else {
        return Ok(Source::Topic(topic));
    };
    Ok(Source::Partition { topic, partition, start: start(parsed)? })
}

fn start(parsed: &Parsed) -> Result<Start, Stop> {
    if !parsed.has("offset") {
        return Ok(if parsed.has("from-beginning") { Start::Earliest } else { Start::Latest });
    }
    let text = parsed.value("offset")?.unwrap_or_default();
    match text.to_ascii_lowercase().as_str() {
        "earliest" => Ok(Start::Earliest),
        "latest" => Ok(Start::Latest),
        _ => match text.parse() {
            Ok(offset) if offset >= 0 => Ok(Start::At(offset)),
            _ => Err(Stop::Usage(format!(
                "The provided offset value '{text}' is incorrect. Valid values are 'earliest', 'latest', or a \
                 non-negative long."
            ))),
        },
    }
}

fn formatter(parsed: &Parsed) -> Result<Formatter, Stop> {
    let mut properties = file_properties(parsed.value("formatter-config")?)?;
    for (option, key) in [("key-deserializer", "key.deserializer"), ("value-deserializer", "value.deserializer")] {
        if let Some(class) = parsed.value(option)?.filter(|class| !class.is_empty()) {
            properties.push((key.to_owned(), class));
        }
    }
    properties.extend(key_values(&parsed.values("property")));
    properties.extend(key_values(&parsed.values("formatter-property")));
    let class = parsed.value("formatter")?.unwrap_or_default();
    Formatter::new(&class, &properties).map_err(Stop::Usage)
}
