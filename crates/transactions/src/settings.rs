/// The level of the feature `transaction.version`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum TransactionVersion {
    /// Level 0: records of version 0.
    V0,
    /// Level 1: the same rules, records of a version with tagged fields.
    V1,
    /// Level 2 (KIP-890): each end of a transaction bumps the producer's epoch.
    #[default]
    V2,
}

impl TransactionVersion {
    /// The level's number.
    pub fn level(self) -> i16 {
        match self {
            Self::V0 => 0,
            Self::V1 => 1,
            Self::V2 => 2,
        }
    }

    /// The level with this number. A later one counts as the last that is known.
    pub fn from_level(level: i16) -> Self {
        match level {
            ..=0 => Self::V0,
            1 => Self::V1,
            _ => Self::V2,
        }
    }

    /// Whether each end of a transaction bumps the producer's epoch.
    pub fn bumps_epoch(self) -> bool {
        self == Self::V2
    }

    /// The version of the values that are written.
    pub(crate) fn record_version(self) -> i16 {
        if self == Self::V0 { 0 } else { 1 }
    }
}

/// The settings that the machine obeys. Times are in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionSettings {
    /// `transaction.max.timeout.ms`
    pub timeout_ms_max: i32,
    /// `transactional.id.expiration.ms`
    pub expiration_ms: i64,
    /// `transaction.abort.timed.out.transaction.cleanup.interval.ms`
    pub timeouts_check_interval_ms: i64,
    /// `transaction.remove.expired.transaction.cleanup.interval.ms`
    pub expiration_check_interval_ms: i64,
    /// `transaction.two.phase.commit.enable` (KIP-939)
    pub two_phase_commit_enable: bool,
    /// The finalized level of `transaction.version`.
    pub version: TransactionVersion,
    /// How long the machine waits before it tries again what could not be written. Kafka has no key for it.
    pub retry_backoff_ms: i64,
}

impl Default for TransactionSettings {
    fn default() -> Self {
        Self {
            timeout_ms_max: 900_000,
            expiration_ms: 7 * 24 * 60 * 60 * 1_000,
            timeouts_check_interval_ms: 10_000,
            expiration_check_interval_ms: 3_600_000,
            two_phase_commit_enable: false,
            version: TransactionVersion::V2,
            retry_backoff_ms: 100,
        }
    }
}
