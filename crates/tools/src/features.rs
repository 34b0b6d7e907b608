//! `kafka-features`: the features of a cluster and their levels.

use crate::argparse::{Opt, Options, Outcome, Parser, Subcommand, Values};
use crate::connection::{Servers, admin, block_on, load_properties};
use crate::console::Console;
use crate::java::exception;
use crate::storage::features::{level_of, levels_at, mapping, newest, release_of, show_needed};
use crate::subcommands::Failure;
use ottla_client::{Admin, FeatureUpgrade};
use ottla_metadata::Feature;
use ottla_types::{MetadataVersion, NodeId};
use std::collections::BTreeMap;

const METADATA: Opt = Opt::text("metadata", "Deprecated: the release whose metadata.version is meant.");
const RELEASE: Opt = Opt::text("release-version", "The release whose levels are meant, for all features.");
const FEATURE: Opt = Opt::text("feature", "The feature and its level, as feature=level; may be given several times.");
const UNSAFE: Opt = Opt::flag("unsafe", "Do it even if metadata is lost.");
const DRY_RUN: Opt = Opt::flag("dry-run", "Only tell whether it could be done.");

const PARSER: Parser = Parser {
    about: "Shows and changes the features of a cluster.",
    usage: "usage: kafka-features [-h] [--command-config COMMAND_CONFIG]
                      [--bootstrap-server BOOTSTRAP_SERVER |
                      --bootstrap-controller BOOTSTRAP_CONTROLLER]
                      {describe,upgrade,downgrade,disable,version-mapping,feature-dependencies}
                      ...\n",
    options: Options::of(&[
        Opt::text("bootstrap-server", "Servers of the cluster, host:port.").exclusive(),
        Opt::text("bootstrap-controller", "Controllers of the cluster, host:port.").exclusive(),
        Opt::text("command-config", "A properties file with settings of the client."),
    ]),
    subcommands: &[
        Subcommand {
            name: "describe",
            help: "Show the features and their levels.",
            usage: "usage: kafka-features describe [-h] [--node-id NODE_ID]\n",
            options: Options::of(&[Opt::integer("node-id", "The node to ask; any if none is named.")]),
        },
        Subcommand {
            name: "upgrade",
            help: "Raise levels.",
            usage: "usage: kafka-features upgrade [-h] [--metadata METADATA]
                      [--release-version RELEASE_VERSION]
                      [--feature FEATURE] [--dry-run]\n",
            options: Options::of(&[METADATA, RELEASE, FEATURE, DRY_RUN]),
        },
        Subcommand {
            name: "downgrade",
            help: "Lower levels.",
            usage: "usage: kafka-features downgrade [-h] [--metadata METADATA]
                      [--release-version RELEASE_VERSION]
                      [--feature FEATURE] [--unsafe] [--dry-run]\n",
            options: Options::of(&[METADATA, RELEASE, FEATURE, UNSAFE, DRY_RUN]),
        },
        Subcommand {
            name: "disable",
            help: "Lower levels to zero.",
            usage: "usage: kafka-features disable [-h] [--feature FEATURE] [--unsafe]
                      [--dry-run]\n",
            options: Options::of(&[Opt::text("feature", "The feature; may be given several times."), UNSAFE, DRY_RUN]),
        },
        Subcommand {
            name: "version-mapping",
            help: "Tell which levels belong to a release.",
            usage: "usage: kafka-features version-mapping [-h]
                      [--release-version RELEASE_VERSION]\n",
            options: Options::of(&[RELEASE]),
        },
        Subcommand {
            name: "feature-dependencies",
            help: "Tell which other features a level needs.",
            usage: "usage: kafka-features feature-dependencies [-h] --feature FEATURE\n",
            options: Options::of(&[FEATURE.required()]),
        },
    ],
};

/// Runs the tool.
pub(crate) fn run(arguments: &[String], console: &mut Console) -> i32 {
    let mistake = |console: &mut Console, error: &str| {
        console.error(&format!("Command line error: {error}. Type --help for help."));
        1
    };
    let (command, values) = match PARSER.parse(arguments) {
        Outcome::Run(command, values) => (command, values),
        Outcome::Help(text) => {
            console.print(&text);
            return 0;
        }
        // It has no option for that.
        Outcome::Version => return 0,
        Outcome::Mistake(wrong) => return mistake(console, &wrong.error),
    };
    if !values.has("bootstrap-server") && !values.has("bootstrap-controller") {
        return mistake(console, "You must specify either --bootstrap-controller or --bootstrap-server.");
    }
    work(command, &values, console).map_or_else(|failure| failure.tell(console), |()| 0)
}

fn work(command: &str, values: &Values, console: &mut Console) -> Result<(), Failure> {
    let properties = values.one("command-config").map(load_properties).transpose().map_err(Failure)?;
    let servers = values.one("bootstrap-server").or(values.one("bootstrap-controller")).unwrap_or_default();
    let admin = admin(servers, properties.as_ref(), None)?;
    match command {
        "describe" => block_on(describe(&admin, values, console))?,
        "upgrade" | "downgrade" | "disable" => {
            let upgrade = match (command, values.has("unsafe")) {
                ("upgrade", _) => FeatureUpgrade::Upgrade,
                (_, false) => FeatureUpgrade::SafeDowngrade,
                (_, true) => FeatureUpgrade::UnsafeDowngrade,
            };
            let levels = if command == "disable" { disabled(values)? } else { levels(values, upgrade, console)? };
            let (is_dry_run, servers) = (values.has("dry-run"), Servers::of(values.has("bootstrap-controller")));
            update(&admin, Update { command, levels, upgrade, is_dry_run, servers }, console)
        }
        "version-mapping" => mapping(values, console),
        _ => values.all("feature").iter().try_for_each(|argument| {
            let (name, level) = name_and_level(argument)?;
            show_needed(name, level, &|| format!("No feature:{name} with feature level {level}"), console)
        }),
    }
}

