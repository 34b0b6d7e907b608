use crate::connection::{key_values, load_properties};
use crate::console::Console;
use crate::failure::{Stop, help_or_version, require};
use crate::options::{Opt, Options, Parsed};
use std::collections::BTreeMap;

const READER_PROPERTIES: &str = "A property of the reader, key=value; may be given several times:
 parse.key=false (true: each line has a key before the value)
 parse.headers=false (true: each line has headers before key and value)
 ignore.error=false (true: what can't be read is taken as the value)
 key.separator=\\t
 headers.delimiter=\\t
 headers.separator=,
 headers.key.separator=:
 null.marker= (a key, value or header equal to this is null)
A line with all of it: \"h1:v1,h2:v2...\\tkey\\tvalue\"";

pub(super) const OPTIONS: Options = Options {
    about: "This tool helps to read data from standard input and publish it to Kafka.",
    table: &[
        Opt::text("topic", "topic", "REQUIRED: The topic to send to."),
        Opt::text(
            "bootstrap-server",
            "server to connect to",
            "REQUIRED: Servers of the cluster, HOST1:PORT1,HOST2:PORT2.",
        ),
        Opt::flag("sync", "Wait for the fate of each record before the next is sent."),
        Opt::optional(
            "compression-codec",
            "compression-codec",
            "none, gzip, snappy, lz4 or zstd; gzip when none is named.",
        ),
        Opt::integer("batch-size", "size", "A batch is sent when it has this many bytes: batch.size.")
            .with_default("16384"),
        Opt::integer("message-send-max-retries", "", "How often a batch is sent again: retries.").with_default("3"),
        Opt::long("retry-backoff-ms", "", "The pause before that: retry.backoff.ms.").with_default("100"),
        Opt::long("timeout", "timeout_ms", "How long a batch waits for more records: linger.ms.").with_default("1000"),
        Opt::text("request-required-acks", "request required acks", "When a record counts as sent: acks.")
            .with_default("-1"),
        Opt::integer(
            "request-timeout-ms",
            "request timeout ms",
            "How long an answer is waited for: request.timeout.ms.",
        )
        .with_default("1500"),
        Opt::long("metadata-expiry-ms", "metadata expiration interval", "When metadata is old: metadata.max.age.ms.")
            .with_default("300000"),
        Opt::long("max-block-ms", "max block on send", "How long sending may wait for memory: max.block.ms.")
            .with_default("60000"),
        Opt::long("max-memory-bytes", "total memory in bytes", "The memory for records on their way: buffer.memory.")
            .with_default("33554432"),
        Opt::integer("max-partition-memory-bytes", "memory in bytes per partition", "Deprecated: use --batch-size.")
            .with_default("16384"),
        Opt::text("line-reader", "reader_class", "What makes records of lines; there is one alone.")
            .with_default("org.apache.kafka.tools.LineMessageReader"),
        Opt::integer("socket-buffer-size", "size", "The size of the socket's buffer: send.buffer.bytes.")
            .with_default("102400"),
        Opt::text("property", "prop", "Deprecated: use --reader-property."),
        Opt::text("reader-property", "prop", READER_PROPERTIES),
        Opt::text("reader-config", "config file", "A file of such properties; --reader-property overrides it."),
        Opt::text("producer-property", "producer_prop", "Deprecated: use --command-property."),
        Opt::text(
            "command-property",
            "producer_prop",
            "A setting of the producer, key=value; may be given several times.",
        ),
        Opt::text("producer.config", "config file", "Deprecated: use --command-config."),
        Opt::text("command-config", "config file", "A file of such settings; --command-property overrides it."),
    ],
};

/// What the arguments say.
pub(super) struct ProducerOptions {
    pub(super) topic: String,
    pub(super) is_sync: bool,
    pub(super) reader_properties: Vec<(String, String)>,
    pub(super) producer_properties: BTreeMap<String, String>,
}

pub(super) fn parse(arguments: &[String], console: &mut Console) -> Result<ProducerOptions, Stop> {
    let parsed = OPTIONS.parse(arguments).map_err(|error| Stop::Usage(error.to_string()))?;
    help_or_version(&OPTIONS, &parsed, console)?;
    require(&parsed, "topic")?;
    check_servers(parsed.value("bootstrap-server")?)?;
    replaced(&parsed, console, "producer-property", "command-property")?;
    replaced(&parsed, console, "producer.config", "command-config")?;
    replaced(&parsed, console, "property", "reader-property")?;
    let topic = parsed.value("topic")?.unwrap_or_default();
    Ok(ProducerOptions {
        is_sync: parsed.has("sync"),
        reader_properties: reader_properties(&parsed)?,
        producer_properties: producer_properties(&parsed)?,
        topic,
    })
}

/// An older name of an option: not together with the newer one, and with a warning.
fn replaced(parsed: &Parsed, console: &mut Console, old: &str, new: &str) -> Result<(), Stop> {
    if !parsed.has(old) {
        return Ok(());
    }
    if parsed.has(new) {
        return Err(Stop::Usage(format!("Options --{new} and --{old} cannot be specified together.")));
    }
    console
        .line(&format!("Warning: --{old} is deprecated and will be removed in a future version. Use --{new} instead."));
    Ok(())
}

/// The servers must be of the form `host:port`.
fn check_servers(servers: Option<String>) -> Result<(), Stop> {
    let Some(servers) = servers.filter(|servers| !servers.is_empty()) else {
        return Err(Stop::Usage("Error while validating the bootstrap address\n".to_owned()));
    };
    let valid = |server: &str| server.trim().rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    if servers.split(',').all(valid) {
        return Ok(());
    }
    Err(Stop::Usage("Please provide valid host:port like host1:9091,host2:9092\n".to_owned()))
}

fn reader_properties(parsed: &Parsed) -> Result<Vec<(String, String)>, Stop> {
    let mut properties = file_properties(parsed.value("reader-config")?)?;
    properties.extend(key_values(&parsed.values("property")));
    properties.extend(key_values(&parsed.values("reader-property")));
    Ok(properties)
}

fn file_properties(path: Option<String>) -> Result<Vec<(String, String)>, Stop> {
    let Some(path) = path else { return Ok(Vec::new()) };
    let loaded =
        load_properties(&path).map_err(|_| Stop::Message(format!("java.nio.file.NoSuchFileException: {path}")))?;
    Ok(loaded.iter().map(|(key, entry)| (key.to_owned(), entry.value.clone())).collect())
}

/// Settings of the producer: those of options that were given count most, then those of properties, then the defaults of
/// options, which are not the producer's own.
fn producer_properties(parsed: &Parsed) -> Result<BTreeMap<String, String>, Stop> {
    let mut properties = BTreeMap::new();
    properties.extend(file_properties(parsed.value("producer.config")?)?);
    properties.extend(file_properties(parsed.value("command-config")?)?);
    properties.extend(key_values(&parsed.values("producer-property")));
    properties.extend(key_values(&parsed.values("command-property")));
    let codec = match parsed.value("compression-codec")? {
        Some(codec) if !codec.is_empty() => codec,
        _ if parsed.has("compression-codec") => "gzip".to_owned(),
        _ => "none".to_owned(),
    };
    properties.insert("compression.type".to_owned(), codec);
    properties.insert("bootstrap.servers".to_owned(), parsed.value("bootstrap-server")?.unwrap_or_default());
    properties.entry("client.id".to_owned()).or_insert_with(|| "console-producer".to_owned());
    for (key, option) in [
        ("linger.ms", "timeout"),
        ("acks", "request-required-acks"),
        ("request.timeout.ms", "request-timeout-ms"),
        ("retries", "message-send-max-retries"),
        ("retry.backoff.ms", "retry-backoff-ms"),
        ("send.buffer.bytes", "socket-buffer-size"),
        ("buffer.memory", "max-memory-bytes"),
        ("batch.size", "batch-size"),
        ("batch.size", "max-partition-memory-bytes"),
        ("metadata.max.age.ms", "metadata-expiry-ms"),
        ("max.block.ms", "max-block-ms"),
    ] {
        if (parsed.has(option) || !properties.contains_key(key))
            && let Some(value) = parsed.value(option)?
        {
            properties.insert(key.to_owned(), value);
        }
    }
    Ok(properties)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(line: &str) -> BTreeMap<String, String> {
        let arguments: Vec<_> =
            format!("--topic t --bootstrap-server a:1 {line}").split_whitespace().map(str::to_owned).collect();
        let mut console = Console::new(Box::new(std::io::sink()), Box::new(std::io::sink()));
        let Ok(options) = parse(&arguments, &mut console) else { panic!("{line} is refused") };
        options.producer_properties
    }

    #[test]
    fn an_option_counts_more_than_a_property_and_a_property_more_than_a_default() {
        assert_eq!(settings("")["linger.ms"], "1000");
        assert_eq!(settings("--command-property linger.ms=7")["linger.ms"], "7");
        assert_eq!(settings("--command-property linger.ms=7 --timeout 9")["linger.ms"], "9");
        assert_eq!(settings("--max-partition-memory-bytes 5")["batch.size"], "5");
    }

    #[test]
    fn the_codec_is_gzip_when_none_is_named() {
        assert_eq!(settings("")["compression.type"], "none");
        assert_eq!(settings("--compression-codec")["compression.type"], "gzip");
        assert_eq!(settings("--compression-codec zstd")["compression.type"], "zstd");
    }
}
