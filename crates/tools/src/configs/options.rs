use crate::connection::load_properties;
use crate::console::Console;
use crate::failure::{Stop, exclude, help_or_version};
use crate::options::{Opt, Options, Parsed};
use regex::Regex;
use std::collections::{BTreeMap, BTreeSet};

pub(super) const OPTIONS: Options = Options {
    about: "This tool helps to manipulate and describe entity config for a topic, client, user, broker, ip, client-metrics or \
            group",
    table: &[
        Opt::text("bootstrap-server", "server to connect to", "Servers of the cluster, host:port, by commas."),
        Opt::text(
            "bootstrap-controller",
            "controller to connect to",
            "Controllers of the cluster, host:port, by commas.",
        ),
        Opt::text("command-config", "command config property file", "A properties file with settings of the client."),
        Opt::flag("alter", "Change the configuration."),
        Opt::flag("describe", "Show the configuration."),
        Opt::flag("all", "Show also what is not set but has a default or stands in a file."),
        Opt::text(
            "entity-type",
            "",
            "What it is about: topics, clients, users, brokers, broker-loggers, ips, client-metrics or groups.",
        ),
        Opt::text("entity-name", "", "Which one: its name, id or address."),
        Opt::flag("entity-default", "The default of all clients, users, brokers or ips."),
        Opt::text(
            "add-config",
            "",
            "Settings and their values, key=value, by commas; a value with commas stands in brackets: k1=v1,k2=[v1,v2]. \
             kafka-topics --help lists the settings of topics; docs/configuration.md lists all.",
        ),
        Opt::text("add-config-file", "", "A properties file of settings and their values."),
        Opt::text("delete-config", "", "Settings that are to have their defaults again, by commas.").separated_by(','),
        Opt::text("topic", "", "A topic, by name."),
        Opt::text("client", "", "A client, by its id."),
        Opt::flag("client-defaults", "The default of all clients."),
        Opt::text("user", "", "A user, by the principal's name."),
        Opt::flag("user-defaults", "The default of all users."),
        Opt::text("broker", "", "A broker, by its id."),
        Opt::flag("broker-defaults", "The default of all brokers."),
        Opt::text("broker-logger", "", "The loggers of a broker, by its id."),
        Opt::flag("ip-defaults", "The default of all addresses."),
        Opt::text("ip", "", "An address of clients."),
        Opt::text("group", "", "A group, by its id."),
        Opt::text("client-metrics", "", "A subscription to client metrics, by name."),
    ],
};

/// What kinds of things have a configuration, in the order of Kafka's message.
const ENTITY_TYPES: [&str; 8] =
    ["broker-loggers", "topics", "clients", "users", "brokers", "ips", "client-metrics", "groups"];
/// The options that name a thing of a certain type.
const NAMED: [(&str, &str); 8] = [
    ("topic", "topics"),
    ("client", "clients"),
    ("user", "users"),
    ("broker", "brokers"),
    ("broker-logger", "broker-loggers"),
    ("ip", "ips"),
    ("client-metrics", "client-metrics"),
    ("group", "groups"),
];
/// The options that stand for the default of a type.
const DEFAULTS: [(&str, &str); 4] = [
    ("client-defaults", "clients"),
    ("user-defaults", "users"),
    ("broker-defaults", "brokers"),
    ("ip-defaults", "ips"),
];

/// A change of settings.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) set: BTreeMap<String, String>,
    pub(super) delete: Vec<String>,
}

/// What the arguments say.
#[derive(Debug)]
pub(super) struct ConfigOptions {
    pub(super) servers: String,
    pub(super) command_config: Option<String>,
    pub(super) types: Vec<String>,
    /// The empty name is the default of its type.
    pub(super) names: Vec<String>,
    pub(super) all: bool,
    /// `None`: describe.
    pub(super) change: Option<Change>,
}

pub(super) fn check(parsed: &Parsed, console: &mut Console) -> Result<ConfigOptions, Stop> {
    help_or_version(&OPTIONS, parsed, console)?;
    if parsed.has("alter") == parsed.has("describe") {
        return Err(Stop::Usage("Command must include exactly one action: --describe, --alter".to_owned()));
    }
    exclude(parsed, "describe", &["add-config", "delete-config"])?;
    let types = types(parsed);
    let names = names(parsed)?;
    check_types(parsed, &types)?;
    check_names(parsed, &types, &names)?;
    let change = if parsed.has("alter") { Some(change(parsed, &types, &names)?) } else { None };
    let servers = parsed.value("bootstrap-server")?.or(parsed.value("bootstrap-controller")?).unwrap_or_default();
    let command_config = parsed.value("command-config")?;
    Ok(ConfigOptions { servers, command_config, types, names, all: parsed.has("all"), change })
}

