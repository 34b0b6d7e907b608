/// How much a logger says: what is of this level, and what is worse. Kafka's levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// What ends the process. Ottla has no events of this level, so that a logger of it is silent.
    Fatal,
    /// What a person must act on.
    Error,
    /// What a person should know.
    Warn,
    /// What happens.
    Info,
    /// What helps to find out why.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// All levels, by their names.
    pub const ALL: [Self; 6] = [Self::Debug, Self::Error, Self::Fatal, Self::Info, Self::Trace, Self::Warn];

    /// Kafka's name of the level.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fatal => "FATAL",
            Self::Error => "ERROR",
            Self::Warn => "WARN",
            Self::Info => "INFO",
            Self::Debug => "DEBUG",
            Self::Trace => "TRACE",
        }
    }

    /// The level of that name; case counts, as in Kafka.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.name() == name)
    }
}
