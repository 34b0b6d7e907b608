use crate::console::Console;
use crate::failure::{Stop, exclude, help_or_version, require};
use crate::options::{Opt, OptionError, Options, Parsed};

pub(super) const OPTIONS: Options = Options {
    about: "This tool lists, describes and deletes consumer groups, and manages their offsets.",
    table: &[
        Opt::text(
            "bootstrap-server",
            "server to connect to",
            "Servers of the cluster, host:port, by commas. REQUIRED for everything but --validate-regex.",
        ),
        Opt::text("group", "group id", "A group; may be given several times."),
        Opt::text(
            "topic",
            "topic",
            "A topic whose offsets are reset or deleted; may be given several times. Some of its partitions only: \
             topic:0,1,2.",
        ),
        Opt::flag("all-topics", "All topics of which the group has offsets."),
        Opt::flag("list", "List the consumer groups."),
        Opt::flag("describe", "Show groups: offsets and lag, members, or state."),
        Opt::flag("all-groups", "All consumer groups."),
        Opt::flag("delete", "Delete groups without members, with all their offsets."),
        Opt::long("timeout", "timeout (ms)", "How long the cluster may take to answer.").with_default("5000"),
        Opt::text("command-config", "command config property file", "A properties file with settings of the client."),
        Opt::flag(
            "reset-offsets",
            "Set the offsets of groups without members. By itself, or with --dry-run, it only shows them; --execute sets \
             them. Needs one of --to-datetime, --by-duration, --to-earliest, --to-latest, --shift-by, --from-file, \
             --to-current, --to-offset, and (but for --from-file) --topic or --all-topics.",
        ),
        Opt::flag("delete-offsets", "Delete the offsets that a group has of topics."),
        Opt::flag("dry-run", "With --reset-offsets: only show what would be set."),
        Opt::flag("execute", "With --reset-offsets: set the offsets."),
        Opt::flag("export", "With --reset-offsets: show the offsets as CSV, for --from-file."),
        Opt::long("to-offset", "offset", "Reset to this offset."),
        Opt::text("from-file", "path to CSV file", "Reset to the offsets in a CSV file."),
        Opt::text("to-datetime", "datetime", "Reset to the first record of a time: 'YYYY-MM-DDThh:mm:ss.sss'."),
        Opt::text("by-duration", "duration", "Reset to the first record of a time so long ago: 'PnDTnHnMnS'."),
        Opt::flag("to-earliest", "Reset to the first record."),
        Opt::flag("to-latest", "Reset to behind the last record."),
        Opt::flag("to-current", "Reset to the offset as it is."),
        Opt::long("shift-by", "number-of-offsets", "Reset by so many records, forwards or (negative) backwards."),
        Opt::flag("members", "With --describe: show the members."),
        Opt::flag("verbose", "With --describe: show more of everything."),
        Opt::flag("offsets", "With --describe: show offsets and lag, which is the default."),
        Opt::optional(
            "state",
            "",
            "With --describe: show the state. With --list: show the states, or (stable,empty) list only groups in these.",
        ),
        Opt::optional("type", "", "With --list: show the types, or (classic,consumer) list only groups of these."),
        Opt::text("validate-regex", "regex", "Say whether a regular expression can be used in a subscription (RE2)."),
    ],
};

const ACTIONS: [&str; 6] = ["list", "describe", "delete", "reset-offsets", "delete-offsets", "validate-regex"];
/// What a group can't be named with.
const WITHOUT_GROUP: [&str; 1] = ["list"];
/// What a topic can't be named with.
const WITHOUT_TOPIC: [&str; 2] = ["list", "describe"];
const DETAILS: [&str; 3] = ["members", "offsets", "state"];
/// The ways to reset, in the order in which Kafka's tool names them.
const SCENARIOS: [&str; 8] =
    ["to-latest", "by-duration", "to-datetime", "from-file", "shift-by", "to-offset", "to-earliest", "to-current"];
/// The order in which they are checked against each other.
const SCENARIO_CHECKS: [&str; 8] =
    ["to-offset", "to-datetime", "by-duration", "to-earliest", "to-latest", "to-current", "shift-by", "from-file"];

