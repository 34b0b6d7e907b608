//! Events on standard error, and the loggers whose levels say which.

use ottla_broker::Loggers;
use ottla_config::LogLevel;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::Arc;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Every logger by its name, and where its events come from. A name with dots is Kafka's for what is nearest to it here; two
/// names of one place are one logger.
const LOGGERS: [(&str, &str); 34] = [
    ("kafka.coordinator.transaction.TransactionCoordinator", "ottla_broker::transactions"),
    ("kafka.network.SocketServer", "ottla_net"),
    ("kafka.server.BrokerServer", "ottla_broker::node"),
    ("kafka.server.KafkaApis", "ottla_broker::api"),
    ("kafka.server.ReplicaManager", "ottla_broker::partition"),
    ("kafka.server.metadata.BrokerMetadataPublisher", "ottla_broker::publisher"),
    ("org.apache.kafka", "ottla"),
    ("org.apache.kafka.controller.QuorumController", "ottla_controller"),
    ("org.apache.kafka.coordinator.common.runtime.CoordinatorRuntime", "ottla_coordinator"),
    ("org.apache.kafka.coordinator.group.GroupCoordinatorService", "ottla_broker::groups"),
    ("org.apache.kafka.raft.KafkaRaftClient", "ottla_broker::quorum"),
    ("org.apache.kafka.server.ClientMetricsManager", "ottla_broker::telemetry"),
    ("org.apache.kafka.storage.internals.log.LogManager", "ottla_log"),
    ("ottla", "ottla"),
    ("ottla_broker", "ottla_broker"),
    ("ottla_broker::api", "ottla_broker::api"),
    ("ottla_broker::groups", "ottla_broker::groups"),
    ("ottla_broker::node", "ottla_broker::node"),
    ("ottla_broker::partition", "ottla_broker::partition"),
    ("ottla_broker::publisher", "ottla_broker::publisher"),
    ("ottla_broker::quorum", "ottla_broker::quorum"),
    ("ottla_broker::telemetry", "ottla_broker::telemetry"),
    ("ottla_broker::transactions", "ottla_broker::transactions"),
    ("ottla_config", "ottla_config"),
    ("ottla_controller", "ottla_controller"),
    ("ottla_coordinator", "ottla_coordinator"),
    ("ottla_groups", "ottla_groups"),
    ("ottla_log", "ottla_log"),
    ("ottla_metadata", "ottla_metadata"),
    ("ottla_net", "ottla_net"),
    ("ottla_raft", "ottla_raft"),
    ("ottla_records", "ottla_records"),
    ("ottla_transactions", "ottla_transactions"),
    (ROOT, ""),
];

/// The names of [`LOGGERS`].
const NAMES: [&str; LOGGERS.len()] = {
    let mut names = [""; LOGGERS.len()];
    let mut index = 0;
    while index < LOGGERS.len() {
        names[index] = LOGGERS[index].0;
        index += 1;
    }
    names
};

const ROOT: &str = "root";

/// Which levels have been set.
#[derive(Clone, Debug, PartialEq)]
struct Levels {
    root: LogLevel,
    by_target: BTreeMap<String, LogLevel>,
}

impl Levels {
    /// From a list like `info,ottla_log=debug`; gives what can't be understood of it too.
    fn parse(text: &str) -> (Self, Vec<String>) {
        let mut levels = Self { root: LogLevel::Info, by_target: BTreeMap::new() };
        let mut odd = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (target, level) = part.split_once('=').unwrap_or(("", part));
            match LogLevel::from_name(&level.trim().to_uppercase()) {
                Some(level) if target.is_empty() => levels.root = level,
                Some(level) => drop(levels.by_target.insert(target.trim().to_owned(), level)),
                None => odd.push(part.to_owned()),
            }
        }
        (levels, odd)
    }

    /// The level of a target: of the longest part of its path that has one, else the root's.
    fn of(&self, target: &str) -> LogLevel {
        let covers = |set: &str| {
            target.strip_prefix(set).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
                // Every part of Ottla is below `ottla`.
                || (set == "ottla" && target.starts_with("ottla_"))
        };
        let nearest = self.by_target.iter().filter(|(set, _)| covers(set)).max_by_key(|(set, _)| set.len());
        nearest.map_or(self.root, |(_, level)| *level)
    }

    fn change(&mut self, logger: &str, level: Option<LogLevel>) {
        let Some((name, target)) = LOGGERS.iter().find(|(name, _)| *name == logger) else { return };
        match level {
            Some(level) if *name == ROOT => self.root = level,
            Some(level) => drop(self.by_target.insert((*target).to_owned(), level)),
            None => drop(self.by_target.remove(*target)),
        }
    }

    /// The same for the library that filters events. There a target covers every name that begins with it.
    fn filter(&self) -> EnvFilter {
        let mut text = word(self.root).to_owned();
        for (target, level) in &self.by_target {
            text.push_str(&format!(",{target}={}", word(*level)));
        }
        EnvFilter::new(text)
    }
}

