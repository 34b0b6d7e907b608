//! What the configuration says of replication.

use crate::durations::milliseconds;
use core::time::Duration;
use ottla_config::ReplicationConfig;
use ottla_replication::FetcherSettings;

/// The in-sync replicas are looked at no more often than this, however short `replica.lag.time.max.ms` is.
const LAG_CHECK_MIN: Duration = Duration::from_millis(5);

/// What of the configuration of replication stays as it is while the broker runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReplicationSettings {
    pub(crate) lag_max: Duration,
    /// How often replicas in sync are looked at: each half of the time in which they may lag.
    pub(crate) lag_check_interval: Duration,
    pub(crate) fetcher: FetcherSettings,
    /// How long a leader may take to answer.
    pub(crate) answer_max: Duration,
}

impl ReplicationSettings {
    pub(crate) fn new(config: &ReplicationConfig) -> Self {
        let lag_max = milliseconds(config.replica_lag_time_max_ms);
        Self {
            lag_max,
            lag_check_interval: (lag_max / 2).max(LAG_CHECK_MIN),
            fetcher: FetcherSettings {
                partition_bytes_max: config.replica_fetch_max_bytes,
                response_bytes_max: config.replica_fetch_response_max_bytes,
                bytes_min: config.replica_fetch_min_bytes,
                wait_max: milliseconds(config.replica_fetch_wait_max_ms),
                backoff: milliseconds(config.replica_fetch_backoff_ms),
            },
            answer_max: milliseconds(config.replica_socket_timeout_ms),
        }
    }
}

/// `num.replica.fetchers`, which may change at any time.
pub(crate) fn fetchers_per_leader(config: &ReplicationConfig) -> u32 {
    u32::try_from(config.num_replica_fetchers).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_config::{NodeConfig, properties};

    fn config(lines: &str) -> ReplicationConfig {
        NodeConfig::from_properties(properties::parse(lines.as_bytes(), "test").unwrap()).unwrap().0.replication
    }

    #[test]
    fn each_figure_of_the_file_has_its_place() {
        let config = config(
            "replica.lag.time.max.ms=1000\nnum.replica.fetchers=3\nreplica.fetch.max.bytes=4\n\
             replica.fetch.min.bytes=5\nreplica.fetch.response.max.bytes=6\nreplica.fetch.wait.max.ms=7\n\
             replica.fetch.backoff.ms=8\nreplica.socket.timeout.ms=9",
        );
        let ms = Duration::from_millis;
        let expected = ReplicationSettings {
            lag_max: ms(1000),
            lag_check_interval: ms(500),
            fetcher: FetcherSettings {
                partition_bytes_max: 4,
                response_bytes_max: 6,
                bytes_min: 5,
                wait_max: ms(7),
                backoff: ms(8),
            },
            answer_max: ms(9),
        };
        assert_eq!(ReplicationSettings::new(&config), expected);
        assert_eq!(fetchers_per_leader(&config), 3);
    }

    #[test]
    fn in_sync_replicas_are_not_looked_at_all_the_time_if_they_may_not_lag_at_all() {
        let config = config("replica.lag.time.max.ms=0\nreplica.fetch.wait.max.ms=0");
        let settings = ReplicationSettings::new(&config);
        assert_eq!((settings.lag_max, settings.lag_check_interval), (Duration::ZERO, LAG_CHECK_MIN));
    }
}
