//! `kafka-verifiable-consumer`: reads a topic as a member of a group and tells of everything as JSON.

use crate::argparse::{Opt, Options, Parser, Values};
use crate::connection::{add_properties, block_on, consumer, stopped};
use crate::console::Console;
use crate::java::{self, uncaught};
use crate::java_text;
use crate::json_lines::{Object, event};
use crate::subcommands::{Failure, Tool};
use ottla_client::{Consumer, ConsumerRecord, OffsetAndMetadata, Rebalance};
use ottla_types::TopicPartition;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::sync::mpsc;

const PARSER: Parser = Parser {
    about: "Reads a topic as a member of a group, and tells in JSON of what it was given, read and committed.",
    usage: "usage: verifiable-consumer [-h] --topic TOPIC
                           [--group-protocol GROUP-PROTOCOL]
                           [--group-remote-assignor GROUP-REMOTE-ASSIGNOR]
                           --group-id GROUP-ID
                           [--group-instance-id GROUP-INSTANCE-ID]
                           [--max-messages MAX-MESSAGES]
                           [--session-timeout TIMEOUT-MS] [--verbose]
                           [--enable-autocommit]
                           [--close-timeout CLOSE-TIMEOUT-MS]
                           [--reset-policy RESET-POLICY]
                           [--assignment-strategy ASSIGNMENT-STRATEGY]
                           [--consumer.config CONFIG-FILE]
                           [--command-config CONFIG-FILE]
                           --bootstrap-server HOST1:PORT1[,HOST2:PORT2[...]]\n",
    options: Options::of(&[
        Opt::text("bootstrap-server", "Servers of the cluster, host:port.").required(),
        Opt::text("topic", "The topic to read.").required(),
        Opt::text("group-protocol", "The group's protocol, classic or consumer; classic."),
        Opt::text("group-remote-assignor", "The server's assignor, for the protocol consumer."),
        Opt::text("group-id", "The group.").required(),
        Opt::text("group-instance-id", "Makes a static member of this name."),
        Opt::integer("max-messages", "How many records to read; -1: as many as there is time for."),
        Opt::integer("session-timeout", "session.timeout.ms, for the protocol classic."),
        Opt::flag("verbose", "Tell of each record."),
        Opt::flag("enable-autocommit", "Commit automatically."),
        Opt::integer("close-timeout", "How many milliseconds leaving the group may take; 30000."),
        Opt::text("reset-policy", "Where to begin without a committed offset: earliest, latest or none; earliest."),
        Opt::text("assignment-strategy", "The assignor of the protocol classic; range."),
        Opt::text("consumer.config", "Deprecated: use --command-config."),
        Opt::text("command-config", "A properties file with settings of the consumer."),
    ]),
    subcommands: &[],
};

/// A group rebalances a few times at most within a call of `poll`, and they are told right behind it.
const REBALANCES_MAX: usize = 1_024;
const CLASS: &str = "org.apache.kafka.tools.VerifiableConsumer";

/// Runs the tool.
pub(crate) fn run(arguments: &[String], console: &mut Console) -> i32 {
    let tool = Tool { name: "verifiable-consumer", parser: PARSER, help_code: 1 };
    tool.run_or_help(arguments, console, |_, values, console| match settings(values, console) {
        Ok(settings) => block_on(consume(values, &settings, console))?,
        Err(Refusal::Mistake(error)) => Ok(tool.refuse(&error, console)),
        Err(Refusal::Exception(exception)) => Err(Failure(uncaught(&exception))),
    })
}

/// Why there is no consumer.
enum Refusal {
    Mistake(String),
    Exception(String),
}

