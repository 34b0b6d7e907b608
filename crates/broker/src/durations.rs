use core::time::Duration;

/// So many milliseconds of a configuration as a time; what is negative is none at all.
pub(crate) fn milliseconds(value: impl Into<i64>) -> Duration {
    Duration::from_millis(u64::try_from(value.into()).unwrap_or(0))
}
