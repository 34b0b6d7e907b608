//! The page `docs/metrics.md`, made from the declarations.

use crate::declarations::{ALL, NOT_THERE};
use core::fmt::Write as _;

const HEAD: &str = "# Metrics

Made from the declarations in `crates/metrics/src/declarations.rs`; do not edit.

With `ottla.metrics.listener=127.0.0.1:9404` in its properties a node answers `GET /metrics` there in Prometheus' text form, and
`GET /healthz` with what it can't do, if anything. Nothing is served while the key is unset.

The names are those that Kafka's own metrics get from the rules of Prometheus' JMX exporter, in the spelling of its example for
Kafka and of Strimzi's: everything in lower case, `PerSec` turned into `_total`, `Percent` into `_percent`. The dashboards made for
them show Ottla as they are. Times of requests are in milliseconds, as Kafka's; their quantiles are those of the last five minutes
or so. A summary has `_count` and `_sum` beside its quantiles.

Series per topic and per partition are shown for as many topics and partitions as `ottla.metrics.topics.max` and
`ottla.metrics.partitions.max` allow, in the order of names; `ottla_metrics_left_out` says how many are not. Nothing else grows
with what clients do, but for what they push when `ottla.metrics.client.telemetry.enable` is set, which has bounds of its own.

| metric | kind | labels | Kafka's MBean | meaning |
|---|---|---|---|---|
";

/// The whole page.
pub fn metrics_page() -> String {
    let mut page = HEAD.to_owned();
    for metric in ALL {
        let bean = if metric.bean.is_empty() { String::new() } else { format!("`{}`", metric.bean) };
        let labels = metric.labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
        // Writing to a string cannot fail.
        let _ = writeln!(page, "| `{}` | {} | {labels} | {bean} | {} |", metric.name, metric.kind.name(), metric.help);
    }
    page.push_str("\n## Names of known dashboards that Ottla does not have\n\n| metric | why |\n|---|---|\n");
    for (name, why) in NOT_THERE {
        let _ = writeln!(page, "| `{name}` | {why} |");
    }
    page
}
