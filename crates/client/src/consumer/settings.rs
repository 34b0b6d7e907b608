use super::assignor::Assignor;
use crate::admin::Isolation;
use crate::error::Result;
use crate::settings::{ClientSettings, boolean, invalid, milliseconds, number, split_list};
use std::time::Duration;

/// Where to begin in a partition without a committed offset, or whose offset does not exist any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetReset {
    /// At the first record.
    Earliest,
    /// Behind the last record.
    Latest,
    /// At the first record that is not older than this (KIP-1106).
    ByDuration(Duration),
    /// Nowhere: it is an error.
    None,
}

/// `group.protocol`: how the members of a group and its coordinator agree on who reads what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupProtocol {
    /// The members agree among themselves, all at once.
    Classic,
    /// The coordinator decides, and moves one partition after the other (KIP-848). Needs Kafka 4.0.
    Consumer,
}

/// The settings of a consumer, with the defaults of Apache Kafka's Java consumer.
#[derive(Clone, Debug)]
pub struct ConsumerSettings {
    /// The settings of every client.
    pub client: ClientSettings,
    /// `group.id`: needed to subscribe and to commit.
    pub group_id: Option<String>,
    /// `group.instance.id`: makes the member static: it keeps its partitions over a restart (KIP-345).
    pub instance_id: Option<String>,
    /// `group.protocol`.
    pub group_protocol: GroupProtocol,
    /// `group.remote.assignor`: which of the coordinator's assignors is used; `None` leaves it to the coordinator. Only in
    /// the consumer protocol.
    pub remote_assignor: Option<String>,
    /// `session.timeout.ms`, only in the classic protocol (else the coordinator says): without a heartbeat for this long the group gives the member up.
    pub session_timeout: Duration,
    /// `heartbeat.interval.ms`, only in the classic protocol.
    pub heartbeat_interval: Duration,
    /// `max.poll.interval.ms`: without a call to `poll` for this long the member leaves; also how long a rebalance waits
    /// for it.
    pub poll_interval_max: Duration,
    /// `partition.assignment.strategy`, the preferred one first; only in the classic protocol.
    pub assignors: Vec<Assignor>,
    /// `auto.offset.reset`.
    pub offset_reset: OffsetReset,
    /// `enable.auto.commit`.
    pub auto_commit: bool,
    /// `auto.commit.interval.ms`.
    pub auto_commit_interval: Duration,
    /// `isolation.level`.
    pub isolation: Isolation,
    /// `fetch.min.bytes`: a fetch waits for this many bytes.
    pub fetch_bytes_min: i32,
    /// `fetch.max.bytes`: an answer has at most this many bytes, but always one batch.
    pub fetch_bytes_max: i32,
    /// `fetch.max.wait.ms`: how long a fetch waits for `fetch.min.bytes`.
    pub fetch_wait_max: Duration,
    /// `max.partition.fetch.bytes`: of one partition an answer has at most this many bytes, but always one batch.
    pub partition_fetch_bytes_max: i32,
    /// `max.poll.records`: `poll` returns at most this many records.
    pub poll_records_max: usize,
    /// `check.crcs`: each batch's checksum is checked.
    pub checks_checksums: bool,
    /// `exclude.internal.topics`: a pattern never matches Kafka's own topics.
    pub excludes_internal_topics: bool,
    /// `allow.auto.create.topics`: subscribing to a topic that does not exist may create it.
    pub may_create_topics: bool,
    /// No batch may have more bytes than this when it is decompressed.
    pub decompressed_bytes_max: usize,
}

impl Default for ConsumerSettings {
    fn default() -> Self {
        Self {
            client: ClientSettings::default(),
            group_id: None,
            instance_id: None,
            group_protocol: GroupProtocol::Classic,
            remote_assignor: None,
            session_timeout: Duration::from_secs(45),
            heartbeat_interval: Duration::from_secs(3),
            poll_interval_max: Duration::from_secs(300),
            assignors: vec![Assignor::Range, Assignor::CooperativeSticky],
            offset_reset: OffsetReset::Latest,
            auto_commit: true,
            auto_commit_interval: Duration::from_secs(5),
            isolation: Isolation::ReadUncommitted,
            fetch_bytes_min: 1,
            fetch_bytes_max: 50 << 20,
            fetch_wait_max: Duration::from_millis(500),
            partition_fetch_bytes_max: 1 << 20,
            poll_records_max: 500,
            checks_checksums: true,
            excludes_internal_topics: true,
            may_create_topics: true,
            decompressed_bytes_max: 256 << 20,
        }
    }
}

