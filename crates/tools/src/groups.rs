//! `kafka-groups`: lists groups of every type (KIP-1043).

use crate::connection::{admin, block_on, load_properties};
use crate::console::Console;
use crate::failure::{Stop, exclude, help_or_version};
use crate::options::{Opt, Options, Parsed};
use ottla_client::{GroupKind, GroupListing};

/// How wide a column is at least.
const WIDTH_MIN: usize = 20;

const OPTIONS: Options = Options {
    about: "This tool helps to list groups of all types.",
    table: &[
        Opt::text("bootstrap-server", "server to connect to", "REQUIRED: Servers of the cluster, host:port."),
        Opt::text("command-config", "command config property file", "A properties file with settings of the client."),
        Opt::flag("list", "List the groups."),
        Opt::text("group-type", "type", "Only groups of this type: 'classic', 'consumer', 'share' or 'streams'."),
        Opt::text("protocol", "protocol", "Only groups of this protocol type."),
        Opt::flag("consumer", "Only groups of consumers: of both protocols, and those without members."),
        Opt::flag("share", "Only share groups."),
        Opt::flag("streams", "Only streams groups."),
    ],
};

/// Runs the tool.
pub(crate) fn run(arguments: &[String], console: &mut Console) -> i32 {
    let done = match OPTIONS.parse(arguments) {
        Ok(parsed) => check(&parsed, console).and_then(|()| work(&parsed, console)),
        Err(error) => Err(Stop::Usage(error.to_string())),
    };
    match done {
        Ok(()) => 0,
        Err(stop) => stop.tell(&OPTIONS, console),
    }
}

fn check(parsed: &Parsed, console: &mut Console) -> Result<(), Stop> {
    // Java's parser misses it before it looks at anything else, but for help and version.
    if !parsed.is_empty && !parsed.has("bootstrap-server") && !parsed.has("help") && !parsed.has("version") {
        return Err(Stop::Usage("Missing required option(s) [bootstrap-server]".to_owned()));
    }
    help_or_version(&OPTIONS, parsed, console)?;
    if !parsed.has("list") {
        return Err(Stop::Usage("Command must include exactly one action: --list.".to_owned()));
    }
    if parsed.value("group-type")?.is_some_and(|name| kind(&name).is_none()) {
        return Err(Stop::Message("--group-type must be a valid group type.".to_owned()));
    }
    exclude(parsed, "consumer", &["group-type", "protocol", "share", "streams"])?;
    exclude(parsed, "share", &["consumer", "group-type", "protocol", "streams"])?;
    exclude(parsed, "streams", &["consumer", "group-type", "protocol", "share"])
}

fn kind(name: &str) -> Option<GroupKind> {
    Some(GroupKind::of_name(&name.to_lowercase())).filter(|kind| *kind != GroupKind::Unknown)
}

fn work(parsed: &Parsed, console: &mut Console) -> Result<(), Stop> {
    let servers = parsed.value("bootstrap-server")?.unwrap_or_default();
    let properties = parsed.value("command-config")?.map(|path| load_properties(&path)).transpose();
    let properties = properties.map_err(Stop::Message)?;
    let listed = block_on(async {
        let (groups, errors) = admin(&servers, properties.as_ref(), None)?.list_groups(&[], &[]).await?;
        errors.into_iter().next().map_or(Ok(groups), Err)
    });
    let listed = listed.map_err(|error| Stop::Message(error.to_string()))?;
    let groups = match listed {
        Ok(groups) => groups,
        Err(error) => {
            console.line(&format!("Error while executing groups command : {error}"));
            return Err(Stop::Exit(1));
        }
    };
    let filter = Filter {
        kind: parsed.value("group-type")?.and_then(|name| kind(&name)),
        protocol: parsed.value("protocol")?,
        only: ["consumer", "share", "streams"].into_iter().find(|name| parsed.has(name)),
    };
    print(groups.iter().filter(|group| filter.lets_through(group)), console);
    Ok(())
}

struct Filter {
    kind: Option<GroupKind>,
    protocol: Option<String>,
    only: Option<&'static str>,
}

impl Filter {
    fn lets_through(&self, group: &GroupListing) -> bool {
        if self.kind.is_some() || self.protocol.is_some() {
            return self.kind.is_none_or(|kind| group.kind == kind)
                && self.protocol.as_ref().is_none_or(|protocol| group.protocol_type == *protocol);
        }
        match self.only {
            Some("consumer") => {
                matches!(group.protocol_type.as_str(), "consumer" | "") || group.kind == GroupKind::Consumer
            }
            Some("share") => group.kind == GroupKind::Share,
            Some(_) => group.kind == GroupKind::Streams,
            None => true,
        }
    }
}

fn print<'a>(groups: impl Iterator<Item = &'a GroupListing>, console: &mut Console) {
    let rows: Vec<[String; 3]> =
        groups.map(|group| [group.group_id.clone(), kind_text(group.kind), group.protocol_type.clone()]).collect();
    let longest = rows.iter().flatten().map(|text| text.chars().count()).max().unwrap_or(0);
    let width = longest.max(WIDTH_MIN);
    console.line(&format!("{:width$} {:width$} {:width$}", "GROUP", "TYPE", "PROTOCOL"));
    for [group, kind, protocol] in &rows {
        console.line(&format!("{group:width$} {kind:width$} {protocol:width$} "));
    }
}

/// As Kafka's tools write it.
fn kind_text(kind: GroupKind) -> String {
    let name = kind.name();
    let mut letters = name.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
