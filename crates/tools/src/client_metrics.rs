//! `kafka-client-metrics`: which metrics clients are to send (KIP-714).

use crate::connection::{admin, block_on, load_properties};
use crate::console::Console;
use crate::failure::{Stop, exclude, help_or_version};
use crate::options::{Opt, Options, Parsed};
use ottla_client::{
    Admin, ClientError, ConfigChange, ConfigEntry, ConfigOperation, ConfigResource, ErrorCode, ResourceKind,
};
use ottla_env::Random;
use ottla_env_os::OsRandom;
use std::collections::BTreeMap;

const OPTIONS: Options = Options {
    about: "This tool helps to manipulate and describe client metrics configurations.",
    table: &[
        Opt::text("bootstrap-server", "server to connect to", "REQUIRED: Servers of the cluster, host:port."),
        Opt::text("command-config", "command config property file", "A properties file with settings of the client."),
        Opt::flag("alter", "Change a subscription."),
        Opt::flag("delete", "Delete a subscription."),
        Opt::flag("describe", "Describe subscriptions."),
        Opt::flag("list", "List the subscriptions."),
        Opt::text("name", "name", "The subscription's name."),
        Opt::flag("generate-name", "Make a name for a new subscription."),
        Opt::text(
            "interval",
            "push interval",
            "How many milliseconds lie between what a client sends; empty for the default.",
        ),
        Opt::text(
            "match",
            "k1=v1,k2=v2",
            "Which clients are meant, by patterns of:\n  client_id\n  client_instance_id\n  client_software_name\n  \
             client_software_version\n  client_source_address\n  client_source_port",
        )
        .separated_by(','),
        Opt::text("metrics", "m1,m2", "The beginnings of the metrics' names.").separated_by(','),
    ],
};

/// Runs the tool.
pub(crate) fn run(arguments: &[String], console: &mut Console) -> i32 {
    let parsed = OPTIONS.parse(arguments).map_err(|error| Stop::Usage(error.to_string()));
    let done = parsed.and_then(|parsed| {
        check(&parsed, console)?;
        work(&parsed, console)
    });
    match done {
        Ok(()) => 0,
        Err(stop) => stop.tell(&OPTIONS, console),
    }
}

fn check(parsed: &Parsed, console: &mut Console) -> Result<(), Stop> {
    help_or_version(&OPTIONS, parsed, console)?;
    let actions = ["alter", "delete", "describe", "list"];
    if actions.iter().filter(|action| parsed.has(action)).count() != 1 {
        let error = "Command must include exactly one action: --alter, --delete, --describe or --list.";
        return Err(Stop::Usage(error.to_owned()));
    }
    let refused = |sentence: &str| Err(Stop::Message(sentence.to_owned()));
    if !parsed.has("bootstrap-server") {
        return refused("--bootstrap-server must be specified.");
    }
    let values = ["generate-name", "interval", "match", "metrics"];
    exclude(parsed, "delete", &values)?;
    exclude(parsed, "describe", &values)?;
    exclude(parsed, "list", &["name", "generate-name", "interval", "match", "metrics"])?;
    if parsed.has("alter") && parsed.has("name") == parsed.has("generate-name") {
        return refused("One of --name or --generate-name must be specified with --alter.");
    }
    if parsed.has("alter")
        && parsed.value("interval")?.is_some_and(|value| !value.is_empty() && value.parse::<i32>().is_err())
    {
        return refused("Invalid interval value. Enter an integer, or leave empty to reset.");
    }
    if parsed.has("delete") && !parsed.has("name") {
        return refused("A client metrics resource name must be specified with --delete.");
    }
    Ok(())
}

