use crate::error::{ClientError, Result};
use crate::settings::{ClientSettings, boolean, invalid, milliseconds, number};
use ottla_records::Compression;
use std::time::Duration;

/// When a record counts as delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acks {
    /// As soon as it is sent; nothing is known of its fate.
    None,
    /// When the leader has appended it.
    Leader,
    /// When all replicas in sync have it.
    All,
}

impl Acks {
    pub(crate) fn code(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Leader => 1,
            Self::All => -1,
        }
    }
}

/// The settings of a producer, with the defaults of Apache Kafka's Java producer.
#[derive(Clone, Debug)]
pub struct ProducerSettings {
    /// The settings of every client.
    pub client: ClientSettings,
    /// `acks`.
    pub acks: Acks,
    /// `enable.idempotence`: no retry makes a record appear twice or out of order.
    pub idempotence: bool,
    /// `batch.size`: a batch is sent when it has this many bytes.
    pub batch_bytes: usize,
    /// `linger.ms`: a batch that is not full waits this long for more records.
    pub linger: Duration,
    /// `buffer.memory`: records that wait to be sent or acknowledged have at most this many bytes.
    pub buffer_bytes: usize,
    /// `compression.type`.
    pub compression: Compression,
    /// `compression.<codec>.level`; `None` is the codec's default.
    pub compression_level: Option<i32>,
    /// `max.in.flight.requests.per.connection`: from 1 to 5 with idempotence.
    pub in_flight_max: usize,
    /// `max.request.size`: a request has at most this many bytes of records.
    pub request_bytes_max: usize,
    /// `max.block.ms`: how long `send` may wait for metadata and for memory.
    pub block_max: Duration,
    /// `delivery.timeout.ms`: how long a record may take from `send` to its acknowledgement, with all retries.
    pub delivery_timeout: Duration,
    /// `retries`: how often a batch is sent again.
    pub retries_max: u32,
    /// `transactional.id`: the producer sends in transactions, and takes the place of an older producer of that id.
    pub transactional_id: Option<String>,
    /// `transaction.timeout.ms`: the coordinator aborts a transaction that is open for longer.
    pub transaction_timeout: Duration,
    /// `partitioner.ignore.keys`: the partition does not depend on the key.
    pub partitioner_ignores_keys: bool,
}

impl Default for ProducerSettings {
    fn default() -> Self {
        Self {
            client: ClientSettings::default(),
            acks: Acks::All,
            idempotence: true,
            batch_bytes: 16_384,
            linger: Duration::from_millis(5),
            buffer_bytes: 32 << 20,
            compression: Compression::None,
            compression_level: None,
            in_flight_max: 5,
            request_bytes_max: 1 << 20,
            block_max: Duration::from_secs(60),
            delivery_timeout: Duration::from_secs(120),
            retries_max: i32::MAX as u32,
            transactional_id: None,
            transaction_timeout: Duration::from_secs(60),
            partitioner_ignores_keys: false,
        }
    }
}

impl ProducerSettings {
    /// The defaults, with these bootstrap servers: `host:port` separated by commas.
    pub fn new(bootstrap_servers: &str) -> Self {
        Self { client: ClientSettings::new(bootstrap_servers), ..Self::default() }
    }

    /// These settings as a producer of transactions.
    pub fn transactional(mut self, transactional_id: impl Into<String>) -> Self {
        self.transactional_id = Some(transactional_id.into());
        self
    }

