use crate::error::{ClientError, Result};
use std::time::Duration;

/// What every client needs to know: where the cluster is and how patient to be.
///
/// Each field stands for the setting of Apache Kafka's Java client that its comment names, with the same default.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// `bootstrap.servers`: `host:port` of some servers; one that answers is enough.
    pub bootstrap_servers: Vec<String>,
    /// `client.id`: names this client in the server's logs and quotas.
    pub client_id: String,
    /// `client.rack`: where this client is, for reading from a near replica. Empty: unknown.
    pub rack: String,
    /// `request.timeout.ms`: how long one request may wait for its answer before its connection is given up.
    pub request_timeout: Duration,
    /// `default.api.timeout.ms`: how long one call may take with all its retries.
    pub api_timeout: Duration,
    /// `retry.backoff.ms`: the first pause before a retry.
    pub retry_backoff: Duration,
    /// `retry.backoff.max.ms`: the longest pause before a retry.
    pub retry_backoff_max: Duration,
    /// `reconnect.backoff.ms`: the first pause before a node is tried again.
    pub reconnect_backoff: Duration,
    /// `reconnect.backoff.max.ms`: the longest pause before a node is tried again.
    pub reconnect_backoff_max: Duration,
    /// `socket.connection.setup.timeout.ms`: how long a connection may take to be made.
    pub connect_timeout: Duration,
    /// `metadata.max.age.ms`: after this time the metadata is asked for again without a reason.
    pub metadata_age_max: Duration,
    /// `send.buffer.bytes`: the socket's send buffer; `None` leaves it to the system.
    pub send_buffer_bytes: Option<usize>,
    /// `receive.buffer.bytes`: the socket's receive buffer; `None` leaves it to the system.
    pub receive_buffer_bytes: Option<usize>,
    /// The largest answer that is accepted. Memory is taken as the bytes arrive, never by the announced length alone.
    pub response_bytes_max: usize,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            bootstrap_servers: vec!["localhost:9092".to_owned()],
            client_id: "ottla".to_owned(),
            rack: String::new(),
            request_timeout: Duration::from_secs(30),
            api_timeout: Duration::from_secs(60),
            retry_backoff: Duration::from_millis(100),
            retry_backoff_max: Duration::from_secs(1),
            reconnect_backoff: Duration::from_millis(50),
            reconnect_backoff_max: Duration::from_secs(1),
            connect_timeout: Duration::from_secs(10),
            metadata_age_max: Duration::from_secs(300),
            send_buffer_bytes: None,
            receive_buffer_bytes: None,
            response_bytes_max: 512 << 20,
        }
    }
}

impl ClientSettings {
    /// The defaults, with these bootstrap servers: `host:port` separated by commas.
    pub fn new(bootstrap_servers: &str) -> Self {
        Self { bootstrap_servers: split_list(bootstrap_servers), ..Self::default() }
    }

    /// Sets one setting by its name in Kafka's client configuration. `Ok(false)`: not a setting of every client.
    ///
    /// # Errors
    /// The value is not allowed.
    pub fn set(&mut self, key: &str, value: &str) -> Result<bool> {
        match key {
            "bootstrap.servers" => self.bootstrap_servers = split_list(value),
            "client.id" => self.client_id = value.to_owned(),
            "client.rack" => self.rack = value.to_owned(),
            "request.timeout.ms" => self.request_timeout = milliseconds(key, value)?,
            "default.api.timeout.ms" => self.api_timeout = milliseconds(key, value)?,
            "retry.backoff.ms" => self.retry_backoff = milliseconds(key, value)?,
            "retry.backoff.max.ms" => self.retry_backoff_max = milliseconds(key, value)?,
            "reconnect.backoff.ms" => self.reconnect_backoff = milliseconds(key, value)?,
            "reconnect.backoff.max.ms" => self.reconnect_backoff_max = milliseconds(key, value)?,
            "socket.connection.setup.timeout.ms" => self.connect_timeout = milliseconds(key, value)?,
            "metadata.max.age.ms" => self.metadata_age_max = milliseconds(key, value)?,
            "send.buffer.bytes" => self.send_buffer_bytes = optional_bytes(key, value)?,
            "receive.buffer.bytes" => self.receive_buffer_bytes = optional_bytes(key, value)?,
            "security.protocol" if value.eq_ignore_ascii_case("PLAINTEXT") => {}
            "security.protocol" => return Err(invalid(key, value, "only PLAINTEXT is supported")),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// Splits a comma-separated list, without the blanks around its entries and without empty entries.
pub(crate) fn split_list(value: &str) -> Vec<String> {
    value.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(str::to_owned).collect()
}

pub(crate) fn invalid(key: &str, value: &str, allowed: &str) -> ClientError {
    ClientError::Setting { key: key.to_owned(), value: value.to_owned(), allowed: allowed.to_owned() }
}

/// A number of milliseconds, zero or more.
pub(crate) fn milliseconds(key: &str, value: &str) -> Result<Duration> {
    let number: u64 = value.trim().parse().map_err(|_| invalid(key, value, "a number of milliseconds"))?;
    Ok(Duration::from_millis(number))
}

/// A number of this type, within the range.
pub(crate) fn number<T: std::str::FromStr + PartialOrd + std::fmt::Display>(
    key: &str,
    value: &str,
    range: std::ops::RangeInclusive<T>,
) -> Result<T> {
    let allowed = || invalid(key, value, &format!("a number from {} to {}", range.start(), range.end()));
    let number: T = value.trim().parse().map_err(|_| allowed())?;
    if range.contains(&number) { Ok(number) } else { Err(allowed()) }
}

pub(crate) fn boolean(key: &str, value: &str) -> Result<bool> {
    match value.trim().to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(invalid(key, value, "true or false")),
    }
}

/// A buffer size; -1 leaves it to the system.
fn optional_bytes(key: &str, value: &str) -> Result<Option<usize>> {
    let number = number(key, value, -1..=i64::from(i32::MAX))?;
    Ok(usize::try_from(number).ok())
}
