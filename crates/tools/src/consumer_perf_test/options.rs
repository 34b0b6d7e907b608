use crate::connection::{add_properties, key_values};
use crate::console::Console;
use crate::failure::{Stop, help_or_version, require};
use crate::java_date::DateFormat;
use crate::options::{Opt, Options, Parsed};
use regex::Regex;
use std::collections::BTreeMap;
use std::time::Duration;

pub(super) const OPTIONS: Options = Options {
    about: "This tool is used to verify the consumer performance.",
    table: &[
        Opt::text(
            "bootstrap-server",
            "server to connect to",
            "REQUIRED: Servers of the cluster, HOST1:PORT1,HOST2:PORT2.",
        ),
        Opt::text("topic", "topic", "The topic to read."),
        Opt::text("include", "Java regex (String)", "A regular expression: all topics that match are read."),
        Opt::text("group", "gid", "The group to read as a member of; perf-consumer- and a number by chance."),
        Opt::integer("fetch-size", "size", "At most so many bytes of a partition at once: max.partition.fetch.bytes.")
            .with_default("1048576"),
        Opt::flag("from-latest", "Without committed offsets begin with the last record, not with the first."),
        Opt::integer("socket-buffer-size", "size", "The socket's buffer: receive.buffer.bytes.")
            .with_default("2097152"),
        Opt::text("consumer.config", "config file", "Deprecated: use --command-config."),
        Opt::text("command-config", "config file", "A file of settings of the consumer."),
        Opt::text("command-property", "prop1=val1", "A setting of the consumer; counts more than a file's."),
        Opt::flag("print-metrics", "Show the metrics of the consumer at the end."),
        Opt::flag("show-detailed-stats", "Report at each interval instead of once at the end."),
        Opt::optional_long("timeout", "milliseconds", "Stop when no record comes for so long.").with_default("10000"),
        Opt::long("messages", "count", "Deprecated: use --num-records."),
        Opt::long("num-records", "count", "REQUIRED: How many records to read."),
        Opt::long("reporting-interval", "interval_ms", "How many milliseconds lie between two reports.")
            .with_default("5000"),
        Opt::text("date-format", "date format", "How times are shown, as in java.text.SimpleDateFormat.")
            .with_default("yyyy-MM-dd HH:mm:ss:SSS"),
        Opt::flag("hide-header", "No line with the names of the columns."),
    ],
};

/// What is read.
pub(super) enum Source {
    Topic(String),
    Matching(Regex),
}

/// What the arguments say.
pub(super) struct PerfOptions {
    pub(super) settings: BTreeMap<String, String>,
    pub(super) source: Source,
    pub(super) records: u64,
    pub(super) timeout: Duration,
    pub(super) interval: i64,
    pub(super) is_detailed: bool,
    pub(super) prints_metrics: bool,
    pub(super) dates: DateFormat,
}

/// Whether the options fit together.
pub(super) fn check(parsed: &Parsed, console: &mut Console) -> Result<(), Stop> {
    help_or_version(&OPTIONS, parsed, console)?;
    require(parsed, "bootstrap-server")?;
    exactly_one(parsed, ["topic", "include"])?;
    exactly_one(parsed, ["messages", "num-records"])?;
    crate::failure::exclude(parsed, "consumer.config", &["command-config"])?;
    for (old, new) in [("messages", "num-records"), ("consumer.config", "command-config")] {
        if parsed.has(old) {
            console.line(&format!("Warning: --{old} is deprecated. Use --{new} instead."));
        }
    }
    Ok(())
}

fn exactly_one(parsed: &Parsed, names: [&str; 2]) -> Result<(), Stop> {
    if names.iter().filter(|name| parsed.has(name)).count() == 1 {
        return Ok(());
    }
    let names = names.map(|name| format!("[{name}]")).join(", ");
    Err(Stop::Usage(format!("Exactly one of the following arguments is required: {names}")))
}

fn exception(class: &str, message: &str) -> Stop {
    Stop::Message(format!("{message}\n{class}: {message}"))
}

impl PerfOptions {
    /// Reads the values. `chance` is a number that makes a group's name.
    pub(super) fn new(parsed: &Parsed, chance: u32) -> Result<Self, Stop> {
        let illegal = |message: &str| exception("java.lang.IllegalArgumentException", message);
        let settings = settings(parsed, chance)?;
        let records = parsed.number(if parsed.has("messages") { "messages" } else { "num-records" })?;
        let timeout = parsed.number("timeout")?.unwrap_or_default();
        let interval = parsed.number("reporting-interval")?.unwrap_or_default();
        if interval <= 0 {
            return Err(illegal("Reporting interval must be greater than 0."));
        }
        let dates = DateFormat::new(&parsed.value("date-format")?.unwrap_or_default());
        let dates = dates.map_err(|error| illegal(&error))?;
        let source = match parsed.value("include")? {
            Some(pattern) => Source::Matching(Regex::new(&format!("^(?:{pattern})$")).map_err(|_| {
                exception("java.util.regex.PatternSyntaxException", &format!("{pattern} is an invalid regex."))
            })?),
            None => Source::Topic(parsed.value("topic")?.unwrap_or_default()),
        };
        Ok(Self {
            settings,
            source,
            records: u64::try_from(records.unwrap_or_default()).unwrap_or_default(),
            timeout: Duration::from_millis(u64::try_from(timeout).unwrap_or_default()),
            interval,
            is_detailed: parsed.has("show-detailed-stats"),
            prints_metrics: parsed.has("print-metrics"),
            dates,
        })
    }
}

/// The consumer's settings: those of options count most, then those of properties, then those of a file.
fn settings(parsed: &Parsed, chance: u32) -> Result<BTreeMap<String, String>, Stop> {
    let mut settings = BTreeMap::new();
    let file = if parsed.has("consumer.config") { "consumer.config" } else { "command-config" };
    if let Some(path) = parsed.value(file)? {
        add_properties(&mut settings, &path).map_err(|error| exception("java.nio.file.NoSuchFileException", &error))?;
    }
    settings.extend(key_values(&parsed.values("command-property")));
    let group = parsed.value("group")?.unwrap_or_else(|| format!("perf-consumer-{}", chance % 100_000));
    let reset = if parsed.has("from-latest") { "latest" } else { "earliest" };
    let text = |name| Ok::<_, Stop>(parsed.value(name)?.unwrap_or_default());
    let options = [
        ("bootstrap.servers", text("bootstrap-server")?),
        ("group.id", group),
        ("receive.buffer.bytes", text("socket-buffer-size")?),
        ("max.partition.fetch.bytes", text("fetch-size")?),
        ("auto.offset.reset", reset.to_owned()),
        ("check.crcs", "false".to_owned()),
    ];
    settings.extend(options.map(|(key, value)| (key.to_owned(), value)));
    settings.entry("client.id".to_owned()).or_insert_with(|| "perf-consumer-client".to_owned());
    Ok(settings)
}