    /// Settings by their names in Kafka's producer configuration. Idempotence is turned off when it was not asked for
    /// and another setting excludes it, as the Java producer does. Unknown names are answered, for a warning.
    ///
    /// # Errors
    /// A value is not allowed, or settings contradict each other.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<(Self, Vec<String>)> {
        let mut settings = Self::default();
        settings.client.client_id = "ottla-producer".to_owned();
        let mut unknown = Vec::new();
        let mut wants_idempotence = None;
        let mut levels = Vec::new();
        for (key, value) in pairs {
            match key {
                "enable.idempotence" => wants_idempotence = Some(boolean(key, value)?),
                "compression.gzip.level" | "compression.lz4.level" | "compression.zstd.level" => {
                    levels.push((key, number(key, value, i32::MIN..=i32::MAX)?));
                }
                _ if settings.set(key, value)? => {}
                _ => unknown.push(key.to_owned()),
            }
        }
        let level = |(key, level): &(&str, i32)| (*key == level_key(settings.compression)).then_some(*level);
        settings.compression_level = levels.iter().find_map(level);
        settings.settle_idempotence(wants_idempotence)?;
        Ok((settings, unknown))
    }

    /// Sets one setting by its name in Kafka's producer configuration. `Ok(false)`: not a setting of a producer.
    ///
    /// # Errors
    /// The value is not allowed.
    pub fn set(&mut self, key: &str, value: &str) -> Result<bool> {
        let bytes = 0..=i32::MAX as usize;
        match key {
            "acks" => {
                self.acks = match value.trim() {
                    "all" | "-1" => Acks::All,
                    "1" => Acks::Leader,
                    "0" => Acks::None,
                    _ => return Err(invalid(key, value, "all, -1, 0 or 1")),
                }
            }
            "enable.idempotence" => self.idempotence = boolean(key, value)?,
            "batch.size" => self.batch_bytes = number(key, value, bytes)?,
            "linger.ms" => self.linger = milliseconds(key, value)?,
            "buffer.memory" => self.buffer_bytes = number(key, value, bytes)?,
            "compression.type" => self.compression = compression(key, value)?,
            "max.in.flight.requests.per.connection" => self.in_flight_max = number(key, value, 1..=1_000)?,
            "max.request.size" => self.request_bytes_max = number(key, value, bytes)?,
            "max.block.ms" => self.block_max = milliseconds(key, value)?,
            "delivery.timeout.ms" => self.delivery_timeout = milliseconds(key, value)?,
            "retries" => self.retries_max = number(key, value, 0..=i32::MAX as u32)?,
            "transactional.id" => self.transactional_id = Some(value.to_owned()).filter(|id| !id.is_empty()),
            "transaction.timeout.ms" => self.transaction_timeout = milliseconds(key, value)?,
            "partitioner.ignore.keys" => self.partitioner_ignores_keys = boolean(key, value)?,
            "key.serializer" | "value.serializer" => {}
            _ => return self.client.set(key, value),
        }
        Ok(true)
    }

    fn settle_idempotence(&mut self, wanted: Option<bool>) -> Result<()> {
        let obstacle = if self.acks != Acks::All {
            Some("acks must be all")
        } else if self.retries_max == 0 {
            Some("retries must be greater than 0")
        } else if self.in_flight_max > 5 {
            Some("max.in.flight.requests.per.connection must be at most 5")
        } else {
            None
        };
        match (wanted, obstacle) {
            (Some(true), Some(obstacle)) => Err(invalid("enable.idempotence", "true", obstacle)),
            (wanted, obstacle) => {
                self.idempotence = wanted.unwrap_or(true) && obstacle.is_none();
                Ok(())
            }
        }
    }

    /// Whether the settings fit together.
    pub(crate) fn check(&self) -> Result<(), ClientError> {
        match &self.transactional_id {
            Some(id) if !self.idempotence => Err(invalid("transactional.id", id, "none without enable.idempotence")),
            _ if self.idempotence => self.clone().settle_idempotence(Some(true)),
            _ => Ok(()),
        }
    }
}

/// The codec of that name.
fn compression(key: &str, value: &str) -> Result<Compression> {
    Ok(match value.trim() {
        "none" => Compression::None,
        "gzip" => Compression::Gzip,
        "snappy" => Compression::Snappy,
        "lz4" => Compression::Lz4,
        "zstd" => Compression::Zstd,
        _ => return Err(invalid(key, value, "none, gzip, snappy, lz4 or zstd")),
    })
}

fn level_key(compression: Compression) -> &'static str {
    match compression {
        Compression::Gzip => "compression.gzip.level",
        Compression::Lz4 => "compression.lz4.level",
        Compression::Zstd => "compression.zstd.level",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Result<ProducerSettings> {
        ProducerSettings::from_pairs(pairs.iter().copied()).map(|(settings, _)| settings)
    }

    #[test]
    fn idempotence_gives_way_to_weaker_acks_unless_it_is_asked_for() {
        assert!(settings(&[]).unwrap().idempotence);
        assert!(!settings(&[("acks", "1")]).unwrap().idempotence);
        assert!(!settings(&[("retries", "0")]).unwrap().idempotence);
        assert!(settings(&[("acks", "1"), ("enable.idempotence", "true")]).is_err());
    }

    #[test]
    fn transactions_need_idempotence() {
        let settings = settings(&[("transactional.id", "t"), ("acks", "1")]).unwrap();
        assert!(settings.check().is_err());
        assert!(ProducerSettings::new("a:1").transactional("t").check().is_ok());
    }

    #[test]
    fn the_level_of_the_chosen_codec_is_taken() {
        let pairs = [("compression.gzip.level", "9"), ("compression.type", "zstd"), ("compression.zstd.level", "3")];
        assert_eq!(settings(&pairs).unwrap().compression_level, Some(3));
    }

    #[test]
    fn unknown_names_are_answered() {
        let (_, unknown) = ProducerSettings::from_pairs([("linger.ms", "1"), ("linger", "1")]).unwrap();
        assert_eq!(unknown, ["linger"]);
    }

    #[test]
    fn a_refused_value_names_its_key_and_what_is_allowed() {
        let error = settings(&[("acks", "2")]).unwrap_err().to_string();
        assert_eq!(error, "invalid value '2' for acks: all, -1, 0 or 1");
    }
}
