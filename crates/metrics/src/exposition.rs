use crate::{Kind, Metric, QUANTILES, SummaryReading};
use core::fmt::{Display, Write as _};

/// Metrics in Prometheus' text form, version 0.0.4: one family after the other, each declared.
#[derive(Debug, Default)]
pub struct Exposition {
    text: String,
}

/// The samples of one metric.
#[derive(Debug)]
pub struct Family<'a> {
    text: &'a mut String,
    metric: Metric,
}

impl Exposition {
    /// The content type of the text.
    pub const CONTENT_TYPE: &'static str = "text/plain; version=0.0.4; charset=utf-8";

    /// Begins a metric. All its samples are to be given before the next one begins, and each metric begins once.
    pub fn family(&mut self, metric: &Metric) -> Family<'_> {
        self.head(metric.name, metric.kind, metric.help);
        Family { text: &mut self.text, metric: *metric }
    }

    /// A metric that has one sample without labels.
    pub fn single(&mut self, metric: &Metric, value: f64) {
        self.family(metric).sample(&[], value);
    }

    /// Begins a metric whose name is known at run time only. The name must be one of Prometheus'.
    pub fn named(&mut self, name: &str, kind: Kind, help: &str) {
        self.head(name, kind, help);
    }

    /// A sample of a metric that was begun with [`Self::named`], with its labels.
    pub fn named_sample<'a>(&mut self, name: &str, labels: impl IntoIterator<Item = (&'a str, &'a str)>, value: f64) {
        write_sample(&mut self.text, name, "", labels, value);
    }

    /// The text.
    pub fn finish(self) -> String {
        self.text
    }

    fn head(&mut self, name: &str, kind: Kind, help: &str) {
        // Writing to a string cannot fail.
        let _ = write!(self.text, "# HELP {name} ");
        push_escaped(&mut self.text, help, false);
        let _ = writeln!(self.text, "\n# TYPE {name} {}", kind.name());
    }
}

impl Family<'_> {
    /// A sample with the values of its labels, in their order; missing and empty ones are left out.
    pub fn sample(&mut self, labels: &[&str], value: f64) {
        let labels = self.metric.labels.iter().copied().zip(labels.iter().copied());
        write_sample(self.text, self.metric.name, "", labels, value);
    }

    /// The samples of a summary, each number divided by `unit`.
    pub fn summary(&mut self, labels: &[&str], reading: &SummaryReading, unit: f64) {
        let labels = || self.metric.labels.iter().copied().zip(labels.iter().copied());
        for ((_, quantile), value) in QUANTILES.iter().zip(reading.quantiles) {
            write_sample(self.text, self.metric.name, "", labels().chain([("quantile", *quantile)]), value / unit);
        }
        write_sample(self.text, self.metric.name, "_sum", labels(), reading.sum as f64 / unit);
        write_sample(self.text, self.metric.name, "_count", labels(), reading.count as f64);
    }
}

fn write_sample<'a>(
    text: &mut String,
    name: &str,
    suffix: &str,
    labels: impl IntoIterator<Item = (&'a str, &'a str)>,
    value: f64,
) {
    text.push_str(name);
    text.push_str(suffix);
    let mut before = '{';
    for (label, value) in labels.into_iter().filter(|(_, value)| !value.is_empty()) {
        text.push(before);
        text.push_str(label);
        text.push_str("=\"");
        push_escaped(text, value, true);
        text.push('"');
        before = ',';
    }
    if before == ',' {
        text.push('}');
    }
    let _ = writeln!(text, " {}", Number(value));
}

/// Backslashes and line ends are escaped everywhere, quotation marks in labels. Other control characters are legal, and
/// replaced all the same: names that clients choose may be full of them, and what is scraped may be read on a terminal.
fn push_escaped(text: &mut String, value: &str, in_label: bool) {
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '"' if in_label => text.push_str("\\\""),
            other if other.is_control() => text.push('\u{fffd}'),
            other => text.push(other),
        }
    }
}

/// Go's spelling of a number, which Prometheus reads.
struct Number(f64);

impl Display for Number {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.0 {
            value if value.is_nan() => f.write_str("NaN"),
            f64::INFINITY => f.write_str("+Inf"),
            f64::NEG_INFINITY => f.write_str("-Inf"),
            value => write!(f, "{value}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNTER: Metric =
        Metric { name: "c_total", kind: Kind::Counter, labels: &["topic", "partition"], bean: "", help: "Counts." };
    const SUMMARY: Metric = Metric { name: "s", kind: Kind::Summary, labels: &["request"], bean: "", help: "Times." };

    #[test]
    fn a_family_is_declared_and_empty_labels_are_left_out() {
        let mut exposition = Exposition::default();
        let mut family = exposition.family(&COUNTER);
        family.sample(&[], 3.0);
        family.sample(&["t", "0"], 0.5);
        family.sample(&["", "1"], f64::INFINITY);
        let expected = "# HELP c_total Counts.\n# TYPE c_total counter\nc_total 3\n\
                        c_total{topic=\"t\",partition=\"0\"} 0.5\nc_total{partition=\"1\"} +Inf\n";
        assert_eq!(exposition.finish(), expected);
    }

    #[test]
    fn names_that_clients_choose_cannot_break_out_of_their_label() {
        let mut exposition = Exposition::default();
        exposition.family(&COUNTER).sample(&["a\"} 1\nevil\\ \u{1b}[2J"], 1.0);
        let text = exposition.finish();
        assert_eq!(text.lines().last(), Some("c_total{topic=\"a\\\"} 1\\nevil\\\\ \u{fffd}[2J\"} 1"));
    }

    #[test]
    fn a_summary_shows_its_quantiles_sum_and_count_in_its_unit() {
        let mut exposition = Exposition::default();
        let reading =
            SummaryReading { count: 2, sum: 3000, quantiles: [1000.0, 1000.0, 2000.0, 2000.0, 2000.0, 2000.0] };
        exposition.family(&SUMMARY).summary(&["Fetch"], &reading, 1000.0);
        let text = exposition.finish();
        assert!(text.contains("s{request=\"Fetch\",quantile=\"0.50\"} 1\n"), "{text}");
        assert!(text.ends_with("s_sum{request=\"Fetch\"} 3\ns_count{request=\"Fetch\"} 2\n"), "{text}");
    }
}