impl ConsumerSettings {
    /// The defaults, with these bootstrap servers: `host:port` separated by commas.
    pub fn new(bootstrap_servers: &str) -> Self {
        Self { client: ClientSettings::new(bootstrap_servers), ..Self::default() }
    }

    /// These settings as a member of a group.
    pub fn group(mut self, group_id: impl Into<String>) -> Self {
        self.group_id = Some(group_id.into());
        self
    }

    /// Settings by their names in Kafka's consumer configuration. Unknown names are answered, for a warning.
    ///
    /// # Errors
    /// A value is not allowed.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<(Self, Vec<String>)> {
        let mut settings = Self::default();
        settings.client.client_id = "ottla-consumer".to_owned();
        let mut unknown = Vec::new();
        let mut set = Vec::new();
        for (key, value) in pairs {
            if !settings.set(key, value)? {
                unknown.push(key.to_owned());
            }
            set.push((key, value));
        }
        settings.fits_protocol(&set)?;
        Ok((settings, unknown))
    }

    /// Settings of one protocol mean nothing in the other, and whoever sets them is mistaken.
    fn fits_protocol(&self, set: &[(&str, &str)]) -> Result<()> {
        let (others, allowed) = match self.group_protocol {
            GroupProtocol::Classic => (&["group.remote.assignor"][..], "only with group.protocol=consumer"),
            GroupProtocol::Consumer => (
                &["partition.assignment.strategy", "heartbeat.interval.ms", "session.timeout.ms"][..],
                "only with group.protocol=classic",
            ),
        };
        match set.iter().find(|(key, value)| others.contains(key) && !value.is_empty()) {
            Some((key, value)) => Err(invalid(key, value, allowed)),
            None => Ok(()),
        }
    }

    /// Sets one setting by its name in Kafka's consumer configuration. `Ok(false)`: not a setting of a consumer.
    ///
    /// # Errors
    /// The value is not allowed.
    pub fn set(&mut self, key: &str, value: &str) -> Result<bool> {
        match key {
            "group.id" => self.group_id = Some(value.to_owned()).filter(|id| !id.is_empty()),
            "group.instance.id" => self.instance_id = Some(value.to_owned()).filter(|id| !id.is_empty()),
            "group.protocol" => self.group_protocol = group_protocol(key, value)?,
            "group.remote.assignor" => self.remote_assignor = Some(value.to_owned()).filter(|name| !name.is_empty()),
            "session.timeout.ms" => self.session_timeout = milliseconds(key, value)?,
            "heartbeat.interval.ms" => self.heartbeat_interval = milliseconds(key, value)?,
            "max.poll.interval.ms" => self.poll_interval_max = milliseconds(key, value)?,
            "partition.assignment.strategy" => self.assignors = assignors(key, value)?,
            "auto.offset.reset" => self.offset_reset = offset_reset(key, value)?,
            "enable.auto.commit" => self.auto_commit = boolean(key, value)?,
            "auto.commit.interval.ms" => self.auto_commit_interval = milliseconds(key, value)?,
            "isolation.level" => {
                self.isolation = match value.trim().to_ascii_lowercase().as_str() {
                    "read_committed" => Isolation::ReadCommitted,
                    "read_uncommitted" => Isolation::ReadUncommitted,
                    _ => return Err(invalid(key, value, "read_committed or read_uncommitted")),
                }
            }
            "key.deserializer" | "value.deserializer" => {}
            _ => return self.set_fetching(key, value),
        }
        Ok(true)
    }

    fn set_fetching(&mut self, key: &str, value: &str) -> Result<bool> {
        match key {
            "fetch.min.bytes" => self.fetch_bytes_min = number(key, value, 0..=i32::MAX)?,
            "fetch.max.bytes" => self.fetch_bytes_max = number(key, value, 0..=i32::MAX)?,
            "fetch.max.wait.ms" => self.fetch_wait_max = milliseconds(key, value)?,
            "max.partition.fetch.bytes" => self.partition_fetch_bytes_max = number(key, value, 0..=i32::MAX)?,
            "max.poll.records" => self.poll_records_max = number(key, value, 1..=i32::MAX as usize)?,
            "check.crcs" => self.checks_checksums = boolean(key, value)?,
            "exclude.internal.topics" => self.excludes_internal_topics = boolean(key, value)?,
            "allow.auto.create.topics" => self.may_create_topics = boolean(key, value)?,
            _ => return self.client.set(key, value),
        }
        Ok(true)
    }
}

fn group_protocol(key: &str, value: &str) -> Result<GroupProtocol> {
    match value.trim().to_ascii_lowercase().as_str() {
        "classic" => Ok(GroupProtocol::Classic),
        "consumer" => Ok(GroupProtocol::Consumer),
        _ => Err(invalid(key, value, "classic or consumer")),
    }
}