fn disabled(values: &Values) -> Result<BTreeMap<String, i16>, Failure> {
    let mut levels = BTreeMap::new();
    values.all("feature").iter().try_for_each(|feature| once(&mut levels, feature, 0))?;
    Ok(levels)
}

async fn describe(admin: &Admin, values: &Values, console: &mut Console) -> Result<(), Failure> {
    let described = async {
        Servers::of(values.has("bootstrap-controller")).check(admin).await?;
        match values.number("node-id") {
            Some(node) => admin.describe_features_of(NodeId(node)).await,
            None => admin.describe_features().await,
        }
    };
    let features = described.await.map_err(|error| Failure(exception(&error)))?;
    let epoch = features.epoch.map_or_else(|| "-".to_owned(), |epoch| epoch.to_string());
    for (name, (lowest, highest)) in &features.supported {
        let shown = |level: i16| match name.as_str() {
            "metadata.version" if level > 0 => match release_of(MetadataVersion(level)) {
                "unknown" => format!("UNKNOWN [{level}]"),
                release => release.to_owned(),
            },
            _ => level.to_string(),
        };
        let finalized = features.finalized.get(name).copied().unwrap_or_default();
        console.line(&format!(
            "Feature: {name:<40}  SupportedMinVersion: {:<15}  SupportedMaxVersion: {:<15}  \
             FinalizedVersionLevel: {:<15}  Epoch: {epoch}",
            shown(*lowest),
            shown(*highest),
            shown(finalized)
        ));
    }
    Ok(())
}

fn name_and_level(argument: &str) -> Result<(&str, i16), Failure> {
    let wrong = |why: String| Failure(format!("Can't parse feature=level string {argument}: {why}"));
    let (name, level) = argument.split_once('=').ok_or_else(|| wrong("equals sign not found.".to_owned()))?;
    let (name, level) = (name.trim(), level.trim());
    Ok((name, level.parse().map_err(|_| wrong(format!("unable to parse {level} as a short.")))?))
}

fn once(levels: &mut BTreeMap<String, i16>, feature: &str, level: i16) -> Result<(), Failure> {
    match levels.insert(feature.to_owned(), level) {
        None => Ok(()),
        Some(_) => Err(Failure(format!("Feature {feature} was specified more than once."))),
    }
}

/// The levels that the options ask for.
fn levels(values: &Values, upgrade: FeatureUpgrade, console: &mut Console) -> Result<BTreeMap<String, i16>, Failure> {
    let mut levels = BTreeMap::new();
    let metadata_version = Feature::MetadataVersion.name().to_owned();
    if let Some(release) = values.one("release-version") {
        if values.has("metadata") || values.has("feature") {
            return Err(Failure("Can not specify `release-version` with other feature flags.".to_owned()));
        }
        let level = level_of(release, newest())?;
        levels.insert(metadata_version, level.0);
        // No request raises a level to zero.
        let others = levels_at(level).filter(|(_, level)| *level > 0 || upgrade != FeatureUpgrade::Upgrade);
        levels.extend(others.map(|(feature, level)| (feature.name().to_owned(), level)));
        return Ok(levels);
    }
    if let Some(release) = values.one("metadata") {
        console.line(" `metadata` flag is deprecated and may be removed in a future release.");
        levels.insert(metadata_version, level_of(release, newest())?.0);
    }
    for argument in values.all("feature") {
        let (feature, level) = name_and_level(argument)?;
        once(&mut levels, feature, level)?;
    }
    Ok(levels)
}

/// A change that was asked for.
struct Update<'a> {
    command: &'a str,
    levels: BTreeMap<String, i16>,
    upgrade: FeatureUpgrade,
    is_dry_run: bool,
    servers: Servers,
}

fn update(
    admin: &Admin,
    Update { command, levels, upgrade, is_dry_run, servers }: Update<'_>,
    console: &mut Console,
) -> Result<(), Failure> {
    let levels = &levels;
    if levels.is_empty() {
        return Err(Failure(format!("You must specify at least one feature to {command}")));
    }
    let updated = block_on(async {
        servers.check(admin).await?;
        admin.update_features(levels, upgrade, is_dry_run).await
    })?;
    for (feature, level) in levels {
        let to = if command == "disable" { String::new() } else { format!(" to {level}") };
        match &updated {
            Ok(()) => {
                let verb = if is_dry_run { "can be" } else { "was" };
                console.line(&format!("{feature} {verb} {}d{to}.", command));
            }
            Err(error) => {
                let verb = if is_dry_run { "Can not" } else { "Could not" };
                console.line(&format!("{verb} {command} {feature}{to}. {error}"));
            }
        }
    }
    match updated {
        Ok(()) => Ok(()),
        Err(_) => Err(Failure(format!("{0} out of {0} operation(s) failed.", levels.len()))),
    }
}