/// The consumer's settings: those of options count more than those of a file.
fn settings(values: &Values, console: &mut Console) -> Result<BTreeMap<String, String>, Refusal> {
    if values.has("consumer.config") && values.has("command-config") {
        let error = "Options --consumer.config and --command-config are mutually exclusive.";
        return Err(Refusal::Mistake(error.to_owned()));
    }
    if values.has("consumer.config") {
        console.line(
            "Option --consumer.config has been deprecated and will be removed in a future version. Use --command-config instead.",
        );
    }
    let mut settings = BTreeMap::new();
    if let Some(path) = values.one("consumer.config").or(values.one("command-config")) {
        add_properties(&mut settings, path).map_err(Refusal::Mistake)?;
    }
    let mut set = |key: &str, value: Option<&str>| {
        if let Some(value) = value {
            settings.insert(key.to_owned(), value.to_owned());
        }
    };
    let protocol = values.one("group-protocol").unwrap_or("classic");
    if protocol.eq_ignore_ascii_case("consumer") {
        if values.has("session-timeout") {
            let exception = "org.apache.kafka.common.config.ConfigException: session.timeout.ms cannot be set when group.protocol=CONSUMER";
            return Err(Refusal::Exception(exception.to_owned()));
        }
        set("group.protocol", Some(protocol));
        set("group.remote.assignor", values.one("group-remote-assignor"));
    } else if protocol.eq_ignore_ascii_case("classic") {
        set("group.protocol", Some(protocol));
        set("partition.assignment.strategy", Some(values.one("assignment-strategy").unwrap_or("range")));
    } else {
        let protocol = protocol.to_uppercase();
        let message = format!("No enum constant org.apache.kafka.clients.consumer.GroupProtocol.{protocol}");
        return Err(Refusal::Exception(format!("java.lang.IllegalArgumentException: {message}")));
    }
    set("group.id", values.one("group-id"));
    set("group.instance.id", values.one("group-instance-id"));
    set("bootstrap.servers", values.one("bootstrap-server"));
    set("enable.auto.commit", Some(if values.has("enable-autocommit") { "true" } else { "false" }));
    set("auto.offset.reset", Some(values.one("reset-policy").unwrap_or("earliest")));
    set("session.timeout.ms", values.one("session-timeout"));
    Ok(settings)
}

struct Run<'a> {
    console: &'a mut Console,
    /// What the group does, in order: told when the consumer that noticed it does not run.
    rebalances: mpsc::Receiver<Rebalance>,
    /// How many records are still wanted; `None`: all.
    left: Option<u64>,
    is_verbose: bool,
    commits: bool,
}

async fn consume(values: &Values, settings: &BTreeMap<String, String>, console: &mut Console) -> Result<i32, Failure> {
    let mut consumer = consumer(settings).map_err(|exception| Failure(uncaught(&exception)))?;
    let (sender, rebalances) = mpsc::channel(REBALANCES_MAX);
    consumer.set_rebalance_listener(Box::new(move |rebalance| {
        let _ = sender.try_send(rebalance.clone());
    }));
    let mut run = Run {
        console,
        rebalances,
        left: values.number::<i32>("max-messages").and_then(|max| u64::try_from(max).ok()),
        is_verbose: values.has("verbose"),
        commits: !values.has("enable-autocommit"),
    };
    run.console.event(event("startup_complete"));
    let topic = values.one("topic").unwrap_or_default();
    consumer.subscribe([topic]).map_err(|error| Failure(uncaught(&java::exception(&error))))?;
    let code = tokio::select! {
        result = run.read_all(&mut consumer) => {
            if let Err(error) = result {
                let text = "Error during processing, terminating consumer process: ";
                run.console.error_line(&java::log_line("ERROR", text, CLASS));
                run.console.error_line(&java::exception(&error));
            }
            0
        }
        code = stopped() => code,
    };
    if code != 0 {
        run.console.event(event("shutdown_requested"));
    }
    let timeout: i32 = values.number("close-timeout").unwrap_or(30_000);
    run.close(consumer, Duration::from_millis(u64::try_from(timeout).unwrap_or_default())).await;
    if code == 0 {
        run.console.event(event("shutdown_requested"));
    }
    Ok(code)
}

