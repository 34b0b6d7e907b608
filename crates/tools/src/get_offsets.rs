//! `kafka-get-offsets`: offsets of partitions, by time.

use crate::connection::{admin, block_on, load_properties};
use crate::console::Console;
use crate::failure::{Stop, help_or_version, require};
use crate::options::{Opt, Options, Parsed};
use crate::topics::TopicPattern;
use ottla_client::{Admin, OffsetSpec};
use ottla_types::{PartitionIndex, TopicPartition};
use std::collections::{BTreeMap, BTreeSet};

const OPTIONS: Options = Options {
    about: "An interactive shell for getting topic-partition offsets.",
    table: &[
        Opt::text(
            "bootstrap-server",
            "HOST1:PORT1,...,HOST3:PORT3",
            "REQUIRED. Servers of the cluster, in the form HOST1:PORT1,HOST2:PORT2.",
        ),
        Opt::text(
            "topic-partitions",
            "topic1:1,topic2:0-3,topic3,topic4:5-,topic5:-3",
            "Patterns of topics and partitions, separated by commas: a regular expression for the name, and behind a colon \
             one partition or a range without its upper end; each part may be left out.",
        ),
        Opt::text(
            "topic",
            "topic",
            "The topic, or a regular expression for its name; all topics if it is left out. Not with --topic-partitions.",
        ),
        Opt::text(
            "partitions",
            "partition ids",
            "Numbers of partitions, separated by commas; all if it is left out. Not with --topic-partitions.",
        ),
        Opt::text(
            "time",
            "<timestamp> / -1 or latest / -2 or earliest / -3 or max-timestamp / -4 or earliest-local / -5 or latest-tiered \
             / -6 or earliest-pending-upload",
            "The first offset of a record of that time or later. There is none when all records are earlier.",
        )
        .with_default("latest"),
        Opt::text("command-config", "config file", "A properties file with settings of the client."),
        Opt::flag("exclude-internal-topics", "Leave Kafka's own topics out."),
    ],
};

/// Apache Kafka's tool tells of this error within another.
const WRAPPED: &str = "org.apache.kafka.tools.TerseException";

/// Runs the tool.
pub(crate) fn run(arguments: &[String], console: &mut Console) -> i32 {
    let parsed = OPTIONS.parse(arguments).map_err(|error| occurred(&error));
    let done = parsed.and_then(|parsed| {
        help_or_version(&OPTIONS, &parsed, console)?;
        require(&parsed, "bootstrap-server")?;
        work(&parsed, console)
    });
    match done {
        Ok(()) => 0,
        Err(stop) => stop.tell(&OPTIONS, console),
    }
}

fn occurred(what: &dyn core::fmt::Display) -> Stop {
    Stop::Message(format!("Error occurred: {what}"))
}

fn work(parsed: &Parsed, console: &mut Console) -> Result<(), Stop> {
    let wanted = Wanted::new(parsed)?;
    let spec = spec(&parsed.value("time")?.unwrap_or_default())?;
    let servers = parsed.value("bootstrap-server")?.unwrap_or_default();
    let properties = parsed.value("command-config")?.map(|path| load_properties(&path)).transpose();
    let properties = properties.map_err(|error| occurred(&error))?;
    let excludes_internal = parsed.has("exclude-internal-topics");
    let found = block_on(async {
        let admin = admin(&servers, properties.as_ref(), None).map_err(|error| occurred(&error))?;
        let partitions = wanted.partitions(&admin, excludes_internal).await?;
        let specs = partitions.into_iter().map(|partition| (partition, spec)).collect();
        admin.list_offsets(&specs).await.map_err(|error| occurred(&error))
    });
    let mut lines = BTreeMap::new();
    for (partition, offset) in found.map_err(|error| occurred(&error))?? {
        match offset {
            Ok(offset) if offset.offset == -1 => {}
            Ok(offset) => {
                let line = format!("{}:{}:{}", partition.topic, partition.partition, offset.offset);
                lines.insert(partition.to_string(), line);
            }
            Err(error) => console
                .error_line(&format!("Skip getting offsets for topic-partition {partition} due to error: {error}")),
        }
    }
    lines.values().for_each(|line| console.line(line));
    Ok(())
}

