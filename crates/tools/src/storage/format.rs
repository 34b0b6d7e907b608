use super::directories::{Found, Stored, look_at};
use super::features::{level_of, release_of};
use super::{Config, scram, voters};
use crate::argparse::Values;
use crate::console::Console;
use crate::java::{Sized, hash_order, string_hash};
use crate::subcommands::Failure;
use ottla_broker::FormatRequest;
use ottla_controller::format::{Bootstrap, FormatOptions, bootstrap};
use ottla_env::Clock;
use ottla_env_os::{OsClock, OsDisk, OsRandom};
use ottla_log::Environment;
use ottla_metadata::{Feature, MetadataVersionExt, VersionedRecord};
use ottla_protocol::metadata_records::MetadataRecord;
use ottla_raft::{SnapshotId, VoterSet};
use ottla_types::MetadataVersion;
use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

const FLAGS: &str = "--standalone, --initial-controllers, or --no-initial-controllers";

/// `format`.
pub(super) fn format(values: &Values, config: &Config, console: &mut Console) -> Result<(), Failure> {
    let release = values.one("release-version");
    let release = release.map(|release| level_of(release, MetadataVersion::LATEST)).transpose()?;
    let voters = initial_voters(values, config)?;
    let bootstrap = start_of_cluster(values, config, release)?;
    let cluster_id = values.one("cluster-id").unwrap_or_default();
    let unformatted = unformatted(values, config, cluster_id, console)?;
    if unformatted.is_empty() {
        console.line("All of the log directories are already formatted.");
        return Ok(());
    }
    console.line(&format!("Bootstrap metadata: {}", shown(&bootstrap)));
    let work = Work { config, cluster_id, bootstrap: &bootstrap, voters: voters.as_ref() };
    unformatted.iter().try_for_each(|directory| work.format(directory, console))
}

/// The voters that the log is to start with; `None` when it is to have none.
fn initial_voters(values: &Values, config: &Config) -> Result<Option<VoterSet>, Failure> {
    let names = values.has("initial-controllers") || values.has("standalone");
    if config.has_static_voters && names {
        return Err(Failure(
            "You cannot specify controller.quorum.voters and format the node with --initial-controllers or --standalone. If \
             you want to use dynamic quorum, please remove controller.quorum.voters and specify \
             controller.quorum.bootstrap.servers instead."
                .to_owned(),
        ));
    }
    let listener = config.node.listeners.controller_listener_names.first().map(String::as_str).unwrap_or_default();
    if let Some(text) = values.one("initial-controllers") {
        return voters::parse(text, listener).map(Some);
    }
    if values.has("standalone") {
        return voters::standalone(config).map(Some);
    }
    let must_choose = config.node.process_roles.controller && !config.has_static_voters;
    if must_choose && !values.has("no-initial-controllers") {
        return Err(Failure(format!(
            "Because controller.quorum.voters is not set on this controller, you must specify one of the following: {FLAGS}."
        )));
    }
    Ok(None)
}

/// The levels and records that the cluster starts with.
fn start_of_cluster(values: &Values, config: &Config, release: Option<MetadataVersion>) -> Result<Bootstrap, Failure> {
    let mut levels = feature_levels(values)?;
    let name = Feature::MetadataVersion.name();
    let metadata_version = match (levels.remove(name), release) {
        (Some(_), Some(_)) => {
            let sentence = format!("Use --release-version instead of --feature {name}=X to avoid ambiguity.");
            return Err(Failure(sentence));
        }
        (Some(level), None) => Some(stable(level)?),
        (None, release) => release,
    };
    let is_dynamic = !config.has_static_voters;
    check_kraft_version(levels.get(Feature::KraftVersion.name()).copied(), is_dynamic)?;
    levels.remove(Feature::KraftVersion.name());
    let options = FormatOptions { metadata_version, feature_levels: levels, has_dynamic_voters: is_dynamic };
    let mut bootstrap = bootstrap(&options)?;
    for argument in values.all("add-scram") {
        if !bootstrap.metadata_version.has_scram() {
            return Err(Failure("SCRAM is only supported in metadata.version 3.5-IV2 or later.".to_owned()));
        }
        let record = MetadataRecord::UserScramCredential(scram::credential(argument)?);
        bootstrap.records.push(VersionedRecord::from(record));
    }
    Ok(bootstrap)
}

fn feature_levels(values: &Values) -> Result<BTreeMap<String, i16>, Failure> {
    let mut levels = BTreeMap::new();
    for argument in values.all("feature") {
        let failed = |what: String| Failure(format!("Can't parse feature=level string {argument}: {what}."));
        let (name, text) = argument.split_once('=').ok_or_else(|| failed("equals sign not found".to_owned()))?;
        let level = text.trim().parse().map_err(|_| failed(format!("unable to parse {text} as a short")))?;
        levels.insert(name.trim().to_owned(), level);
    }
    Ok(levels)
}

fn stable(level: i16) -> Result<MetadataVersion, Failure> {
    let version = MetadataVersion(level);
    let newest = ottla_metadata::releases().last().map_or(MetadataVersion::LATEST, |(level, _)| level);
    if version < MetadataVersion::MINIMUM || version > newest {
        return Err(Failure(format!(
            "No MetadataVersion with feature level {level}. Valid feature levels are from {} to {newest}.",
            MetadataVersion::MINIMUM
        )));
    }
    if version > MetadataVersion::LATEST {
        return Err(Failure(format!("metadata.version {} is not yet stable.", release_of(version))));
    }
    Ok(version)
}