fn work(parsed: &Parsed, console: &mut Console) -> Result<(), Stop> {
    let path = parsed.value("command-config")?;
    let properties = path.map(|path| load_properties(&path)).transpose().map_err(Stop::Message)?;
    let servers = parsed.value("bootstrap-server")?.unwrap_or_default();
    let message = |error: &dyn std::fmt::Display| Stop::Message(error.to_string());
    let admin = admin(&servers, properties.as_ref(), None).map_err(|error| message(&error))?;
    let name = parsed.value("name")?;
    let done = block_on(async {
        match name {
            _ if parsed.has("list") => list(&admin, console).await,
            name if parsed.has("describe") => describe(&admin, name, console).await,
            Some(name) if parsed.has("delete") => delete(&admin, &name, console).await,
            name => {
                let name = name.unwrap_or_else(|| OsRandom.uuid().to_string());
                alter(&admin, &name, settings(parsed), console).await
            }
        }
    });
    done.map_err(|error| message(&error))?.map_err(|error| {
        console.line(&format!("Error while executing client metrics command : {error}"));
        Stop::Exit(1)
    })
}

/// What is to be changed; an empty value gives a setting its default.
fn settings(parsed: &Parsed) -> BTreeMap<&'static str, String> {
    let options = [("interval", "interval.ms"), ("match", "match"), ("metrics", "metrics")];
    let given = options.into_iter().filter(|(option, _)| parsed.has(option));
    given.map(|(option, key)| (key, parsed.values(option).join(","))).collect()
}

fn resource(name: &str) -> ConfigResource {
    ConfigResource::new(ResourceKind::ClientMetrics, name)
}

async fn list(admin: &Admin, console: &mut Console) -> Result<(), ClientError> {
    console.line(&admin.list_config_resources(ResourceKind::ClientMetrics).await?.join("\n"));
    Ok(())
}

async fn describe(admin: &Admin, name: Option<String>, console: &mut Console) -> Result<(), ClientError> {
    let known = admin.list_config_resources(ResourceKind::ClientMetrics).await?;
    let names = match name {
        Some(name) if known.contains(&name) => vec![name],
        Some(name) => {
            console.line(&format!("The client metric resource {name} doesn't exist and doesn't have dynamic config."));
            return Ok(());
        }
        None => known,
    };
    for name in names {
        console.line(&format!("Client metrics configs for {name} are:"));
        for entry in entries(admin, &name).await? {
            console.line(&format!("  {}={}", entry.name, entry.value.as_deref().unwrap_or("null")));
        }
    }
    Ok(())
}

async fn entries(admin: &Admin, name: &str) -> Result<Vec<ConfigEntry>, ClientError> {
    let mut described = admin.describe_configs(&[resource(name)], false).await?;
    described.remove(&resource(name)).unwrap_or_else(|| Ok(Vec::new()))
}

async fn delete(admin: &Admin, name: &str, console: &mut Console) -> Result<(), ClientError> {
    let changes = entries(admin, name).await?.into_iter().map(|entry| ConfigChange {
        name: entry.name,
        operation: ConfigOperation::Delete,
        value: None,
    });
    change(admin, name, changes.collect()).await?;
    console.line(&format!("Deleted client metrics config for {name}."));
    Ok(())
}

async fn alter(
    admin: &Admin,
    name: &str,
    settings: BTreeMap<&'static str, String>,
    console: &mut Console,
) -> Result<(), ClientError> {
    let change_of = |(key, value): (&str, String)| {
        let is_default = value.is_empty();
        let operation = if is_default { ConfigOperation::Delete } else { ConfigOperation::Set };
        ConfigChange { name: key.to_owned(), operation, value: Some(value) }
    };
    change(admin, name, settings.into_iter().map(change_of).collect()).await?;
    console.line(&format!("Altered client metrics config for {name}."));
    Ok(())
}

async fn change(admin: &Admin, name: &str, changes: Vec<ConfigChange>) -> Result<(), ClientError> {
    let mut altered = admin.alter_configs(&BTreeMap::from([(resource(name), changes)]), false).await?;
    let unanswered = ClientError::Api { code: ErrorCode::UnknownServerError, message: None };
    altered.remove(&resource(name)).unwrap_or(Err(unanswered))
}