/// What has to be said when no way to reset is given.
pub(super) fn missing_scenario() -> String {
    let names: Vec<_> = SCENARIOS.iter().map(|name| format!("[{name}]")).collect();
    format!("Option '[reset-offsets]' requires one of the following scenarios: [{}]", names.join(", "))
}

/// Reads and checks the arguments.
pub(super) fn parse(arguments: &[String], console: &mut Console) -> Result<Parsed, Stop> {
    let parsed = OPTIONS.parse(arguments)?;
    check_available(&parsed)?;
    help_or_version(&OPTIONS, &parsed, console)?;
    if !parsed.has("validate-regex") {
        require(&parsed, "bootstrap-server")?;
    }
    check_describe(&parsed)?;
    check_delete(&parsed)?;
    check_reset(&parsed, console)?;
    exclude(&parsed, "group", &["all-groups"])?;
    exclude(&parsed, "group", &WITHOUT_GROUP)?;
    exclude(&parsed, "topic", &WITHOUT_TOPIC)?;
    if ACTIONS.iter().filter(|action| parsed.has(action)).count() != 1 {
        let actions: Vec<_> = ACTIONS.iter().map(|action| format!("--{action}")).collect();
        return usage(format!("Command must include exactly one action: {}", actions.join(", ")));
    }
    Ok(parsed)
}

fn usage<T>(message: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Usage(message.into()))
}

/// Some options exist only beside others.
fn check_available(parsed: &Parsed) -> Result<(), OptionError> {
    let describes = parsed.has("describe");
    let lists = parsed.has("list");
    let allowed = [
        ("members", describes),
        ("verbose", describes),
        ("offsets", describes),
        ("state", describes || lists),
        ("type", lists),
    ];
    let missing: Vec<_> =
        allowed.iter().filter(|(name, allowed)| !allowed && parsed.has(name)).map(|(name, _)| *name).collect();
    if missing.is_empty() || parsed.has("help") {
        return Ok(());
    }
    Err(OptionError::unavailable(&missing))
}

fn check_describe(parsed: &Parsed) -> Result<(), Stop> {
    if !parsed.has("describe") {
        return Ok(());
    }
    if !parsed.has("group") && !parsed.has("all-groups") {
        return usage("Option [describe] takes one of these options: [all-groups], [group]");
    }
    if DETAILS.iter().filter(|detail| parsed.has(detail)).count() > 1 {
        return usage("Option [describe] takes at most one of these options: [members], [offsets], [state]");
    }
    if parsed.has("state") && parsed.value("state")?.is_some() {
        return usage("Option [describe] does not take a value for [state]");
    }
    Ok(())
}

fn check_delete(parsed: &Parsed) -> Result<(), Stop> {
    if parsed.has("delete") {
        if !parsed.has("group") && !parsed.has("all-groups") {
            return usage("Option [delete] takes one of these options: [all-groups], [group]");
        }
        if parsed.has("topic") {
            return usage("The consumer does not support topic-specific offset deletion from a consumer group.");
        }
    }
    if parsed.has("delete-offsets") && !(parsed.has("group") && parsed.has("topic")) {
        return usage("Option [delete-offsets] takes the following options: [topic], [group]");
    }
    Ok(())
}

fn check_reset(parsed: &Parsed, console: &mut Console) -> Result<(), Stop> {
    if !parsed.has("reset-offsets") {
        return Ok(());
    }
    match (parsed.has("dry-run"), parsed.has("execute")) {
        (true, true) => return usage("Option [reset-offsets] only accepts one of [execute] and [dry-run]"),
        (false, false) => console.error_line(
            "WARN: nothing is set, since --execute is missing. From version 5.0 on, one of --dry-run and --execute has to be \
             given; scripts that rely on the default should say --dry-run.",
        ),
        _ => {}
    }
    if !parsed.has("group") && !parsed.has("all-groups") {
        return usage("Option [reset-offsets] takes one of these options: [all-groups], [group]");
    }
    for scenario in SCENARIO_CHECKS {
        let others: Vec<_> = SCENARIOS.into_iter().filter(|other| *other != scenario).collect();
        exclude(parsed, scenario, &others)?;
    }
    Ok(())
}