fn types(parsed: &Parsed) -> Vec<String> {
    let mut types = parsed.values("entity-type");
    let by_flags = NAMED.iter().chain(&DEFAULTS).filter(|(option, _)| parsed.has(option));
    types.extend(by_flags.map(|(_, entity)| (*entity).to_owned()));
    types
}

fn names(parsed: &Parsed) -> Result<Vec<String>, Stop> {
    let mut given = parsed.values("entity-name").into_iter();
    let order = parsed.order().filter(|option| matches!(*option, "entity-name" | "entity-default"));
    let mut names: Vec<_> = order
        .map(|option| if option == "entity-name" { given.next().unwrap_or_default() } else { String::new() })
        .collect();
    for (option, _) in NAMED {
        names.extend(parsed.value(option)?);
    }
    names.extend(DEFAULTS.iter().filter(|(option, _)| parsed.has(option)).map(|_| String::new()));
    Ok(names)
}

fn refuse<T>(message: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Message(message.into()))
}

fn check_types(parsed: &Parsed, types: &[String]) -> Result<(), Stop> {
    let distinct: BTreeSet<_> = types.iter().collect();
    if distinct.len() != types.len() {
        let mut seen = BTreeSet::new();
        let twice: Vec<_> = types.iter().filter(|entity| !seen.insert(*entity)).cloned().collect();
        return refuse(format!("Duplicate entity type(s) specified: {}", twice.join(",")));
    }
    match (parsed.has("bootstrap-server"), parsed.has("bootstrap-controller")) {
        (false, false) => return refuse("Either --bootstrap-server or --bootstrap-controller must be specified."),
        (true, true) => return refuse("Only one of --bootstrap-server or --bootstrap-controller can be specified."),
        _ => {}
    }
    if let Some(unknown) = types.iter().find(|entity| !ENTITY_TYPES.contains(&entity.as_str())) {
        return refuse(format!(
            "Invalid entity type {unknown}, the entity type must be one of {} with a --bootstrap-server or \
             --bootstrap-controller argument",
            ENTITY_TYPES.join(", ")
        ));
    }
    if types.is_empty() {
        return refuse("At least one entity type must be specified");
    }
    if types.len() > 1 && types.iter().any(|entity| entity != "users" && entity != "clients") {
        return refuse("Only 'users' and 'clients' entity types may be specified together");
    }
    let general = ["entity-name", "entity-type", "entity-default"].iter().any(|option| parsed.has(option));
    let special = NAMED.iter().chain(&DEFAULTS).any(|(option, _)| parsed.has(option));
    if general && special {
        return refuse("--entity-{type,name,default} should not be used in conjunction with specific entity flags");
    }
    Ok(())
}

fn check_names(parsed: &Parsed, types: &[String], names: &[String]) -> Result<(), Stop> {
    let is = |entity: &str| types.iter().any(|known| known == entity);
    let first = types.first().map_or("", String::as_str);
    let has_name = names.iter().any(|name| !name.is_empty());
    let has_default = names.iter().any(String::is_empty);
    let listed = types.join(",");
    if is("brokers") || is("broker-loggers") {
        for name in names.iter().filter(|name| !name.is_empty()) {
            if name.parse::<i32>().is_err() {
                return refuse(format!(
                    "The entity name for {first} must be a valid integer broker id, but it is: {name}"
                ));
            }
        }
    }
    if is("ips") {
        for name in names.iter().filter(|name| !name.is_empty()) {
            use std::net::ToSocketAddrs;
            if (name.as_str(), 0).to_socket_addrs().is_err() {
                let message = "must be a valid IP or resolvable host, but it is";
                return refuse(format!("The entity name for {first} {message}: {name}"));
            }
        }
    }
    let may_be_default = is("users") || is("clients") || is("brokers") || is("ips");
    if parsed.has("describe") {
        if !may_be_default && parsed.has("entity-default") {
            return refuse(format!("--entity-default must not be specified with --describe of {listed}"));
        }
        if is("broker-loggers") && !has_name {
            return refuse(format!("An entity name must be specified with --describe of {listed}"));
        }
        return Ok(());
    }
    if may_be_default && !has_name && !has_default {
        return refuse(
            "An entity-name or default entity must be specified with --alter of users, clients, brokers or ips",
        );
    }
    if !may_be_default && !has_name {
        return refuse(format!("An entity name must be specified with --alter of {listed}"));
    }
    Ok(())
}