/// There is nothing worse than an error here.
fn word(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Fatal => "off",
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    }
}

/// The loggers of this process.
pub(crate) struct ProcessLoggers {
    levels: Mutex<Levels>,
    /// Puts levels in force.
    apply: Box<dyn Fn(EnvFilter) + Send + Sync>,
}

impl Loggers for ProcessLoggers {
    fn names(&self) -> &[&'static str] {
        &NAMES
    }

    fn level(&self, name: &str) -> LogLevel {
        let target = LOGGERS.iter().find(|(known, _)| *known == name).map_or("", |(_, target)| *target);
        self.levels.lock().of(target)
    }

    fn change(&self, changes: &[(&str, Option<LogLevel>)]) {
        let mut levels = self.levels.lock();
        for (logger, level) in changes {
            levels.change(logger, *level);
        }
        (self.apply)(levels.filter());
    }
}

/// Events go to standard error, from `info` on. `OTTLA_LOG` changes that, for example `OTTLA_LOG=warn,ottla_log=debug`, and so
/// does whoever sets the level of a logger while the server runs.
pub(crate) fn start() -> Arc<ProcessLoggers> {
    start_to(std::io::stderr, std::io::stderr().is_terminal())
}

fn start_to<W>(writer: W, ansi: bool) -> Arc<ProcessLoggers>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let (levels, odd) = Levels::parse(&std::env::var("OTTLA_LOG").unwrap_or_default());
    let builder = tracing_subscriber::fmt()
        .with_writer(writer)
        .with_ansi(ansi)
        .with_target(false)
        .with_env_filter(levels.filter())
        .with_filter_reloading();
    let handle = builder.reload_handle();
    if let Err(error) = builder.try_init() {
        eprintln!("ottla: events can't be printed: {error}");
    }
    if !odd.is_empty() {
        tracing::warn!(parts = odd.join(","), "OTTLA_LOG has parts that are no levels");
    }
    let apply = Box::new(move |filter| {
        if let Err(error) = handle.reload(filter) {
            tracing::warn!(%error, "the levels of loggers can't be changed");
        }
    });
    Arc::new(ProcessLoggers { levels: Mutex::new(levels), apply })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logger_has_its_own_level_or_that_of_the_nearest_above_it() {
        let (mut levels, odd) = Levels::parse("warn, ottla_broker=debug,ottla_log=loud");
        assert_eq!(odd, ["ottla_log=loud"]);
        assert_eq!(levels.of("ottla_net"), LogLevel::Warn);
        assert_eq!(levels.of("ottla_broker::api"), LogLevel::Debug);
        levels.change("org.apache.kafka", Some(LogLevel::Error));
        levels.change("kafka.server.KafkaApis", Some(LogLevel::Trace));
        assert_eq!(levels.of("ottla_net"), LogLevel::Error);
        assert_eq!(levels.of("ottla_broker::api::fetch"), LogLevel::Trace);
        assert_eq!(levels.filter().to_string().matches("ottla_broker::api=trace").count(), 1);
        levels.change("ottla_broker::api", None);
        assert_eq!(levels.of("ottla_broker::api"), LogLevel::Debug, "both names are of one logger");
        levels.change("root", Some(LogLevel::Fatal));
        assert_eq!(levels.of("hyper"), LogLevel::Fatal);
    }

    #[test]
    fn names_are_in_order_and_root_is_the_last() {
        assert!(NAMES.is_sorted() && NAMES.last() == Some(&ROOT));
    }
}