/// Assignors by their names or by the names of the Java classes.
fn assignors(key: &str, value: &str) -> Result<Vec<Assignor>> {
    let assignor = |name: &String| {
        let short = name.rsplit('.').next().unwrap_or(name);
        match short {
            "RangeAssignor" | "range" => Ok(Assignor::Range),
            "RoundRobinAssignor" | "roundrobin" => Ok(Assignor::RoundRobin),
            "CooperativeStickyAssignor" | "cooperative-sticky" => Ok(Assignor::CooperativeSticky),
            _ => Err(invalid(key, name, "range, roundrobin or cooperative-sticky")),
        }
    };
    let assignors = split_list(value).iter().map(assignor).collect::<Result<Vec<_>>>()?;
    if assignors.is_empty() { Err(invalid(key, value, "at least one assignor")) } else { Ok(assignors) }
}

fn offset_reset(key: &str, value: &str) -> Result<OffsetReset> {
    let lower = value.trim().to_ascii_lowercase();
    Ok(match lower.as_str() {
        "earliest" => OffsetReset::Earliest,
        "latest" => OffsetReset::Latest,
        "none" => OffsetReset::None,
        _ => match lower.strip_prefix("by_duration:").and_then(iso_duration) {
            Some(duration) => OffsetReset::ByDuration(duration),
            None => return Err(invalid(key, value, "earliest, latest, none or by_duration:<ISO-8601 duration>")),
        },
    })
}

/// An ISO-8601 duration of days, hours, minutes and seconds, such as `P1DT2H3M4.5S`; in any case of letters.
pub fn iso_duration(text: &str) -> Option<Duration> {
    let text = text.to_ascii_uppercase();
    let rest = text.strip_prefix('P')?;
    let (days, time) = rest.split_once('T').map_or((rest, None), |(days, time)| (days, Some(time)));
    let mut seconds = 0.0;
    let mut parts = 0;
    if !days.is_empty() {
        seconds += days.strip_suffix('D')?.parse::<u32>().ok()? as f64 * 86_400.0;
        parts += 1;
    }
    if let Some(mut time) = time {
        for (unit, factor) in [('H', 3_600.0), ('M', 60.0), ('S', 1.0)] {
            let Some((number, rest)) = time.split_once(unit) else { continue };
            let number = number.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0)?;
            if unit != 'S' && number.fract() != 0.0 {
                return None;
            }
            seconds += number * factor;
            parts += 1;
            time = rest;
        }
        if !time.is_empty() {
            return None;
        }
    }
    if parts == 0 { None } else { Duration::try_from_secs_f64(seconds).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_java_reads_them() {
        let known =
            [("P1D", 86_400.0), ("PT1H", 3_600.0), ("PT1.5S", 1.5), ("P2DT3H4M5S", 183_845.0), ("pt10m", 600.0)];
        for (text, seconds) in known {
            assert_eq!(iso_duration(text), Some(Duration::from_secs_f64(seconds)), "{text}");
        }
        for text in ["", "P", "PT", "1D", "P1H", "PT1D", "PT1M1H", "PT1.5H", "P1.5D", "PTxS"] {
            assert_eq!(iso_duration(text), None, "{text}");
        }
    }

    #[test]
    fn assignors_may_be_named_by_their_java_classes() {
        let mut settings = ConsumerSettings::default();
        let classes = "org.apache.kafka.clients.consumer.CooperativeStickyAssignor, range";
        assert!(settings.set("partition.assignment.strategy", classes).unwrap());
        assert_eq!(settings.assignors, [Assignor::CooperativeSticky, Assignor::Range]);
        assert!(settings.set("partition.assignment.strategy", "sticky").is_err());
    }

    #[test]
    fn settings_of_the_other_protocol_are_refused() {
        let pairs = |pairs: &[(&str, &str)]| ConsumerSettings::from_pairs(pairs.iter().copied()).map(|_| ());
        assert!(pairs(&[("group.protocol", "CONSUMER"), ("group.remote.assignor", "range")]).is_ok());
        assert!(pairs(&[("group.protocol", "consumer"), ("session.timeout.ms", "1000")]).is_err());
        assert!(pairs(&[("group.remote.assignor", "range")]).is_err());
        assert!(pairs(&[("group.protocol", "streams")]).is_err());
    }

    #[test]
    fn the_place_to_begin_may_be_a_time_ago() {
        let mut settings = ConsumerSettings::default();
        settings.set("auto.offset.reset", "by_duration:PT1H").unwrap();
        assert_eq!(settings.offset_reset, OffsetReset::ByDuration(Duration::from_secs(3_600)));
    }
}
