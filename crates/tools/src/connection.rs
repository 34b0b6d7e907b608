//! What the tools that talk to a cluster share: settings from files, a runtime, clients.

use crate::java;
use ottla_client::{
    Admin, ClientError, ClientSettings, Consumer, ConsumerSettings, Endpoints, Producer, ProducerSettings,
};
use ottla_config::Properties;
use std::collections::BTreeMap;
use std::future::Future;
use std::path::Path;
use std::time::Duration;

/// How many partitions one answer describes, unless the user says otherwise.
pub(crate) const PARTITIONS_PER_ANSWER: i32 = 2_000;

/// Runs a tool's work to its end.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> std::io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(work))
}

/// As [`block_on`], for work whose client shall send and receive beside it, on a thread of its own.
pub(crate) fn block_on_threads<T>(work: impl Future<Output = T>) -> std::io::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    Ok(runtime.block_on(work))
}

/// Ready when the process is told to stop: with the exit code of a Java process that ends so.
pub(crate) async fn stopped() -> i32 {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => 130,
        _ = terminate.recv() => 143,
    }
}

/// A producer with settings by their names. Within a runtime.
///
/// # Errors
/// A setting is not allowed: the exception that Java's producer throws.
pub(crate) fn producer(settings: &BTreeMap<String, String>) -> Result<Producer, String> {
    let (parsed, _) = ProducerSettings::from_pairs(pairs(settings)).map_err(|error| java::exception(&error))?;
    check_servers(&parsed.client, "producer")?;
    Producer::new(parsed).map_err(|error| java::exception(&error))
}

/// A consumer with settings by their names. Within a runtime.
///
/// # Errors
/// A setting is not allowed: the exception that Java's consumer throws.
pub(crate) fn consumer(settings: &BTreeMap<String, String>) -> Result<Consumer, String> {
    let (parsed, _) = ConsumerSettings::from_pairs(pairs(settings)).map_err(|error| java::exception(&error))?;
    check_servers(&parsed.client, "consumer")?;
    Consumer::new(parsed).map_err(|_| not_made("consumer"))
}

fn pairs(settings: &BTreeMap<String, String>) -> impl Iterator<Item = (&str, &str)> {
    settings.iter().map(|(key, value)| (key.as_str(), value.as_str()))
}

/// Java's clients are not made for a server without a port.
fn check_servers(settings: &ClientSettings, client: &str) -> Result<(), String> {
    let has_port = |server: &String| server.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    if !settings.bootstrap_servers.is_empty() && settings.bootstrap_servers.iter().all(has_port) {
        return Ok(());
    }
    Err(not_made(client))
}

fn not_made(client: &str) -> String {
    format!("org.apache.kafka.common.KafkaException: Failed to construct kafka {client}")
}

/// Adds the settings of a properties file.
///
/// # Errors
/// It can't be read: the path, where it is not there.
pub(crate) fn add_properties(settings: &mut BTreeMap<String, String>, path: &str) -> Result<(), String> {
    if !Path::new(path).exists() {
        return Err(path.to_owned());
    }
    let loaded = load_properties(path)?;
    settings.extend(loaded.iter().map(|(key, entry)| (key.to_owned(), entry.value.clone())));
    Ok(())
}

/// Reads a properties file.
///
/// # Errors
/// It can't be read, in Java's words: they are what users know.
pub(crate) fn load_properties(path: &str) -> Result<Properties, String> {
    let bytes = std::fs::read(Path::new(path)).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => path.to_owned(),
        std::io::ErrorKind::PermissionDenied => format!("{path} (Permission denied)"),
        _ => format!("{path} ({error})"),
    })?;
    ottla_config::properties::parse(&bytes, path).map_err(|error| error.to_string())
}

/// Reads `key=value` arguments; a key without a value has an empty one.
pub(crate) fn key_values(arguments: &[String]) -> Vec<(String, String)> {
    let pair = |argument: &String| match argument.split_once('=') {
        Some((key, value)) => (key.to_owned(), value.to_owned()),
        None => (argument.clone(), String::new()),
    };
    arguments.iter().map(pair).collect()
}

/// An admin client of the servers, with the settings of a file where there is one. `timeout_ms` limits each call.
///
/// # Errors
/// A setting is not allowed.
pub(crate) fn admin(
    servers: &str,
    properties: Option<&Properties>,
    timeout_ms: Option<i64>,
) -> Result<Admin, ClientError> {
    let mut settings = ClientSettings { client_id: "adminclient-1".to_owned(), ..ClientSettings::default() };
    for (key, entry) in properties.into_iter().flat_map(Properties::iter) {
        // Settings that no admin client obeys are passed over, as Kafka's tools do with a warning.
        settings.set(key, &entry.value)?;
    }
    settings.set("bootstrap.servers", servers)?;
    if let Some(timeout_ms) = timeout_ms {
        settings.api_timeout = Duration::from_millis(u64::try_from(timeout_ms).unwrap_or(0));
    }
    Admin::new(settings)
}

/// Whether the servers that were named are brokers or, with `--bootstrap-controller`, the controllers themselves (KIP-919).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Servers {
    Brokers,
    Controllers,
}

impl Servers {
    /// By whether controllers were named.
    pub(crate) fn of(has_controllers: bool) -> Self {
        if has_controllers { Self::Controllers } else { Self::Brokers }
    }

    /// Makes sure that they are controllers, where they have to be.
    ///
    /// # Errors
    /// They are brokers, or no answer could be had.
    pub(crate) async fn check(self, admin: &Admin) -> Result<(), ClientError> {
        match self {
            Self::Brokers => Ok(()),
            Self::Controllers => admin.describe_endpoints(Endpoints::Controllers).await.map(drop),
        }
    }
}
