use crate::console::Console;
use crate::failure::{Stop, exclude, help_or_version, require};
use crate::options::{Opt, Options, Parsed};

pub(super) const OPTIONS: Options = Options {
    about: "This tool helps to create, delete, describe, or change a topic.",
    table: &[
        Opt::text(
            "bootstrap-server",
            "server to connect to",
            "REQUIRED: Servers of the cluster, host:port, by commas.",
        ),
        Opt::text("command-config", "command config property file", "A properties file with settings of the client."),
        Opt::flag("list", "List the topics."),
        Opt::flag("create", "Create a topic."),
        Opt::flag("delete", "Delete topics."),
        Opt::flag("alter", "Add partitions to topics. (The configuration of topics is changed by kafka-configs.)"),
        Opt::flag("describe", "Show topics and their partitions."),
        Opt::text("topic", "topic", "The topic; but with --create also a regular expression for several."),
        Opt::text("topic-id", "topic-id", "The topic to describe, by its id."),
        Opt::text(
            "config",
            "name=value",
            "With --create: a setting of the topic that differs from the default; may be given several times. (That of \
             topics that exist is changed by kafka-configs.)",
        ),
        Opt::text("delete-config", "name", "Not in use any more since 4.0."),
        Opt::integer(
            "partitions",
            "# of partitions",
            "How many partitions the topic is to have; without it, as many as the cluster's default says. Records with \
             keys go to other partitions when there are more.",
        ),
        Opt::integer(
            "replication-factor",
            "replication factor",
            "How many replicas each partition is to have; without it, as many as the cluster's default says.",
        ),
        Opt::text(
            "replica-assignment",
            "broker_id_for_part1_replica1 : broker_id_for_part1_replica2 , broker_id_for_part2_replica1 : \
             broker_id_for_part2_replica2 , ...",
            "The brokers of each partition, where the cluster is not to choose them.",
        ),
        Opt::flag("under-replicated-partitions", "Describe only partitions that lack replicas in sync."),
        Opt::flag("unavailable-partitions", "Describe only partitions without a leader."),
        Opt::flag("under-min-isr-partitions", "Describe only partitions with fewer replicas in sync than they need."),
        Opt::flag("at-min-isr-partitions", "Describe only partitions with just as many replicas in sync as they need."),
        Opt::flag("topics-with-overrides", "Describe only topics with settings of their own."),
        Opt::flag("if-exists", "With --alter, --delete and --describe: a topic that does not exist is no error."),
        Opt::flag("if-not-exists", "With --create: a topic that exists is no error."),
        Opt::flag("exclude-internal", "Leave Kafka's own topics out."),
        Opt::integer(
            "partition-size-limit-per-response",
            "maximum number of partitions per response",
            "How many partitions one answer to the tool describes at most.",
        ),
    ],
};

const ACTIONS: [&str; 5] = ["list", "describe", "create", "alter", "delete"];
const REPORTS: [&str; 4] =
    ["under-replicated-partitions", "under-min-isr-partitions", "at-min-isr-partitions", "unavailable-partitions"];

/// Reads and checks the arguments.
pub(super) fn parse(arguments: &[String], console: &mut Console) -> Result<Parsed, Stop> {
    let parsed = OPTIONS.parse(arguments)?;
    if parsed.is_empty {
        return Err(Stop::Usage("Create, delete, describe, or change a topic.".to_owned()));
    }
    help_or_version(&OPTIONS, &parsed, console)?;
    if ACTIONS.iter().filter(|action| parsed.has(action)).count() != 1 {
        let message = "Command must include exactly one action: --list, --describe, --create, --alter or --delete";
        return Err(Stop::Usage(message.to_owned()));
    }
    if parsed.has("delete-config") {
        console.error_line("The option --delete-config has no effect any more since 4.0; use kafka-configs.");
    }
    check_required(&parsed, console)?;
    check_excluded(&parsed)?;
    Ok(parsed)
}

fn check_required(parsed: &Parsed, console: &mut Console) -> Result<(), Stop> {
    if !parsed.has("bootstrap-server") {
        let message = "--bootstrap-server must be specified";
        return Err(Stop::Message(format!("{message}\njava.lang.IllegalArgumentException: {message}\n")));
    }
    if parsed.has("describe") && parsed.has("if-exists") {
        match (parsed.has("topic"), parsed.has("topic-id")) {
            (false, false) => {
                let message = "--topic or --topic-id is required to describe a topic";
                return Err(Stop::Usage(message.to_owned()));
            }
            (true, true) => console.line("Both --topic and --topic-id are given: the id counts, unless it is zero."),
            _ => {}
        }
    }
    if !parsed.has("list") && !parsed.has("describe") {
        require(parsed, "topic")?;
    }
    if parsed.has("alter") {
        if parsed.has("config") {
            let message = "Option combination \"[[bootstrap-server], [config]]\" can't be used with option \"[alter]\" (To \
                           alter topic configurations, the kafka-configs tool can be used.)";
            return Err(Stop::Usage(message.to_owned()));
        }
        require(parsed, "partitions")?;
    }
    Ok(())
}

fn check_excluded(parsed: &Parsed) -> Result<(), Stop> {
    only_with(parsed, "config", &["alter", "create"])?;
    only_with(parsed, "partitions", &["alter", "create"])?;
    only_with(parsed, "replication-factor", &["create"])?;
    only_with(parsed, "replica-assignment", &["alter", "create"])?;
    if parsed.has("create") {
        exclude(parsed, "replica-assignment", &["partitions", "replication-factor"])?;
    }
    for report in REPORTS {
        only_with(parsed, report, &["describe"])?;
        exclude(parsed, report, &["topics-with-overrides"])?;
    }
    only_with(parsed, "topics-with-overrides", &["describe"])?;
    only_with(parsed, "if-exists", &["alter", "delete", "describe"])?;
    only_with(parsed, "if-not-exists", &["create"])?;
    only_with(parsed, "exclude-internal", &["list", "describe"])
}

fn only_with(parsed: &Parsed, used: &str, actions: &[&str]) -> Result<(), Stop> {
    let others: Vec<_> = ACTIONS.into_iter().filter(|action| !actions.contains(action)).collect();
    exclude(parsed, used, &others)
}
