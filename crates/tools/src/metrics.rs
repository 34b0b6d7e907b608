//! The table of metrics that tools show which measure.

use crate::console::Console;
use crate::failure::KAFKA_VERSION;
use crate::java::decimal;

/// A metric of a client.
pub(crate) struct Metric {
    group: &'static str,
    name: &'static str,
    value: String,
}

impl Metric {
    /// A metric that is a number.
    pub(crate) fn number(group: &'static str, name: &'static str, value: f64) -> Self {
        Self { group, name, value: decimal(value, 3) }
    }
}

/// Shows the metrics of the client of this id, and which version it stands for.
pub(crate) fn print_metrics(metrics: &[Metric], client: &str, console: &mut Console) {
    let tags = format!("{{client-id={client}}}");
    let version = Metric { group: "app-info", name: "version", value: KAFKA_VERSION.to_owned() };
    let row = |metric: &Metric| (format!("{}:{}:{tags}", metric.group, metric.name), metric.value.clone());
    let mut rows: Vec<_> = metrics.iter().chain([&version]).map(row).collect();
    rows.sort();
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    console.line(&format!("\n{:width$}   Value", "Metric Name"));
    for (name, value) in rows {
        console.line(&format!("{name:width$} : {value}"));
    }
}
