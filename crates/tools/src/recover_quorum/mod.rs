//! `ottla recover-quorum`: makes a survivor the only voter when a majority of the voters is lost for ever.

mod others;
mod report;

use crate::console::Console;
use crate::failure::{Stop, help_or_version, require};
use crate::options::{Opt, Options, Parsed};
use ottla_broker::{Recovery, RecoveryError, Survivor};
use ottla_config::{NodeConfig, properties};
use ottla_env::{Clock, Disk, DiskResult};
use ottla_env_os::{OsClock, OsDisk, OsRandom};
use ottla_log::Environment;
use ottla_types::NodeId;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const OPTIONS: Options = Options {
    about: "Makes this node the only voter of the metadata quorum, when the majority of the voters is lost for ever. What only they \
            knew is lost. Changes nothing without --execute. The node must not run.",
    table: &[
        Opt::text("config", "properties file", "The properties file of the node."),
        Opt::text(
            "backup",
            "directory",
            "Where the metadata log is copied to before it is changed; beside the log directory if unset.",
        ),
        Opt::text(
            "lost",
            "ids",
            "Brokers that are lost for ever with their disks, by commas: partitions are left to the replicas in sync that there are yet.",
        ),
        Opt::flag("execute", "Do it. Without this, the tool says what the directory holds and what it would do."),
    ],
};

/// Runs the tool.
pub(crate) fn run(arguments: &[String], console: &mut Console) -> i32 {
    let done = OPTIONS
        .parse(arguments)
        .map_err(|error| Stop::Usage(error.to_string()))
        .and_then(|parsed| work(&parsed, console).map(|()| 0));
    done.unwrap_or_else(|stop| stop.tell(&OPTIONS, console))
}

impl From<RecoveryError> for Stop {
    fn from(error: RecoveryError) -> Self {
        Self::Message(format!("Nothing was changed: {error}."))
    }
}

fn work(parsed: &Parsed, console: &mut Console) -> Result<(), Stop> {
    help_or_version(&OPTIONS, parsed, console)?;
    require(parsed, "config")?;
    let config = read_config(&parsed.value("config")?.unwrap_or_default())?;
    let environment = environment();
    let _lock = lock(&config)?;
    let survivor = Survivor::read(&environment, &config)?;
    console.print(&report::found(&survivor));
    let lost = lost(parsed)?;
    if lost.contains(&config.node_id) {
        return Err(Stop::Usage("--lost names this node, which is to go on.".to_owned()));
    }
    let recovery = Recovery::of(&survivor, &config, &lost)?;
    let backup = parsed.value("backup")?.map_or_else(|| beside(&config, &recovery), PathBuf::from);
    let backup = std::path::absolute(backup).map_err(|error| Stop::Message(error.to_string()))?;
    refuse_backup_within(&config, &backup)?;
    console.print(&report::warning(&survivor));
    console.print(&report::steps(&survivor, &recovery, &backup, &lost));
    others::refuse_if_one_listens(&survivor)?;
    if !parsed.has("execute") {
        console.line("Nothing was changed. To do it, stop all other voters for ever and add --execute.");
        return Ok(());
    }
    let written = recovery.write(&environment, &survivor, &backup);
    written.map_err(|error| {
        Stop::Message(format!("{error}. The metadata log is as it was or recovered, never in between; the same command can be repeated with another --backup."))
    })?;
    console.print(&report::done(&survivor, &recovery, &backup));
    Ok(())
}

fn lost(parsed: &Parsed) -> Result<BTreeSet<NodeId>, Stop> {
    let text = parsed.value("lost")?.unwrap_or_default();
    let ids = text.split(',').map(str::trim).filter(|id| !id.is_empty());
    let id = |id: &str| {
        let number = id.parse().map(NodeId);
        number.map_err(|_| Stop::Usage(format!("--lost takes ids of brokers by commas, and {id:?} is none.")))
    };
    ids.map(id).collect()
}

fn read_config(path: &str) -> Result<NodeConfig, Stop> {
    let failed = |error: &dyn std::fmt::Display| Stop::Message(error.to_string());
    let bytes = std::fs::read(path).map_err(|error| failed(&format!("{path}: {error}")))?;
    let mut properties = properties::parse(&bytes, path).map_err(|error| failed(&error))?;
    properties.resolve(&crate::ProcessSources).map_err(|error| failed(&error))?;
    NodeConfig::from_properties(properties).map(|(config, _)| config).map_err(|error| failed(&error))
}

fn environment() -> Environment {
    let clock: Arc<dyn Clock> = Arc::new(OsClock::new());
    Environment { disk: Arc::new(OsDisk), clock, random: Arc::new(OsRandom) }
}

/// Keeps servers out of the log directories meanwhile, and finds out whether one is in them.
fn lock(config: &NodeConfig) -> Result<Vec<Box<dyn Send + Sync>>, Stop> {
    let mut locks = Vec::new();
    // The directory of the metadata is among the others as a rule.
    let directories: BTreeSet<&String> = config.log_dirs.iter().chain([&config.metadata_log_dir]).collect();
    for directory in directories {
        let path = Path::new(directory).join(".lock");
        if !path.exists() {
            continue;
        }
        let lock: DiskResult<Option<Box<dyn Send + Sync>>> = OsDisk.lock(&path);
        let lock = lock.map_err(|error| Stop::Message(error.to_string()))?;
        let running = format!("A server uses {directory}: stop the node first. Nothing was changed.");
        locks.push(lock.ok_or(Stop::Message(running))?);
    }
    Ok(locks)
}

/// Where the copy goes unless the operator says: not into the log directory, where servers look for partitions.
fn beside(config: &NodeConfig, recovery: &Recovery) -> PathBuf {
    let directory = config.metadata_log_dir.trim_end_matches('/');
    PathBuf::from(format!("{directory}-before-recovery-{}", recovery.snapshot.0.epoch))
}

fn refuse_backup_within(config: &NodeConfig, backup: &Path) -> Result<(), Stop> {
    let all = config.log_dirs.iter().chain([&config.metadata_log_dir]);
    let within = all.filter_map(|directory| std::path::absolute(directory).ok()).find(|it| backup.starts_with(it));
    within.map_or(Ok(()), |directory| {
        let directory = directory.display();
        let sentence =
            format!("The backup can't be in the log directory {directory}: a server would take it for a partition.");
        Err(Stop::Message(sentence))
    })
}
