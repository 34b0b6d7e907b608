//! `kafka-broker-api-versions`: which versions of which request each broker knows.

use crate::connection::{admin, block_on, load_properties};
use crate::console::Console;
use crate::failure::{Stop, help_or_version, require};
use crate::options::{Opt, Options, Parsed};
use ottla_client::{BrokerDescription, ClientError, NodeVersions};
use ottla_protocol::ApiKey;
use std::collections::BTreeMap;

const OPTIONS: Options = Options {
    about: "This tool helps to retrieve broker version information.",
    table: &[
        Opt::text("command-config", "command config property file", "A properties file with settings of the client."),
        Opt::text(
            "bootstrap-server",
            "server(s) to use for bootstrapping",
            "REQUIRED: Servers of the cluster, host:port.",
        ),
    ],
};

/// Runs the tool.
pub(crate) fn run(arguments: &[String], console: &mut Console) -> i32 {
    let parsed = OPTIONS.parse(arguments).map_err(Stop::from);
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

fn work(parsed: &Parsed, console: &mut Console) -> Result<(), Stop> {
    let servers = parsed.value("bootstrap-server")?.unwrap_or_default();
    let properties = match parsed.value("command-config")? {
        Some(path) => Some(load_properties(&path).map_err(Stop::Message)?),
        None => None,
    };
    let asked = block_on(async {
        let admin = admin(&servers, properties.as_ref(), None)?;
        admin.broker_versions().await
    });
    let brokers = asked.map_err(|error| Stop::Message(error.to_string()))?;
    for (broker, versions) in brokers.map_err(|error| Stop::Message(error.to_string()))? {
        console.line(&shown(&broker, &versions));
    }
    Ok(())
}

pub(crate) fn shown(broker: &BrokerDescription, versions: &Result<NodeVersions, ClientError>) -> String {
    let rack = broker.rack.as_deref().unwrap_or("null");
    let name =
        format!("{}:{} (id: {} rack: {rack} isFenced: {})", broker.host, broker.port, broker.id, broker.is_fenced);
    match versions {
        Ok(versions) => format!("{name} -> {}", table(versions.apis())),
        Err(error) => format!("{name} -> ERROR: {error}"),
    }
}

/// One line for each API, also for those that a client uses and the node does not know.
fn table(apis: &BTreeMap<i16, (i16, i16)>) -> String {
    let mut lines = BTreeMap::new();
    for (code, (min, max)) in apis {
        lines.insert(*code, line(*code, *min, *max));
    }
    for api in ApiKey::ALL {
        if api.on_broker() {
            let unsupported = || format!("{}({}): UNSUPPORTED", api.name(), api.code());
            lines.entry(api.code()).or_insert_with(unsupported);
        }
    }
    format!("(\n\t{}\n)", lines.into_values().collect::<Vec<_>>().join(",\n\t"))
}

fn line(code: i16, min: i16, max: i16) -> String {
    let range = if min == max { min.to_string() } else { format!("{min} to {max}") };
    let Some(api) = ApiKey::from_code(code) else { return format!("UNKNOWN({code}): {range}") };
    let own = api.versions();
    let usable = max.min(own.max);
    let usable = if usable >= min.max(own.min) { usable.to_string() } else { "none".to_owned() };
    format!("{}({code}): {range} [usable: {usable}]", api.name())
}
