//! What the tools that talk to a cluster share: settings from files, a runtime, an admin client.

use ottla_client::{Admin, ClientError, ClientSettings, Endpoints};
use ottla_config::Properties;
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
