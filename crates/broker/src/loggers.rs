use ottla_config::LogLevel;

/// The loggers of the process, whose levels clients can see and change (KIP-412).
pub trait Loggers: Send + Sync + 'static {
    /// The names of all loggers in their order, `root` among them.
    fn names(&self) -> &[&'static str];

    /// The level that counts for a logger: its own, or else its parent's.
    fn level(&self, name: &str) -> LogLevel;

    /// Gives loggers other levels, or takes away the ones they have. It counts when this returns, until the process ends.
    fn change(&self, changes: &[(&str, Option<LogLevel>)]);
}

/// No loggers but one that has no effect: for nodes in simulations.
#[derive(Debug, Default)]
pub struct NoLoggers;

impl Loggers for NoLoggers {
    fn names(&self) -> &[&'static str] {
        &["root"]
    }

    fn level(&self, _name: &str) -> LogLevel {
        LogLevel::Info
    }

    fn change(&self, _changes: &[(&str, Option<LogLevel>)]) {}
}
