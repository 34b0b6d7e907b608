/// What a metric's numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A number that only grows while the process runs.
    Counter,
    /// A number as it is at the moment.
    Gauge,
    /// A distribution: how many there were, their sum, and Kafka's quantiles of the last minutes.
    Summary,
}

impl Kind {
    /// Prometheus' name of the kind.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Summary => "summary",
        }
    }
}

/// The declaration of one metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// The name it is scraped by.
    pub name: &'static str,
    /// What its numbers are.
    pub kind: Kind,
    /// The names of its labels, in the order in which samples give their values. A summary's `quantile` is not among them.
    pub labels: &'static [&'static str],
    /// The MBean of Apache Kafka that it stands for; empty for a metric of Ottla's own, or of every process.
    pub bean: &'static str,
    /// One line of explanation.
    pub help: &'static str,
}

/// Declares metrics as constants, and the list of all of them.
macro_rules! metrics {
    ($($name:ident: $kind:ident $text:literal [$($label:literal),*] $bean:literal, $help:literal;)*) => {
        $(
            #[doc = $help]
            pub const $name: $crate::Metric = $crate::Metric {
                name: $text,
                kind: $crate::Kind::$kind,
                labels: &[$($label),*],
                bean: $bean,
                help: $help,
            };
        )*

        /// Every metric, in the order of the page that lists them.
        pub const ALL: &[$crate::Metric] = &[$($name),*];
    };
}

pub(crate) use metrics;