fn change(parsed: &Parsed, types: &[String], names: &[String]) -> Result<Change, Stop> {
    let [add, file, delete] = ["add-config", "add-config-file", "delete-config"].map(|option| parsed.has(option));
    if add && file {
        return refuse("Only one of --add-config or --add-config-file must be specified");
    }
    if !add && !file && !delete {
        return refuse(
            "At least one of --add-config, --add-config-file, or --delete-config must be specified with --alter",
        );
    }
    if types.len() != names.len() {
        return refuse("An entity name must be specified for every entity type");
    }
    let mut set = BTreeMap::new();
    if let Some(path) = parsed.value("add-config-file")? {
        let loaded = load_properties(&path).map_err(Stop::Message)?;
        set.extend(loaded.iter().map(|(key, entry)| (key.to_owned(), entry.value.clone())));
    }
    if let Some(text) = parsed.value("add-config")? {
        set.extend(additions(&text).map_err(Stop::Message)?);
    }
    let is_key = |key: &str| key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
    if let Some(key) = set.keys().find(|key| !is_key(key)) {
        return refuse(format!("Invalid character found for config key: {key}"));
    }
    let delete = parsed.values("delete-config").iter().map(|key| key.trim().to_owned()).collect();
    Ok(Change { set, delete })
}

/// `k1=v1,k2=[a,b],k3=`: commas and equals signs within brackets separate nothing.
fn additions(text: &str) -> Result<Vec<(String, String)>, String> {
    let bad = || {
        "Invalid entity config: all configs to be added must be in the format \"key=val\" or  \"key=[val1,val2]\" to group \
         values which contain commas."
            .to_owned()
    };
    // The expression is a constant; a failure would be shown as any other bad text.
    let bracket = Regex::new(r"[\[\]]").map_err(|_| bad())?;
    let mut additions = Vec::new();
    for pair in split_outside_brackets(text, ',') {
        let parts = split_outside_brackets(pair, '=');
        let [key, value] = parts.as_slice() else { return Err(bad()) };
        additions.push((key.trim().to_owned(), bracket.replace_all(value, "").trim().to_owned()));
    }
    Ok(additions)
}

fn split_outside_brackets(text: &str, separator: char) -> Vec<&str> {
    let mut depth = 0usize;
    text.split(|c| {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == separator && depth == 0
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_hold_values_with_commas_together() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let read = additions("k1=v1,k2=[a,b], k3 = ,k4=[x=1,y=2]").unwrap();
        assert_eq!(read, [pair("k1", "v1"), pair("k2", "a,b"), pair("k3", ""), pair("k4", "x=1,y=2")]);
        assert!(additions("a").is_err());
        assert!(additions("a=b=c").is_err());
    }

    fn checked(line: &str) -> Result<ConfigOptions, String> {
        let arguments: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        let parsed = OPTIONS.parse(&arguments).map_err(|error| error.to_string())?;
        let mut console = Console::new(Box::new(std::io::sink()), Box::new(std::io::sink()));
        check(&parsed, &mut console).map_err(|stop| match stop {
            Stop::Message(message) | Stop::Usage(message) => message,
            stop => format!("{stop:?}"),
        })
    }

    #[test]
    fn names_belong_to_types_in_the_order_of_the_arguments() {
        let options = checked(
            "--bootstrap-server a:1 --describe --entity-type users --entity-default --entity-type clients --entity-name c",
        );
        let options = options.unwrap();
        assert_eq!(
            (options.types, options.names),
            (vec!["users".into(), "clients".into()], vec!["".into(), "c".into()])
        );
        let options = checked("--bootstrap-server a:1 --describe --user u --client-defaults").unwrap();
        assert_eq!(
            (options.types, options.names),
            (vec!["users".into(), "clients".into()], vec!["u".into(), "".into()])
        );
    }

    #[test]
    fn contradictions_are_refused_in_kafkas_words() {
        let servers = "--bootstrap-server a:1";
        for (line, message) in [
            ("--describe", "At least one entity type must be specified"),
            ("--describe --topic t --broker 1", "Only 'users' and 'clients' entity types may be specified together"),
            ("--describe --broker x", "The entity name for brokers must be a valid integer broker id, but it is: x"),
            (
                "--alter --topic t",
                "At least one of --add-config, --add-config-file, or --delete-config must be specified with --alter",
            ),
            (
                "--alter --entity-type topics --add-config a=b",
                "An entity name must be specified with --alter of topics",
            ),
        ] {
            assert_eq!(checked(&format!("{servers} {line}")).unwrap_err(), message, "{line}");
        }
    }
}