impl Run<'_> {
    async fn read_all(&mut self, consumer: &mut Consumer) -> ottla_client::Result<()> {
        while self.left != Some(0) {
            let records = consumer.poll(Duration::from_millis(100)).await;
            self.tell_rebalances();
            let records = records?;
            if records.is_empty() {
                continue;
            }
            let offsets = self.take(&records);
            if !self.commits {
                continue;
            }
            let result = consumer.commit_offsets(&offsets).await;
            let committed = offsets.iter().map(|(partition, offset)| place(partition).with("offset", offset.offset));
            let mut told = event("offsets_committed").with_list("offsets", committed);
            if let Err(error) = &result {
                told = told.with("error", error.to_string());
            }
            self.console.event(told.with("success", result.is_ok()));
        }
        Ok(())
    }

    /// Tells of what was read, as far as it is wanted; answers with the offsets behind it.
    fn take(&mut self, records: &[ConsumerRecord]) -> BTreeMap<TopicPartition, OffsetAndMetadata> {
        let mut partitions = BTreeMap::<TopicPartition, Vec<&ConsumerRecord>>::new();
        for record in records {
            let partition = TopicPartition::new(record.topic.clone(), record.partition);
            partitions.entry(partition).or_default().push(record);
        }
        let mut offsets = BTreeMap::new();
        let mut summaries = Vec::new();
        for (partition, mut read) in partitions {
            let wanted =
                self.left.map_or(read.len(), |left| read.len().min(usize::try_from(left).unwrap_or(usize::MAX)));
            read.truncate(wanted);
            let (Some(first), Some(last)) = (read.first(), read.last()) else { break };
            offsets.insert(partition.clone(), OffsetAndMetadata::new(last.offset + 1));
            let summary = place(&partition).with("count", wanted);
            summaries.push(summary.with("minOffset", first.offset).with("maxOffset", last.offset));
            if self.is_verbose {
                read.iter().for_each(|record| self.console.event(about(record)));
            }
            self.left = self.left.map(|left| left.saturating_sub(wanted as u64));
        }
        let told = event("records_consumed").with("count", records.len());
        self.console.event(told.with_list("partitions", summaries));
        offsets
    }

    fn tell_rebalances(&mut self) {
        while let Ok(rebalance) = self.rebalances.try_recv() {
            let (name, partitions) = match &rebalance {
                Rebalance::Assigned(partitions) => ("partitions_assigned", partitions),
                Rebalance::Revoked(partitions) | Rebalance::Lost(partitions) => ("partitions_revoked", partitions),
            };
            self.tell_partitions(name, partitions);
        }
    }

    fn tell_partitions(&mut self, name: &str, partitions: &BTreeSet<TopicPartition>) {
        self.console.event(event(name).with_list("partitions", partitions.iter().map(place)));
    }

    /// Leaves the group; what was read is given back first.
    async fn close(&mut self, consumer: Consumer, timeout: Duration) {
        self.tell_rebalances();
        let assignment = consumer.assignment();
        if !assignment.is_empty() {
            self.tell_partitions("partitions_revoked", &assignment);
        }
        // What the group makes of it is not told by Kafka's tool either.
        let _ = tokio::time::timeout(timeout, consumer.close()).await;
        self.console.event(event("shutdown_complete"));
    }
}

fn place(partition: &TopicPartition) -> Object {
    Object::default().with("topic", &*partition.topic).with("partition", partition.partition.value())
}

fn about(record: &ConsumerRecord) -> Object {
    let text = |bytes: &Option<bytes::Bytes>| bytes.as_deref().map(java_text::text);
    event("record_data")
        .with("key", text(&record.key))
        .with("value", text(&record.value))
        .with("topic", &*record.topic)
        .with("partition", record.partition)
        .with("offset", record.offset)
}