/// The level of `kraft.version` follows from how the voters are configured; a level that is given must be that one.
fn check_kraft_version(level: Option<i16>, is_dynamic: bool) -> Result<(), Failure> {
    let condition = |flags: &str| format!("controller.quorum.voters is empty and one of the flags {flags} is used");
    match level {
        Some(0) if is_dynamic => Err(Failure(format!(
            "Cannot set kraft.version to 0 if {}. For dynamic controllers support, try removing the --feature flag for \
             kraft.version.",
            condition(FLAGS)
        ))),
        Some(1..) if !is_dynamic => Err(Failure(format!(
            "Cannot set kraft.version to {} unless {}. For dynamic controllers support, try using one of {FLAGS} and removing \
             controller.quorum.voters.",
            level.unwrap_or_default(),
            condition(FLAGS)
        ))),
        _ => Ok(()),
    }
}

/// The directories to format, in the order of Kafka's tool, after a look at the others.
fn unformatted(
    values: &Values,
    config: &Config,
    cluster_id: &str,
    console: &mut Console,
) -> Result<Vec<String>, Failure> {
    let mut directories: Vec<_> = config.directories().into_iter().collect();
    hash_order(&mut directories, Sized::Default, |directory| string_hash(directory));
    let (mut formatted, mut unformatted, mut unreadable) = (Vec::new(), Vec::new(), Vec::new());
    for directory in directories {
        match look_at(&directory) {
            Found::Formatted(stored) => formatted.push((directory, stored)),
            Found::Unformatted => unformatted.push(directory),
            Found::Unreadable => unreadable.push(directory),
        }
    }
    for (directory, stored) in &formatted {
        check_owner(directory, stored, config, cluster_id)?;
    }
    if let Some((directory, _)) = formatted.first()
        && !values.has("ignore-formatted")
    {
        return Err(Failure(format!(
            "Log directory {directory} is already formatted. Use --ignore-formatted to ignore this directory and format the \
             others."
        )));
    }
    for directory in &unreadable {
        console.line(&format!("I/O error trying to read log directory {directory}. Ignoring..."));
    }
    if unformatted.is_empty() && formatted.is_empty() {
        return Err(Failure("No available log directories to format.".to_owned()));
    }
    Ok(unformatted)
}

/// A formatted directory must be one of this node and cluster.
fn check_owner(directory: &str, stored: &Stored, config: &Config, cluster_id: &str) -> Result<(), Failure> {
    let (file, node_id) = (Path::new(directory).join("meta.properties"), config.node.node_id.value());
    if let Some(other) = stored.cluster_id.as_deref().filter(|other| *other != cluster_id) {
        let file = file.display();
        return Err(Failure(format!("Invalid cluster.id in: {file}. Expected {cluster_id}, but read {other}")));
    }
    match stored.node_id.filter(|other| *other != node_id) {
        Some(other) => Err(Failure(format!(
            "{} belongs to node {other}, and node.id is {node_id}: correct node.id, or give a new node empty directories",
            file.display()
        ))),
        None => Ok(()),
    }
}

/// What the formatting of each directory needs.
struct Work<'a> {
    config: &'a Config,
    cluster_id: &'a str,
    bootstrap: &'a Bootstrap,
    voters: Option<&'a VoterSet>,
}

impl Work<'_> {
    fn format(&self, directory: &str, console: &mut Console) -> Result<(), Failure> {
        let node = &self.config.node;
        let is_metadata = directory == node.metadata_log_dir;
        let own = self.voters.and_then(|voters| voters.iter().find(|voter| voter.key.id == node.node_id));
        let kind = match (is_metadata, self.voters, own) {
            (false, ..) => "data directory",
            (true, None, _) => "metadata directory",
            (true, Some(_), None) => "dynamic metadata directory",
            (true, Some(_), Some(_)) => "dynamic metadata voter directory",
        };
        let release = release_of(self.bootstrap.metadata_version);
        console.line(&format!("Formatting {kind} {directory} with metadata.version {release}."));
        let path = std::path::absolute(directory)?;
        // A broker without controller gets its metadata from the controllers.
        let has_snapshot = is_metadata && node.process_roles.controller;
        let none = VoterSet::new([]);
        let request = FormatRequest {
            directories: std::slice::from_ref(&path),
            metadata_directory: if has_snapshot { &path } else { Path::new("") },
            metadata_directory_id: own.and_then(|voter| voter.key.directory),
            cluster_id: self.cluster_id,
            node_id: node.node_id,
            bootstrap: self.bootstrap,
            voters: self.voters.unwrap_or(&none),
        };
        ottla_broker::format(&environment(), &request)?;
        if has_snapshot {
            // Nothing may change a snapshot any more.
            let snapshot = path.join("__cluster_metadata-0").join(SnapshotId::BOOTSTRAP.file_name());
            fs::set_permissions(snapshot, Permissions::from_mode(0o400))?;
        }
        Ok(())
    }
}

fn environment() -> Environment {
    let clock: Arc<dyn Clock> = Arc::new(OsClock::new());
    Environment { disk: Arc::new(OsDisk), clock, random: Arc::new(OsRandom) }
}

/// The bootstrap metadata as Kafka's Java object shows itself.
fn shown(bootstrap: &Bootstrap) -> String {
    let records: Vec<_> = bootstrap
        .records
        .iter()
        .filter_map(|versioned| match &versioned.record {
            MetadataRecord::FeatureLevel(record) => Some(format!(
                "ApiMessageAndVersion(FeatureLevelRecord(name='{}', featureLevel={}) at version {})",
                record.name, record.feature_level, versioned.version
            )),
            MetadataRecord::UserScramCredential(record) => {
                Some(format!("ApiMessageAndVersion({} at version {})", scram::shown(record), versioned.version))
            }
            _ => None,
        })
        .collect();
    let level = bootstrap.metadata_version;
    format!("BootstrapMetadata(records=[{}], metadataVersionLevel={level}, source=format command)", records.join(", "))
}