fn spec(time: &str) -> Result<OffsetSpec, Stop> {
    Ok(match time {
        "latest" | "-1" => OffsetSpec::Latest,
        "earliest" | "-2" => OffsetSpec::Earliest,
        "max-timestamp" | "-3" => OffsetSpec::MaxTimestamp,
        "earliest-local" | "-4" => OffsetSpec::EarliestLocal,
        "latest-tiered" | "-5" => OffsetSpec::LatestTiered,
        "earliest-pending-upload" | "-6" => OffsetSpec::EarliestPendingUpload,
        number => OffsetSpec::Timestamp(number.parse().map_err(|_| {
            occurred(&format!(
                "Malformed time argument {number}. Please use -1 or latest / -2 or earliest / -3 or max-timestamp / -4 or \
                 earliest-local / -5 or latest-tiered / -6 or earliest-pending-upload, or a specified long format timestamp"
            ))
        })?),
    })
}

/// One rule: topics, and which of their partitions.
struct Rule {
    topics: TopicPattern,
    partitions: Partitions,
}

enum Partitions {
    /// These; all when there are none.
    Named(BTreeSet<i32>),
    /// From one to before another.
    Range(i32, i32),
}

impl Rule {
    fn allows(&self, topic: &str, partition: i32) -> bool {
        self.topics.matches(topic)
            && match &self.partitions {
                Partitions::Named(named) => named.is_empty() || named.contains(&partition),
                Partitions::Range(from, to) => (*from..*to).contains(&partition),
            }
    }
}

/// What is asked for: whatever one of the rules allows.
struct Wanted(Vec<Rule>);

impl Wanted {
    fn new(parsed: &Parsed) -> Result<Self, Stop> {
        let topics =
            |text: Option<String>| TopicPattern::new(text.as_deref().unwrap_or(".*")).map_err(|error| occurred(&error));
        let Some(patterns) = parsed.value("topic-partitions")? else {
            let named = named(&parsed.value("partitions")?.unwrap_or_default())?;
            let rule = Rule { topics: topics(parsed.value("topic")?)?, partitions: Partitions::Named(named) };
            return Ok(Self(vec![rule]));
        };
        if parsed.has("topic") || parsed.has("partitions") {
            return Err(occurred(&"--topic-partitions cannot be used with --topic or --partitions"));
        }
        let rules = patterns.split(',').map(|pattern| {
            let (name, partitions) = pattern.split_once(':').map_or((pattern, ""), |(name, rest)| (name, rest));
            let partitions = range(partitions)
                .ok_or_else(|| occurred(&format!("{WRAPPED}: Invalid rule specification: {pattern}")))?;
            let name = Some(name.to_owned()).filter(|name| !name.is_empty());
            Ok(Rule { topics: topics(name)?, partitions })
        });
        rules.collect::<Result<_, Stop>>().map(Self)
    }

    async fn partitions(&self, admin: &Admin, excludes_internal: bool) -> Result<Vec<TopicPartition>, Stop> {
        let topics = admin.list_topics().await.map_err(|error| occurred(&error))?;
        let is_candidate = |name: &String, is_internal: bool| {
            !(excludes_internal && is_internal) && self.0.iter().any(|rule| rule.topics.matches(name))
        };
        let names = topics.into_iter().filter(|(name, topic)| is_candidate(name, topic.is_internal));
        let names: BTreeSet<String> = names.map(|(name, _)| name).collect();
        let described = admin.describe_topics(&names, 2_000).await.map_err(|error| occurred(&error))?;
        let mut partitions = Vec::new();
        for (name, topic) in described {
            let topic = topic.map_err(|error| occurred(&error))?;
            let numbers = topic.partitions.iter().map(|partition| partition.index);
            let allowed = numbers.filter(|number| self.0.iter().any(|rule| rule.allows(&name, *number)));
            partitions
                .extend(allowed.map(|number| TopicPartition::new(name.as_str(), PartitionIndex::new(number).value())));
        }
        if partitions.is_empty() {
            return Err(occurred(&"Could not match any topic-partitions with the specified filters"));
        }
        Ok(partitions)
    }
}

fn named(text: &str) -> Result<BTreeSet<i32>, Stop> {
    let wrong = "--partitions expects a comma separated list of numeric partition ids, but received: ";
    if text.is_empty() {
        return Ok(BTreeSet::new());
    }
    text.split(',').map(|number| number.parse().map_err(|_| occurred(&format!("{wrong}{text}")))).collect()
}

/// `5`, `2-4`, `2-`, `-4`, `-` or nothing.
fn range(text: &str) -> Option<Partitions> {
    let number = |text: &str, default: i32| if text.is_empty() { Some(default) } else { text.parse().ok() };
    match text.split_once('-') {
        Some((from, to)) => Some(Partitions::Range(number(from, 0)?, number(to, i32::MAX)?)),
        None if text.is_empty() => Some(Partitions::Range(0, i32::MAX)),
        None => Some(Partitions::Named([text.parse().ok()?].into())),
    }
}
